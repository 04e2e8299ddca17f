"""The commands: one module each, imported when its command is run.

A module holds the command's settings (a dataclass; those that other rooms take whole stand in `zeroscale.config`) and
`run`, which takes plain settings and returns the exit code. `conf/NAME.yaml` holds the defaults and the help.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple, cast

from zeroscale.config.raw import RawConfig
from zeroscale.core.errors import ZeroscaleError

LabelledConfig = tuple[str, RawConfig]
"""The overrides that distinguish a job of a multirun ("" for a single job), and its settings."""


class Command(NamedTuple):
    """An entry of the registry.

    Attributes:
        summary: one line for `zeroscale --help`.
        module: where its `run` stands, in this folder.
        takes_all: `run` is given all configurations of a multirun at once, as labelled configs, rather than one.
        one_out: the jobs of a multirun may not share one `out=`: each would overwrite the other's.
    """

    summary: str
    module: str
    takes_all: bool = False
    one_out: bool = False


COMMANDS = {
    "train": Command("trains one model, or a sweep (+sweeps=NAME), and scores each at the end", "train"),
    "plan": Command("what a run or a sweep will cost, before it starts", "plan", takes_all=True),
    "data": Command("fetches a corpus and tokenises it into shards; with cards=, fetches benchmark data", "data"),
    "batch": Command("what the batch of a step held", "batch"),
    "eval": Command(
        "scores checkpoints zero-shot on benchmark cards, beside the paper's numbers", "eval", takes_all=True
    ),
    "compare": Command(
        "two checkpoints on the same examples, or two studies by their laws: differences with intervals", "compare"
    ),
    "sample": Command("continues a prompt, or a file of them, with a checkpoint's own words", "sample", one_out=True),
    "export": Command(
        "writes a run as a directory that transformers loads, with its model card", "export", one_out=True
    ),
    "fit": Command("fits the scaling law of a study, or of any CSV of params,tokens,loss", "fit"),
    "report": Command("the dashboard of a study: as a page, live, as text, in Weights & Biases", "report"),
    "status": Command("which cells of a study are done, failed, resumable or running", "status"),
    "runs": Command("the runs of a study as a table: chosen, sorted, with what was varied", "runs"),
    "remove": Command("removes runs of a study, after listing them with their sizes", "tidy.remove"),
    "clean": Command("removes corpora and leftovers that no run needs, after listing them", "tidy.clean"),
    "reproduce": Command("makes a recorded run again and compares, bit for bit", "provenance.reproduce"),
    "explain": Command("the chain behind a number: run, weights, data, card, source, command", "provenance.explain"),
    "bundle": Command("packs a study into one file with checksums", "provenance.bundle"),
    "verify": Command("checks every file of a bundle, and opens it", "provenance.verify"),
    "overlap": Command(
        "n-grams that benchmarks share with a training corpus; scores without those examples", "overlap"
    ),
}


def run(name: str, configs: list[LabelledConfig]) -> int:
    """Runs a command on every configuration; after the failure of one, which is printed, the others go on."""
    command = COMMANDS[name]
    function = import_module(f"{__name__}.{command.module}").run
    if command.takes_all:
        return cast(Callable[[list[LabelledConfig]], int], function)(configs)
    if command.one_out:
        _refuse_shared_out(configs)
    return max(_run_one(function, label, config) for label, config in configs)


def _run_one(function: Callable[[RawConfig], int], label: str, config: RawConfig) -> int:
    if not label:
        return function(config)
    try:
        return function(config)
    except ZeroscaleError as error:
        print(f"zeroscale: {label}: {error}", file=sys.stderr)
        return 2


def _refuse_shared_out(configs: list[LabelledConfig]) -> None:
    outs = [str(config["out"]) for _, config in configs if config.get("out")]
    if repeated := sorted({out for out in outs if outs.count(out) > 1}):
        raise ZeroscaleError(
            f"several jobs of this multirun would write out={repeated[0]}, each over the other; run them one by one"
        )
