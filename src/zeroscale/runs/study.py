"""A study: the runs in one directory, their ledger and the laws fitted to them."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object
from zeroscale.core.jsonl import Row
from zeroscale.runs import layout, ledger, where
from zeroscale.runs.axes import Axes
from zeroscale.runs.run import Run
from zeroscale.runs.where import Wanted

if TYPE_CHECKING:
    from pandas import DataFrame


class Study:
    """A study's directory. Runs and ledger are read when first asked for, and once: `Study(directory)` looks again."""

    def __init__(self, directory: str | Path, filters: Mapping[str, Wanted] | None = None) -> None:
        """`filters` are settings that the runs must have: the others are as if they were not there."""
        self.directory = Path(directory)
        self.filters = filters or {}

    def __repr__(self) -> str:
        return f"Study({str(self.directory)!r})"

    @property
    def name(self) -> str:
        return self.directory.resolve().name

    @property
    def outputs(self) -> Path:
        """The directory that holds the study and the corpora."""
        return self.directory.resolve().parent

    @cached_property
    def runs(self) -> list[Run]:
        """Every run, whatever its state, in order of name.

        Raises:
            ZeroscaleError: the study is no directory.
        """
        if not self.directory.is_dir():
            raise ZeroscaleError(f"{self.directory} is not a directory: give a study's, such as outputs/pocket")
        runs = [Run(path) for path in layout.run_directories(self.directory)]
        return where.matching(Axes(run for run in runs if run.fault is None), self.filters) if self.filters else runs

    @cached_property
    def readable_runs(self) -> list[Run]:
        """`runs` less those of which a file is damaged: what is asked of the study as a whole goes on without them."""
        return [run for run in self.runs if run.fault is None]

    @property
    def unreadable_runs(self) -> list[Run]:
        """Those that are left out of `readable_runs`; `Run.fault` says why."""
        return [run for run in self.runs if run.fault is not None]

    def require_runs(self) -> list[Run]:
        """`runs`, of which there must be one.

        Raises:
            ZeroscaleError: there is none.
        """
        if not self.runs:
            raise ZeroscaleError(
                f"{self.directory} holds no runs (no subdirectory has a {layout.CONFIG}): give a study's directory, "
                "such as outputs/pocket"
            )
        return self.runs

    @cached_property
    def ledger(self) -> "DataFrame":
        """A row for each run and checkpoint, as in results.csv: cell (the run's name), label, model, status, step,
        seed, params, params_non_embedding, tokens, flops, train/loss and val/loss (nats per token), seconds, for each
        setting in which the runs differ its dotted key, and for each score CARD/METRIC with …/low, …/high (95 %) and
        …/n. Read from the runs, not from results.csv; a run of which a file is damaged has no rows."""
        return ledger.collect(self.readable_runs, self.axes)

    @cached_property
    def axes(self) -> Axes:
        """In which settings its runs differ; a run of which a file is damaged does not count."""
        return Axes(self.readable_runs)

    @property
    def ledger_path(self) -> Path:
        return self.directory / layout.LEDGER

    def write_ledger(self) -> Path:
        """Writes results.csv, whole or not at all; the same runs give the same bytes."""
        whole = Study(self.directory).ledger if self.filters else self.ledger
        return ledger.write(self.ledger_path, whole)

    @property
    def fit_path(self) -> Path:
        return self.directory / layout.FIT

    @cached_property
    def recorded_fit(self) -> Row | None:
        """The content of fit.json, which `zeroscale fit` writes; None where there is none.

        Raises:
            ZeroscaleError: it is damaged.
        """
        return read_object(self.fit_path) if self.fit_path.exists() else None

    @property
    def report_directory(self) -> Path:
        return self.directory / layout.REPORT

    @property
    def sweep_path(self) -> Path:
        """The record of its commands: which runs they asked for."""
        return self.directory / layout.SWEEP

    @property
    def overlap_directory(self) -> Path:
        """What its corpora and benchmarks share, by n-grams."""
        return self.directory / layout.OVERLAP
