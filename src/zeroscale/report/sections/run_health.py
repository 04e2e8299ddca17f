"""How each run behaved: what failed, diverged or jumped, how far it ended off the law. The worst comes first."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zeroscale.core import format
from zeroscale.core.format import number
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.report.views.fit_file import run_name
from zeroscale.report.views.loss_curves import smooth
from zeroscale.report.views.study import RunView, StudyView
from zeroscale.scaling.fit_schema import FitFile
from zeroscale.scaling.registry import SURFACES

Losses = NDArray[np.float64]

# What is a jump: so many robust standard deviations, and so many nats, above the smoothed loss just before.
DEVIATIONS, NATS = 6.0, 0.1
# The first steps fall steeply and by leaps: they are not judged.
START = 0.05
# A run ends badly where its loss, smoothed over a tenth of the steps, ends so many nats above its lowest; and further
# than noise of the steps would take it, by as many standard deviations as a jump.
RISE, LONG = 0.05, 0.1


class Severity(IntEnum):
    """How bad a remark is."""

    NOTHING = 0
    JUMPS = 1
    RISES = 2
    NOT_DONE = 3
    NOT_FINITE = 4
    FAILED = 5


class Remark(NamedTuple):
    """`size`: how bad, among those of the same severity."""

    severity: Severity
    size: float
    text: str


class Jump(NamedTuple):
    """A jump of the training loss above the smoothed loss just before."""

    nats: float
    step: int


@dataclass(frozen=True)
class RunHealth:
    """One run. `severity` and `size` are those of its worst remark; `worst` says it in words."""

    run: str
    label: str
    severity: Severity
    size: float
    worst: str
    remarks: list[str] = field(default_factory=list)
    train: float | None = None
    """The smoothed training loss at the end."""
    jump: Jump | None = None
    """The largest one."""
    log_residual: float | None = None
    """ln of the measured loss over the law's."""


def run_health(study: StudyView) -> list[RunHealth]:
    """Every run's, the worst first. A run that is still going on is not judged for not being done."""
    log_residuals = residuals(study.fit)
    rows = [_judge(run, log_residuals.get(run.name)) for run in study.runs]
    return sorted(rows, key=lambda row: (-row.severity, -row.size))


def residuals(fit: FitFile | None) -> dict[str, float]:
    """ln(measured/fitted) by run: off the law over size and data where there is one, else off the law over size."""
    laws = fit.laws if fit else {}
    for law in (laws[name] for name in (*SURFACES, "val/loss") if name in laws):
        by_run = {run_name(point.cell): point.log_residual for point in law.points}
        known = {run: float(value) for run, value in by_run.items() if value is not None}
        if known:
            return known
    return {}


def _judge(run: RunView, log_residual: float | None) -> RunHealth:
    remarks = _outright(run)
    losses = np.array([_float(row.get("train/loss")) for row in run.metrics if "train/loss" in row])
    steps = [int(number(row.get("step")) or 0) for row in run.metrics if "train/loss" in row]
    jump, train = None, None
    if np.isfinite(losses).sum() >= 3:
        smoothed = smooth(losses, span=max(1.0, len(losses) / 50))
        train = float(smoothed[-1])
        jump, noise = _jump(losses, smoothed, steps)
        remarks += _rise(losses, noise)
        if jump and jump.nats > max(DEVIATIONS * noise, NATS):
            text = f"the loss jumps by {format.figure(jump.nats, 2)} nats at step {jump.step:,}"
            remarks.append(Remark(Severity.JUMPS, jump.nats, text))
    remarks.sort(key=lambda remark: (-remark.severity, -remark.size))
    size = log_residual if log_residual is not None else jump.nats if jump else 0.0
    worst = remarks[0] if remarks else Remark(Severity.NOTHING, size, _harmless(log_residual, jump))
    texts = [remark.text for remark in remarks]
    return RunHealth(run.name, run.label, *worst, texts, train, jump, log_residual)


def _outright(run: RunView) -> list[Remark]:
    """What the status and the losses say without arithmetic."""
    remarks: list[Remark] = []
    if run.state == "failed":
        remarks.append(Remark(Severity.FAILED, 0.0, f"failed{_at(run)}: {run.reason or 'no reason was recorded'}"))
    elif run.state == "resumable":
        remarks.append(Remark(Severity.NOT_DONE, 0.0, f"not done{_at(run)} ({run.state})"))
    not_finite = [row for row in run.metrics if "train/loss" in row and number(row["train/loss"]) is None]
    if not_finite:
        first = int(number(not_finite[0].get("step")) or 0)
        times = format.count(len(not_finite), "logged step")
        text = f"the training loss was not finite at {times}, first at step {first:,}"
        remarks.append(Remark(Severity.NOT_FINITE, len(not_finite), text))
    return remarks


def _at(run: RunView) -> str:
    return "" if run.step is None else f" at step {run.step:,}"


def _rise(losses: Losses, noise: float) -> list[Remark]:
    span = max(1.0, LONG * len(losses))
    judged = smooth(losses, span)[int(START * len(losses)) :]
    rise = float(judged[-1] - np.nanmin(judged))
    # The standard deviation of an exponential moving average of independent noise is the noise's over sqrt(2 span - 1).
    if not rise > max(RISE, DEVIATIONS * noise / math.sqrt(2 * span - 1)):
        return []
    return [Remark(Severity.RISES, rise, f"the smoothed loss ends {format.figure(rise, 2)} nats above its lowest")]


def _jump(losses: Losses, smoothed: Losses, steps: list[int]) -> tuple[Jump | None, float]:
    """(The largest jump, robust standard deviation of jumps)."""
    start = max(1, int(START * len(losses)))
    above = losses[start:] - smoothed[start - 1 : -1]
    finite = above[np.isfinite(above)]
    if len(finite) < 3:
        return None, math.inf
    noise = 1.4826 * float(np.median(np.abs(finite - np.median(finite))))  # of a normal distribution
    largest = int(np.nanargmax(np.where(np.isfinite(above), above, -math.inf)))
    return Jump(float(above[largest]), steps[start + largest]), noise


def _harmless(log_residual: float | None, jump: Jump | None) -> str:
    """What to say of a run with which nothing is wrong."""
    parts = []
    if log_residual is not None:
        share = format.figure(100 * abs(math.expm1(log_residual)), 2)
        parts.append(f"{share}{format.SPACE}% {'above' if log_residual > 0 else 'below'} the law")
    if jump and jump.nats > 0:
        parts.append(f"largest jump of the loss {format.figure(jump.nats, 2)} nats, at step {jump.step:,}")
    return "; ".join(parts)


def _float(value: object) -> float:
    finite = number(value)
    return math.nan if finite is None else finite


def table(study: StudyView, health: list[RunHealth]) -> Table:
    """A row per run, the worst first."""
    runs = {run.name: run for run in study.runs}
    columns = [
        Column("run"),
        Column("state"),
        Column("steps", number=True),
        Column("training loss", note="smoothed, at the end", number=True),
        Column("validation loss", note="nats per token", number=True),
        Column("largest jump", note="nats above the smoothed loss", number=True),
        Column("off the law", note="measured over fitted, less one", number=True),
        Column("remarks"),
    ]
    return Table(columns, [_row(runs[row.run], row) for row in health])


def _row(run: RunView, health: RunHealth) -> list[Cell]:
    def value(measured: float | None, show: Callable[[float], str], note: str = "") -> Cell:
        return Cell(format.NOTHING if measured is None else show(measured), measured, note=note)

    steps = number(run.metrics[-1].get("step")) if run.metrics else None
    percent = None if health.log_residual is None else 100 * math.expm1(health.log_residual)
    nats, at = health.jump or (None, 0)
    remarks = "; ".join(health.remarks) or "none"
    return [
        Cell(health.label, origin=health.run),
        Cell(run.state),
        value(steps, lambda n: f"{n:,.0f}"),
        value(health.train, lambda loss: f"{loss:.3f}"),
        value(number(run.row.get("val/loss")), lambda loss: f"{loss:.3f}"),
        value(nats, lambda jump: format.figure(jump, 2), f"step {at:,}" if health.jump else ""),
        value(percent, lambda off: f"{off:+.2g}{format.SPACE}%".replace("-", format.MINUS)),
        Cell(remarks, f"{5 - health.severity} {remarks}"),
    ]
