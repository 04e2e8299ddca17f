"""How far a study is, read from its files: a row per run, with what its last logged steps say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.jsonl import Row as Metrics
from zeroscale.core.jsonl import last_bytes
from zeroscale.runs import layout, where
from zeroscale.runs.axes import Axes, Value, show
from zeroscale.runs.run import Run
from zeroscale.runs.study import Planned, Study
from zeroscale.runs.where import Wanted

# Lines of a failed run's log that are shown.
LOG_LINES = 5
# Logged steps that the speed is taken from.
_RECENT = 20

DAMAGED, MISSING = "damaged", "missing"
STATES = ("done", "running", "resumable", "failed", DAMAGED, MISSING)


@dataclass(frozen=True)
class Row:
    """A run now. What is not known is None."""

    directory: Path
    settings: str
    """What set it apart in the command that asked for it."""
    state: str
    reason: str = ""
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    val_loss: float | None = None
    tokens_per_s: float | None = None
    seconds_left: float | None = None
    model: str | None = None
    """With its hash, where nothing that was varied tells it from another run; None where its settings are not known."""
    values: Mapping[str, Value] = field(default_factory=dict)
    """What it has of what the study varied, by dotted key."""


@dataclass(frozen=True)
class Status:
    """The runs of a study, and what it varied."""

    rows: Sequence[Row]
    axes: Axes

    @property
    def done(self) -> int:
        return sum(row.state == "done" for row in self.rows)

    @property
    def all_done(self) -> bool:
        return self.done == len(self.rows)

    @property
    def caption(self) -> str:
        """ "28 of 30 finished"."""
        runs = [row for row in self.rows if row.directory.name != layout.SWEEP]
        return f"{self.done} of {len(runs)} finished"


def read(directory: Path, filters: Mapping[str, Wanted] | None = None) -> Status:
    """Every run of a study: first those that its commands asked for, in that order, those that have not begun too; then
    the others by name. With filters those that have these settings.

    Only the ends of the metrics are read: of a file that is damaged before, `Run.fault` tells.

    Raises:
        ZeroscaleError: it is no directory, or no run has these settings.
    """
    study = Study(directory)
    rows: list[Row] = []
    runs = {run.name: run for run in study.runs}
    planned: dict[str, Planned] = {}
    try:
        runs |= {run.name: run for run in study.missing_runs}
        planned = {run["cell"]: run for run in study.sweep.get("cells", [])}
    except ZeroscaleError as error:
        rows.append(Row(study.sweep_path, "", DAMAGED, f"{error}; runs that have not begun are not known"))
    runs = {name: runs[name] for name in [*planned, *sorted(runs.keys() - planned.keys())]}
    faults = {name: fault for name, run in runs.items() if (fault := _fault(run))}
    axes = study.planned_axes
    chosen = {run.name for run in where.matching(axes, filters)} if filters else set(runs)
    for name, run in runs.items():
        if name not in chosen:
            continue
        row = _row(run, planned.get(name)) if name not in faults else Row(run.directory, "", DAMAGED, faults[name])
        rows.append(row if row.state == DAMAGED else _with_settings(row, run, axes))
    return Status(rows, axes)


def _fault(run: Run) -> str | None:
    """Why what the axes are made from cannot be read."""
    try:
        _ = run.settings, run.manifest
    except ZeroscaleError as error:
        return str(error)
    return None


def _with_settings(row: Row, run: Run, axes: Axes) -> Row:
    if not run.settings or not run.model:
        return replace(row, values=_from_words(row.settings, axes))
    values = {axis.key: axes.value(run, axis.key) for axis in axes.varied}
    return replace(row, model=run.model + axes.suffix(run), values=values)


def _from_words(settings: str, axes: Axes) -> dict[str, Value]:
    """The values that a command's words ("optimizer.lr=0.003 seed=0") name, of what other runs varied."""
    words = settings.split()
    return {
        axis.key: value
        for axis in axes.varied
        for value in axis.values
        if not {f"{axis.key}={show(value)}", f"{axis.short}={show(value)}"}.isdisjoint(words)
    }


def _row(run: Run, planned: Planned | None) -> Row:
    """A run's row; of one whose files are damaged, which and how."""
    label = planned["settings"] if planned else ""
    if planned and not layout.is_run(run.directory):
        return Row(run.directory, label, MISSING, step=0, steps=planned["steps"])
    try:
        return _begun(run, label)
    except ZeroscaleError as error:
        return Row(run.directory, label, DAMAGED, str(error))


def _begun(run: Run, label: str) -> Row:
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
