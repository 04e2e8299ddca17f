"""`zeroscale reproduce`: recorded runs made again and compared with their records."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic.dataclasses import dataclass

from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, FilePath, NonNegativeFloat, PathOrEmpty, Positive
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError

if TYPE_CHECKING:
    from zeroscale.provenance.reproduce.request import Reproduction

# The exit code by verdict; 2 is bad input, as everywhere. Of several runs the first of these that occurs.
EXIT = {"different": 4, "not compared": 1, "within tolerance": 3, "bit-identical": 0}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReproduceConfig:
    """A run, or all runs of a study, to be made again and compared."""

    run: FilePath | None
    study: FilePath | None
    steps: Positive | None
    """Stop after so many; None: all."""
    tolerance: NonNegativeFloat
    """Relative, of losses and scores."""
    data_dir: PathOrEmpty | None
    """Where the benchmarks' files are; None: where they were."""
    data_path: FilePath | None
    """Where the files of a corpus of one's own are; None: where they were."""
    prepare_corpus: bool
    """Make the corpus again even where the recorded one is there."""
    out: FilePath | None
    output_dir: FilePath


def run(raw: RawConfig) -> int:
    """Makes a run, or all runs of a study, again; returns the exit code of the worst verdict."""
    config = build_config(ReproduceConfig, raw)
    if (config.run is None) == (config.study is None):
        raise ZeroscaleError("reproduce takes one of two: run=DIR, or study=DIR for all runs of a study")
    from zeroscale.provenance.reproduce import reproduce, request
    from zeroscale.runs import layout
    from zeroscale.runs.study import Study

    options = request.ReproduceRequest(
        out=Path(config.out or Path(config.output_dir) / "reproduced"),
        steps=config.steps,
        tolerance=config.tolerance,
        data_dir=config.data_dir,
        data_path=config.data_path,
        prepare_corpus=config.prepare_corpus,
    )
    if config.run is not None:
        reproductions = [reproduce.reproduce(Path(config.run), options, _print_now)]
    else:
        reproductions = reproduce.study(Path(config.study or ""), options, _print_now)
        _print_table(reproductions)
    for folder in {made.directory.parent for made in reproductions if made.directory is not None}:
        if layout.run_directories(folder):
            Study(folder).write_ledger()
    verdicts = {made.verdict for made in reproductions}
    return next(code for verdict, code in EXIT.items() if verdict in verdicts)


def _print_now(text: str) -> None:
    print(text, flush=True)


def _print_table(reproductions: "Sequence[Reproduction]") -> None:
    from zeroscale.core.tables import Column, Table

    counts = (Column(label, number=True) for label in ("up to step", "steps", "scores"))
    rows = [
        [
            made.run.name,
            "" if made.until is None else f"{made.until:,}",
            *(f"{made.parts[name].compared:,}" if name in made.parts else "" for name in ("steps", "scores")),
            made.verdict,
            made.reason if made.verdict != "bit-identical" else "",
        ]
        for made in reproductions
    ]
    print(Table.of_texts(["run", *counts, "verdict", "why"], rows).text())
    identical = sum(made.verdict == "bit-identical" for made in reproductions)
    print(f"{identical} of {len(reproductions)} runs are bit-identical")
