"""`--help` of the command line and of each command, and which keys hold free text."""

from zeroscale import __version__
from zeroscale.cli.commands import COMMANDS
from zeroscale.core import paths
from zeroscale.core.own import folder

USAGE = f"""zeroscale {__version__}: ladders of GPT-2-style models, zero-shot scores, scaling laws.

usage: zeroscale COMMAND [group=choice ...] [key=value ...] [-m]

{{commands}}

Start here:
  zeroscale plan  +sweeps=pocket             what the pocket study will cost
  zeroscale train +sweeps=pocket             train and score its four models (a few minutes)
  zeroscale fit    runs=outputs/pocket       the law
  zeroscale report study=outputs/pocket      outputs/pocket/report/index.html

  zeroscale COMMAND --help                   its settings, with their defaults
  -m (or --multirun) with key=a,b,c          once per value
  --config-dir DIR (or -cd)                  groups, sweeps, cards of a folder of your own
  --config-name NAME (or -cn)                conf/NAME.yaml in place of the command's
  --cfg job|hydra|all, --info searchpath     what Hydra composed, and from where
  eval "$(zeroscale -sc install=bash)"       completion; also zsh, fish
"""

OTHERS = {
    "show": "what a command's settings come to, with the origin of every value: zeroscale show train …",
    "init": "makes a folder of your own: configurations, a sweep, a card, an optimizer in Python",
}
"""Commands that compose no configuration."""

# Keys whose values are free text or paths: quoted before Hydra's parser sees them, so that a space, a colon or a
# bracket in a path is nothing special.
FREE_TEXT = {
    "bundle",
    "cell",
    "checkpoint",
    "corpus",
    "data.dataset",
    "data.document_start",
    "data.leave_out_ngrams",
    "data.path",
    "data.revision",
    "data.split_on",
    "data_dir",
    "data_path",
    "index",
    "init_from.run",
    "metric",
    "ngrams",
    "out",
    "output_dir",
    "prompt",
    "prompts_file",
    "revision",
    "run",
    "runs",
    "stop",
    "study",
    "tokenizer.path",
    "tokenizer.revision",
}
# Of these, the ones that are never a list: a bracket at their beginning belongs to a pattern or a mark.
NEVER_LISTS = {"data.document_start", "data.path", "data.split_on"}
# Of these, the ones that are no path but prose: everything after the `=` is the value, quotes and commas included.
VERBATIM = {"prompt"}


def print_usage() -> None:
    """All commands, one line each."""
    width = max(map(len, COMMANDS))
    summaries = {name: command.summary for name, command in COMMANDS.items()} | OTHERS
    print(USAGE.format(commands="\n".join(f"  {name:<{width}}  {line}" for name, line in summaries.items())), end="")


def print_help(command: str) -> None:
    """The command's own YAML, which explains itself, and the groups it composes."""
    source = (paths.conf() / f"{command}.yaml").read_text(encoding="utf-8")
    print(f"zeroscale {command}: {COMMANDS[command].summary}\n")
    print("Settings, as conf/" + f"{command}.yaml composes them (override with key=value):\n")
    print("\n".join("  " + line for line in source.rstrip().splitlines()))
    groups = folder.groups()
    if command in ("train", "plan", "data", "report"):
        shown = {"data": ["data", "tokenizer"], "report": ["tracker"]}.get(command, groups)
        print("\nGroups (choose with group=choice, change inside with group.key=value):\n")
        for group in shown:
            print(f"  {group + ':':<11}" + ", ".join(folder.choices(group)))
    if command in ("train", "plan"):
        print("\nSweeps (+sweeps=NAME):\n")
        print("  " + ", ".join(folder.choices("sweeps")))
    if command in ("eval", "compare", "data", "overlap"):
        print("\nCards (cards=[a,b] or a suite):\n")
        print("  cards:  " + ", ".join(_names_in("")))
        print("  suites: " + ", ".join(_names_in("suites")))


def _names_in(kind: str) -> list[str]:
    return sorted({path.stem for evals in folder.evals() for path in (evals / kind).glob("*.yaml")})
