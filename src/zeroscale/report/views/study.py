"""A study as the report shows it: its runs, their rows of results.csv, and fit.json."""

import contextlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import number
from zeroscale.report.views.results import Json, ResultView
from zeroscale.runs import layout, ledger, where
from zeroscale.runs import study as studies
from zeroscale.runs.axes import Axes, show
from zeroscale.runs.manifest import Manifest
from zeroscale.runs.run import Run
from zeroscale.runs.where import Wanted
from zeroscale.scaling.fit_schema import FitFile, read_fit

LedgerRow = dict[str, float | str]
"""A row of results.csv by column; `line` is its line in the file."""

LOG_BYTES = 16_384
LOG_WIDTH = 400
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # ECMA-48 control sequences


@dataclass(frozen=True)
class RunView:
    """One run. `metrics` are the rows of metrics.jsonl, `results` the results by step, `rows` its rows of results.csv.

    In `rows` a field that reads as a number is a float, and an empty one is left out; `line` is its line in the file.
    `label` is what a reader calls the run: its model and what was varied, "pocket-s lr=0.003 seed=0" (`Axes.label`);
    `name`, its directory, is what identifies it.
    """

    run: Run
    metrics: list[Json]
    results: dict[int, list[ResultView]]
    rows: list[LedgerRow]
    label: str

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def directory(self) -> Path:
        return self.run.directory

    @property
    def state(self) -> str:
        return self.run.state

    @property
    def reason(self) -> str:
        """Why the run is in its state; "" where none was recorded."""
        return self.run.reason

    @property
    def step(self) -> int | None:
        return self.run.step

    @property
    def settings(self) -> Json:
        return self.run.settings

    @property
    def manifest(self) -> Manifest:
        return self.run.manifest

    @property
    def done(self) -> bool:
        return self.state == "done"

    @property
    def row(self) -> LedgerRow:
        """The last checkpoint's row of results.csv; empty where the run has none."""
        return self.rows[-1] if self.rows else {}

    @property
    def params(self) -> float | None:
        """Parameters without embeddings (Kaplan's N): the axis of every figure over size."""
        counted = self.manifest.get("params") or {}
        return number(self.row.get("params_non_embedding", counted.get("non_embedding")))

    @property
    def log(self) -> Path:
        """Where to read why a run stopped: its log, else the status file."""
        return self.run.log if self.run.log.is_file() else self.run.directory / layout.STATUS

    def last_words(self, lines: int = 12) -> str:
        """The log's last lines, without a terminal's colours; of a line rewritten in place, its last state."""
        if self.log.suffix != ".txt":
            return ""
        try:
            with open(self.log, "rb") as handle:
                handle.seek(max(0, handle.seek(0, 2) - LOG_BYTES))
                text = ESCAPES.sub("", handle.read().decode("utf-8", "replace"))
        except OSError:
            return ""
        lines_of_log = [line.rstrip().rpartition("\r")[2] for line in text.split("\n") if line.strip()]
        return "\n".join(line[:LOG_WIDTH] for line in lines_of_log[-lines:])


@dataclass(frozen=True)
class StudyView:
    """A study's runs, from the smallest model to the largest; `fit` is None without a fit.json.

    `left_out` are sentences: what is not shown, because its file is damaged, and why.
    """

    name: str
    directory: Path
    runs: list[RunView]
    fit: FitFile | None
    left_out: tuple[str, ...] = ()
    missing: int = 0
    """Runs that its commands asked for and that have no directory: not begun, or deleted."""
    damaged: int = 0
    """Runs that are left out because a file of theirs is damaged."""

    @property
    def total(self) -> int:
        """Its runs, those that are not shown too: as many as `status` counts."""
        return len(self.runs) + self.missing + self.damaged

    @cached_property
    def axes(self) -> Axes:
        """In which settings its runs differ."""
        return Axes(run.run for run in self.runs)

    @property
    def shown_path(self) -> str:
        """The folder as one would type it: relative to the working directory where it lies below it."""
        try:
            return self.directory.resolve().relative_to(Path.cwd()).as_posix()
        except ValueError:
            return self.directory.as_posix()


def read_study(directory: Path, keep: bool = True, filters: Mapping[str, Wanted] | None = None) -> StudyView:
    """Reads everything the report shows. A results.csv that is missing, or not what the runs' files say, is written
    anew, unless `keep` is false: then nothing is written into the study.

    A run of which a file is damaged, and a damaged fit.json, are left out with a word. With `filters` only runs with
    these settings are shown; the laws, which rest on others too, are left out.

    Raises:
        ZeroscaleError: the directory is none, or holds no run that can be read, or none with these settings.
    """
    study = studies.Study(directory, filters)
    directory, runs = study.directory, study.readable_runs
    left_out = [f"{run.name} is left out: {run.fault}." for run in study.unreadable_runs]
    if study.runs and not runs:
        raise ZeroscaleError("\n".join([f"{directory}: no run can be read.", *left_out]))
    if not runs:
        raise ZeroscaleError(
            f"{directory} holds no run (no subdirectory has a config.yaml): give a study's directory, such as "
            "study=outputs/pocket, or train one with `zeroscale train +sweeps=pocket`"
        )
    ledger = _ledger(study, keep)
    labels = study.axes.labels
    views = [_run_view(run, ledger.get(run.name, []), labels[run.name]) for run in runs]
    views.sort(key=lambda view: (view.params or math.inf, view.name))
    if filters:
        chosen = where.text(filters)
        left_out.append(
            f"Only the {len(runs)} runs with {chosen} are shown. The laws rest on others too and are left out; those "
            f"of these runs: zeroscale fit runs={directory} {chosen} out=FILE."
        )
    try:
        fit = read_fit(directory / layout.FIT) if (directory / layout.FIT).exists() and not filters else None
    except ZeroscaleError as error:
        fit = None
        left_out.append(f"The laws are left out: {error}.")
    try:
        missing = 0 if filters else len(study.missing_runs)
    except ZeroscaleError as error:
        missing = 0
        left_out.append(f"Runs that have not begun are not known: {error}.")
    return StudyView(study.name, directory, views, fit, tuple(left_out), missing, len(study.unreadable_runs))


def _run_view(run: Run, rows: list[LedgerRow], label: str) -> RunView:
    metrics = [row for _, row in sorted(run.metrics.items())]
    by_step = {step: _results(run, step) for step in run.recorded_steps}
    return RunView(run, metrics, {step: results for step, results in by_step.items() if results}, rows, label)


def _results(run: Run, step: int) -> list[ResultView]:
    """A step's results."""
    results = []
    for result in run.results_at(step):
        path = result.path.relative_to(run.directory.parent).as_posix()
        results.append(ResultView(step, path, result.content, result.examples if result.examples.is_file() else None))
    return results


def _ledger(study: studies.Study, keep: bool) -> dict[str, list[LedgerRow]]:
    """results.csv's rows by run; collected again where it is older than what it is made from, or says otherwise."""
    path = study.ledger_path
    if path.is_file() and path.stat().st_mtime >= _newest_record(study.readable_runs):
        with contextlib.suppress(ZeroscaleError):
            table = ledger.read_rows(path)
            if _is_of(table, study):
                return _by_run(table)
    if keep and not study.filters:
        study.write_ledger()
    return _by_run(ledger.parse_rows(path, ledger.as_csv(study.ledger)))


def _is_of(table: list[tuple[int, dict[str, str]]], study: studies.Study) -> bool:
    """Whether a ledger has the rows, states, labels and settings that the study's runs have now."""
    axes = study.axes
    keys = [key for key in axes.columns if key not in ledger.FIXED_COLUMNS and "/" not in key]
    expected: dict[tuple[str, str], tuple[str, str | None, list[str]]] = {}
    for run in study.readable_runs:
        settings = [show(axes.value(run, key)) for key in keys]
        label = axes.label(run) if axes.columns else None
        expected |= {(run.name, str(step)): (run.state, label, settings) for step in run.recorded_steps}
    found = {
        (row.get("cell", ""), row.get("step", "")): (
            row.get("status"),
            row.get("label"),
            [show(ledger.setting(row.get(key, ""))) for key in keys],
        )
        for _, row in table
    }
    columns = {key for _, row in table[:1] for key in row if "/" not in key and key not in ledger.FIXED_COLUMNS}
    return found == expected and columns == set(keys if table else [])


def _newest_record(runs: Iterable[Run]) -> float:
    names = (layout.CONFIG, layout.MANIFEST, layout.STATUS, layout.METRICS, layout.DONE)
    times = [0.0]
    for run in runs:
        records = [run.directory / name for name in names] + [result.path for result in run.results]
        times += [path.stat().st_mtime for path in records if path.is_file()]
    return max(times)


def _by_run(table: list[tuple[int, dict[str, str]]]) -> dict[str, list[LedgerRow]]:
    rows: dict[str, list[LedgerRow]] = {}
    for line, raw in table:
        row: LedgerRow = {column: _field(text) for column, text in raw.items() if text}
        rows.setdefault(raw.get("cell", ""), []).append({**row, "line": line})
    for rows_of_run in rows.values():
        rows_of_run.sort(key=lambda row: number(row.get("step")) or 0.0)
    return rows


def _field(text: str) -> float | str:
    value = number(text)
    return text if value is None else value
