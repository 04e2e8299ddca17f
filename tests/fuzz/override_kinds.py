"""Command lines: keys that exist and keys that do not, with values that some reader will not expect."""

import random
from functools import cache
from pathlib import Path

from fuzz import seeds
from fuzz.runner import Attempt

COMMANDS = (
    ["plan"] * 6 + ["eval"] * 3 + ["data"] * 3 + ["fit", "fit", "report", "compare", "export", "sample", "sample"]
)
COMMANDS += ["batch", "bundle", "verify", "explain", "reproduce", "status", "overlap", "train"]
VALUES = [
    "",
    "0",
    "-1",
    "1",
    "2",
    "0.5",
    "-0.5",
    "1e400",
    "-1e400",
    "inf",
    "nan",
    "null",
    "true",
    "false",
    "???",
    "1e9",
    "1e-9",
]
VALUES += [
    "[]",
    "{}",
    "[1]",
    "[[1]]",
    "{a: 1}",
    "[null]",
    "{a: {b: [1]}}",
    "[" * 100 + "]" * 100,
    "{a:" * 60 + "1" + "}" * 60,
]
VALUES += [
    "9" * 20,
    "9" * 5000,
    "0x10",
    "1_000",
    "010",
    "1e5",
    "'1'",
    '"x"',
    "'",
    '"',
    "\\",
    "\\'",
    "${seed}",
    "${x}",
    "${oc.env:HOME}",
]
VALUES += [
    "${now:}",
    "${",
    "$",
    "a,b",
    "1,2",
    "range(1,3)",
    "choice(1,2)",
    "glob(*)",
    "interval(0,1)",
    "sort(2,1)",
    "shuffle(1,2)",
]
VALUES += [
    "int(1.5)",
    "str(1)",
    "extend_list(1)",
    "a=b",
    "a:b",
    "é",
    "\u2028",
    "\U0001f600",
    "\udcff",
    "\x01",
    "\n",
    " ",
    "a b",
    "\t",
]
VALUES += [
    "x" * 300,
    "x" * 5000,
    ".",
    "..",
    "/dev/null",
    "/dev/zero",
    "~",
    "~/x",
    "~nobody/x",
    "nowhere",
    "texts",
    "m",
    "a/../b",
    "//",
]
VALUES += [
    "*",
    "**",
    "[a",
    "a]",
    "(",
    ")",
    "{",
    "}",
    "%s",
    "{}x",
    "@",
    "#",
    "a@b",
    "-",
    "--",
    "=",
    "1.0",
    "1e0",
    "0.0",
    "00",
    "٣",
    "NaN",
]
VALUES += [
    "1000000",
    "100000",
    "4294967296",
    "2147483648",
    "-2147483649",
    "1e308",
    "5e-324",
    "[1e400]",
    "[nan]",
    "[true]",
    "[a,[b]]",
]
WORKING = {
    "plan": ["model=pocket-xs", "hardware=h200"],
    "train": ["model=pocket-xs", "data=files", "data.path=texts", "tracker=none", "trainer.tokens=-1"],
    "eval": ["checkpoint=m", "cards=[lambada]", "cards_from=sample", "limit=1", "bootstrap=100", "threads=1"],
    "data": ["data=files", "data.path=texts", "tokenizer=bytes", "data.val_fraction=0.3"],
    "fit": ["runs=outputs/four", "bootstrap=100"],
    "report": ["study=outputs/four", "format=text"],
    "compare": ["runs=[outputs/four/pocket-xs,outputs/four/pocket-s]", "resamples=100"],
    "export": ["checkpoint=m", "out=exported"],
    "sample": ["checkpoint=m", "prompt=the", "max_new_tokens=2", "threads=1"],
    "batch": ["run=outputs/four/pocket-xs", "step=1"],
    "bundle": ["study=outputs/four"],
    "verify": ["bundle=four.tar.zst"],
    "explain": ["study=outputs/four", "metric=alpha"],
    "reproduce": ["run=outputs/four/pocket-xs"],
    "status": ["study=outputs/four"],
    "overlap": ["corpus=texts", "cards=[lambada]", "cards_from=sample", "workers=1"],
}
# A page that is served does not end, by design.
ENDLESS = ("watch",)
# Where these name a file that is there already, it is the user's wish that it is written.
TARGETS = ("out", "output_dir", "index", "ngrams")
GRAMMAR = [*"[]{}(),:=\\'\"$~*@!&|%#?-. \t01", "a", "${", "e9", "null", "true", "inf", "é", "range(", "sort(", "/"]
GROUPS = [
    "model",
    "tokenizer",
    "data",
    "optimizer",
    "schedule",
    "trainer",
    "tracker",
    "sweeps",
    "hydra",
    "hydra/launcher",
]


@cache
def keys(command: str) -> list[str]:
    """Every key of a command, from its composed settings."""

    found: list[str] = []

    def walk(node: object, prefix: str) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                found.append(f"{prefix}{key}")
                walk(value, f"{prefix}{key}.")

    from omegaconf import OmegaConf

    from zeroscale.cli import compose

    with compose.hydra_ready():
        walk(OmegaConf.to_container(compose.compose_one(command, []), resolve=False), "")
    return [key for key in found if key.split(".")[0] not in ENDLESS]


def overrides(draw: random.Random, seed: Path, work: Path) -> Attempt:
    """A working command line with one to three overrides more."""
    command = draw.choice(COMMANDS)
    if command == "export":
        seeds.copy(seed / "trained" / "outputs" / "single", work / "m0")
        (run,) = (path.parent for path in (work / "m0").glob("*/DONE"))
        run.rename(work / "m")
    elif command in ("eval", "sample"):
        seeds.copy(seed / "gpt2", work / "m")
    elif command in ("data", "overlap", "train"):
        seeds.copy(seed / "trained" / "texts", work / "texts")
    elif command == "verify":
        seeds.copy(seed / "bundle", work)
    elif command != "plan":
        seeds.copy(seed / "study", work)
    added = [override(draw, command) for _ in range(draw.choice([1, 1, 1, 2, 3]))]
    argv = [command, *WORKING[command], *added]
    if draw.random() < 0.1:
        argv.insert(draw.randrange(1, len(argv) + 1), draw.choice(["-m", "-m", "--multirun", "--help", "-x", "x", ""]))
    # What an override asks for is written where it says; everything stays below the folder all the same.
    codes = frozenset({0, 1, 2, 3, 4}) if command == "reproduce" else frozenset({0, 1, 2})
    encoding = draw.choice(["utf-8"] * 6 + ["ascii"])
    # A bundle that is opened holds what others wrote.
    return Attempt(argv, "", ("*",), codes, encoding, strict=command != "verify")


def grammar(draw: random.Random) -> str:
    """A value of the characters that Hydra's grammar and YAML know."""
    return "".join(draw.choice(GRAMMAR) for _ in range(draw.randrange(1, 9)))


def override(draw: random.Random, command: str) -> str:
    """One override: mostly a key of the command with a strange value."""
    kind = draw.random()
    key = draw.choice(keys(command))
    value = draw.choice(VALUES) if draw.random() < 0.9 else grammar(draw)
    if key.split(".")[-1] in TARGETS and value.startswith(("/", "texts", "m", "..", "//", "~")):
        value = "made"
    if kind < 0.7:
        return f"{key}={value}"
    if kind < 0.78:
        return f"{draw.choice(['+', '++'])}{key}={value}"
    if kind < 0.86:
        return f"{draw.choice(GROUPS)}={value}"
    if kind < 0.9:
        return f"~{key}" + draw.choice(["", f"={value}"])
    if kind < 0.95:
        return f"{key}{draw.choice(['.x', '@x', '.', '..', ' ', '[0]', '.0', ':y'])}={value}"
    return f"{draw.choice(['', '.', '+', 'x', 'é', '${a}', '_self_', '_target_', 'defaults', key.upper()])}={value}"
