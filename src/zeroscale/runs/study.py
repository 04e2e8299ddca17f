"""A study: the runs in one directory, their ledger and the laws fitted to them."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from zeroscale.core import json_records
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object
from zeroscale.core.jsonl import Row
from zeroscale.runs import layout, ledger, where
from zeroscale.runs.axes import Axes
from zeroscale.runs.run import Run
from zeroscale.runs.where import Wanted

if TYPE_CHECKING:
    from pandas import DataFrame


class Planned(TypedDict):
    """A run that a command asked for: its name, what set it apart in that command, and its steps."""

    cell: str
    settings: str
    steps: int
    values: NotRequired[dict[str, Any]]
    """Its settings by dotted key, less those in `SweepFile.shared`; versions before did not record them."""


class Command(TypedDict):
    """A command and the runs that it asked for."""

    command: str
    cells: list[str]


class SweepFile(TypedDict, total=False):
    """sweep.json; `command` is the last. Versions before knew that one alone, with its cells."""

    command: str
    cells: list[Planned]
    commands: list[Command]
    shared: dict[str, Any]


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

    @cached_property
    def sweep(self) -> SweepFile:
        """Which runs its commands asked for; {} where that is not recorded.

        Raises:
            ZeroscaleError: sweep.json is damaged.
        """
        return json_records.read(SweepFile, self.sweep_path) if self.sweep_path.exists() else {}

    @cached_property
    def missing_runs(self) -> list[Run]:
        """The runs that its commands asked for and that have no directory, in the commands' order; each with the
        settings that it will have, as far as they were recorded.

        Raises:
            ZeroscaleError: sweep.json is damaged.
        """
        begun = {path.name for path in layout.run_directories(self.directory)}
        return [self._planned(run) for run in self.sweep.get("cells", []) if run["cell"] not in begun]

    def _planned(self, planned: Planned) -> Run:
        run = Run(self.directory / planned["cell"])
        settings: dict[str, Any] = {}
        known = {**self.sweep.get("shared", {}), **planned["values"]} if "values" in planned else {}
        for key, value in known.items():
            *groups, leaf = key.split(".")
            node = settings
            for group in groups:
                node = node.setdefault(group, {})
            node[leaf] = value
        run.settings = settings
        return run

    @cached_property
    def planned_axes(self) -> Axes:
        """In which settings its runs differ, those that have not begun too; of runs that have begun only settings and
        manifest are read, and those where these are damaged do not count."""
        begun = [run for run in self.runs if _says_what_it_is(run)]
        try:
            missing = self.missing_runs
        except ZeroscaleError:
            missing = []
        return Axes(run for run in [*begun, *missing] if run.settings)

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


def _says_what_it_is(run: Run) -> bool:
    try:
        _ = run.settings, run.manifest
    except ZeroscaleError:
        return False
    return True
