"""How far a study is, read from its files: a row per run, with what its last logged steps say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from zeroscale.core import json_records
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import duration
from zeroscale.core.jsonl import Row as Metrics
from zeroscale.core.jsonl import last_bytes
from zeroscale.core.tables import Column, Table
from zeroscale.runs.run import Run
from zeroscale.runs.status import cause
from zeroscale.runs.study import Study
from zeroscale.runs.where import Wanted

if TYPE_CHECKING:
    import rich.table

# Lines of a failed run's log that are shown.
LOG_LINES = 5
# Logged steps that the speed is taken from.
_RECENT = 20

DAMAGED = "damaged"
COLUMNS = (Column("cell"), Column("settings", wraps=True), Column("state"))
WHY = Column("why", wraps=True)


@dataclass(frozen=True)
class Row:
    """A run now. What is not known is None."""

    directory: Path
    settings: str
    """What sets it apart in its sweep."""
    state: str
    reason: str = ""
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    val_loss: float | None = None
    tokens_per_s: float | None = None
    seconds_left: float | None = None


class Planned(TypedDict):
    """A run of a sweep, as sweep.json lists it: its name, what sets it apart, and its steps."""

    cell: str
    settings: str
    steps: int


class Sweep(TypedDict, total=False):
    """sweep.json."""

    command: str
    cells: list[Planned]


def read(directory: Path, filters: Mapping[str, Wanted] | None = None) -> list[Row]:
    """Every run of a study, first those of its last sweep in that order, those that have not begun too; with filters
    those that have these settings, as far as they have begun.

    Raises:
        ZeroscaleError: it is no directory, or no run has these settings.
    """
    study = Study(directory, filters)
    runs = {run.name: run for run in study.runs}
    listed, rows = _planned(study)
    listed = [run for run in listed if run["cell"] in runs] if filters else listed
    planned = {run["cell"]: run for run in listed}
    for name in [*planned, *(name for name in runs if name not in planned)]:
        label = planned[name]["settings"] if name in planned else ""
        if name in runs:
            rows.append(_row_or_fault(runs[name], label))
        else:
            rows.append(Row(directory / name, label, "missing", step=0, steps=planned[name]["steps"]))
    return rows


def _planned(study: Study) -> tuple[list[Planned], list[Row]]:
    """The runs of the last sweep; and a row for sweep.json itself, where that is damaged."""
    path = study.sweep_path
    try:
        return (json_records.read(Sweep, path).get("cells", []) if path.exists() else []), []
    except ZeroscaleError as error:
        return [], [Row(path, "", DAMAGED, f"{error}; runs that have not begun are not known")]


def _row_or_fault(run: Run, label: str) -> Row:
    """A run's row; of one whose files are damaged, which and how."""
    try:
        return _row(run, label)
    except ZeroscaleError as error:
        return Row(run.directory, label, DAMAGED, str(error))


def _row(run: Run, label: str) -> Row:
    batch, tokens = run.batch_tokens, run.tokens
    steps = tokens // batch if batch and tokens else None
    logged = run.last_metrics()
    state, reason, step = run.status
    last = logged[-1] if logged else {}
    rate = _rate(logged)
    left = None
    if state == "running" and rate and steps is not None and batch:
        left = (steps - last["step"]) * batch / rate
        if not left:
            reason = reason or "trained, being scored"
    return Row(
        run.directory,
        label,
        state,
        reason,
        step=last.get("step", step),
        steps=steps,
        loss=last.get("train/loss"),
        val_loss=next((row["val/loss"] for row in reversed(logged) if row.get("val/loss") is not None), None),
        tokens_per_s=rate if state == "running" else None,
        seconds_left=left,
    )


def _rate(logged: Sequence[Metrics]) -> float | None:
    """Tokens per training second over the last logged steps."""
    recent = logged[-_RECENT:]
    if len(recent) < 2:
        return None
    seconds = recent[-1].get("seconds", 0) - recent[0].get("seconds", 0)
    tokens = recent[-1].get("tokens", 0) - recent[0].get("tokens", 0)
    return tokens / seconds if seconds > 0 else None


def last_lines(log: Path) -> list[str]:
    """The end of a run's log."""
    lines = last_bytes(log)[0].decode("utf-8", "replace").splitlines()
    return [line.rstrip() for line in lines if line.strip()][-LOG_LINES:]


def progress(rows: Sequence[Row]) -> "rich.table.Table":
    """The table of `status`."""
    columns = [
        *COLUMNS,
        *(Column(label, number=True) for label in ("step", "loss", "val loss", "tokens/s", "left")),
        WHY,
    ]
    texts = [
        (
            row.directory.name,
            row.settings,
            row.state,
            _steps(row),
            _number(row.loss, ".3f"),
            _number(row.val_loss, ".3f"),
            _number(row.tokens_per_s, ",.0f"),
            "" if row.seconds_left is None else duration(row.seconds_left, "short"),
            row.reason if row.state == DAMAGED else cause(row.reason),
        )
        for row in rows
    ]
    done = sum(row.state == "done" for row in rows)
    return Table.of_texts(columns, texts, f"{done} of {len(rows)} finished").rich()


def _steps(row: Row) -> str:
    if row.steps is None:
        return "" if row.step is None else f"{row.step:,}"
    return f"{row.step or 0:,}/{row.steps:,}"


def _number(value: float | None, spec: str) -> str:
    return "" if value is None else f"{value:{spec}}"
