"""`--help` of the command line and of each command, and which keys hold free text."""

import re
import textwrap

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

# Of the filters of runs: where.optimizer.lr=0.003 (`zeroscale.cli.select_runs`).
FILTER = "where."
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
    """The command's own YAML, which explains itself, then the groups it composes with every setting in them."""
    source = (paths.conf() / f"{command}.yaml").read_text(encoding="utf-8")
    print(_fill(f"zeroscale {command}: {COMMANDS[command].summary}", "", "  ") + "\n")
    print("Settings, as conf/" + f"{command}.yaml composes them (override with key=value):\n")
    print("\n".join(row for line in source.rstrip().splitlines() for row in _wrapped(f"  {line}")))
    shown = _GROUPS_OF.get(command, folder.groups() if command in ("train", "plan") else [])
    if shown:
        print("\nGroups (choose with group=choice, change inside with group.key=value):\n")
        for group in shown:
            _print_list(f"{group}:", folder.choices(group))
    if command in ("train", "plan"):
        print("\nSweeps (+sweeps=NAME):\n")
        _print_list("", folder.choices("sweeps"))
    if command in ("eval", "compare", "data", "overlap"):
        print("\nCards (cards=[a,b] or a suite):\n")
        _print_list("cards:", _names_in(""))
        _print_list("suites:", _names_in("suites"))
    for group in shown:
        _print_group(group)
    if shown:
        print(f"\nzeroscale show {command} … prints what they come to, each with its origin.")


_GROUPS_OF = {"data": ["data", "tokenizer"], "report": ["tracker"]}
_WIDTH = 80
_SETTING = re.compile(r"(\w+): *((?:'[^']*'|\"[^\"]*\"|[^#'\"])*?) *(?:# *(.*))?")


def _print_list(title: str, names: list[str]) -> None:
    start = f"  {title:<11}" if title else "  "
    print(_fill(", ".join(names), start, " " * len(start)))


def _wrap(text: str, first: str, then: str) -> list[str]:
    """Lines of a terminal's width; names are not split at their hyphens."""
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=then, break_on_hyphens=False, break_long_words=False
    )


def _fill(text: str, first: str, then: str) -> str:
    return "\n".join(_wrap(text, first, then))


def _wrapped(line: str) -> list[str]:
    """A line of YAML in the width of a terminal: what its comment has too much goes below it."""
    if len(line) <= _WIDTH:
        return [line]
    code, mark, comment = line.partition("# ")
    if not mark:
        return [line]
    if not code.strip():
        return _wrap(comment, f"{code}# ", f"{code}# ")
    below = " " * 6 + "# "
    return [code.rstrip(), *_wrap(comment, below, below)]


def _print_group(group: str) -> None:
    """Every setting of a group: its value in the group's default choice, and what its comment says."""
    print(f"\n{group}.KEY=VALUE:\n")
    for key, (value, meaning) in settings_of(group).items():
        start = f"  {key} = {value}" if value else f"  {key}"
        if meaning and len(start) <= 30:
            print(_fill(meaning, f"{start:<31} ", " " * 32))
        else:
            print(start)
            if meaning:
                print(_fill(meaning, " " * 32, " " * 32))


def settings_of(group: str) -> dict[str, tuple[str, str]]:
    """The settings of a group's shipped choices: key → (value in the default choice, else "", meaning).

    A meaning is the comment behind the value in the first file that has one, the default choice's before the others'.
    """
    folder_of_group = paths.conf() / group
    train = (paths.conf() / "train.yaml").read_text(encoding="utf-8")
    default = re.search(rf"^  - {group}: (\S+)", train, re.MULTILINE)
    first = folder_of_group / f"{default[1] if default else ''}.yaml"
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(folder_of_group.glob("*.yaml"), key=lambda path: (path != first, path.name)):
        for line in path.read_text(encoding="utf-8").splitlines():
            if (match := _SETTING.fullmatch(line)) and match[1] != "defaults":
                value, meaning = found.get(match[1], (match[2] if path == first else "", ""))
                found[match[1]] = (value, meaning or match[3] or "")
    return found


def _names_in(kind: str) -> list[str]:
    return sorted({path.stem for evals in folder.evals() for path in (evals / kind).glob("*.yaml")})
