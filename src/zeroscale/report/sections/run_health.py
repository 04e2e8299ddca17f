"""How each run behaved: what failed, diverged or jumped, how far it ended off the law. The worst comes first."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zeroscale.core import format
from zeroscale.core.format import number
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.report.views.fit_file import SURFACES, run_of
from zeroscale.report.views.loss_curves import smooth
from zeroscale.report.views.study import RunView, StudyView

# What is a jump: so many robust standard deviations, and so many nats, above the smoothed loss just before.
DEVIATIONS, NATS = 6.0, 0.1
# The first steps fall steeply and by leaps: they are not judged.
START = 0.05
# A run ends badly where its loss, smoothed over a tenth of the steps, ends so many nats above its lowest; and further
# than noise of the steps would take it, by as many standard deviations as a jump.
RISE, LONG = 0.05, 0.1
FAILED, NOT_FINITE, NOT_DONE, RISES, JUMPS, NOTHING = range(5, -1, -1)


@dataclass(frozen=True)
class RunHealth:
    """One run. `grade` is of the worst remark, from NOTHING to FAILED; `worst` says it in words."""

    run: str
    label: str
    severity: int
    size: float
    """How bad, among those of the same grade."""
    worst: str
    remarks: list[str] = field(default_factory=list)
    train: float | None = None
    """The smoothed training loss at the end."""
    jump: tuple[float, int] | None = None
    """The largest jump of the training loss, in nats, and its step."""
    off: float | None = None
    """ln of the measured loss over the law's."""


def run_health(study: StudyView) -> list[RunHealth]:
    """Every run's, the worst first. A run that is still going on is not judged for not being done."""
    off = residuals(study.fit)
    found = [_conduct(run, off.get(run.name)) for run in study.runs]
    return sorted(found, key=lambda one: (-one.severity, -one.size))


def residuals(fit: dict[str, Any] | None) -> dict[str, float]:
    """ln(measured/fitted) by run: off the law over size and data where there is one, else off the law over size."""
    laws = (fit or {}).get("laws")
    for name in (*SURFACES, "val/loss"):
        law = laws.get(name) if isinstance(laws, dict) else None
        points = law.get("points") if isinstance(law, dict) else None
        known = {run_of(point): number(point.get("log_residual")) for point in points or []}
        if any(value is not None for value in known.values()):
            return {run: value for run, value in known.items() if value is not None}
    return {}


def _conduct(run: RunView, off: float | None) -> RunHealth:
    graded = _graded(run)
    losses = np.array([_float(row.get("train/loss")) for row in run.metrics if "train/loss" in row])
    steps = [int(number(row.get("step")) or 0) for row in run.metrics if "train/loss" in row]
    jump, train = None, None
    if np.isfinite(losses).sum() >= 3:
        smoothed = smooth(losses, span=max(1.0, len(losses) / 50))
        train = float(smoothed[-1])
        jump, noise = _jump(losses, smoothed, steps)
        graded += _rise(losses, noise)
        if jump and jump[0] > max(DEVIATIONS * noise, NATS):
            graded.append((JUMPS, jump[0], f"the loss jumps by {format.figure(jump[0], 2)} nats at step {jump[1]:,}"))
    graded.sort(key=lambda one: (-one[0], -one[1]))
    remarks = [text for _, _, text in graded]
    mild = off if off is not None else jump[0] if jump else 0.0
    grade, size, worst = graded[0] if graded else (NOTHING, mild, _mildest(off, jump))
    return RunHealth(run.name, run.label, grade, size, worst, remarks, train, jump, off)


def _graded(run: RunView) -> list[tuple[int, float, str]]:
    """(grade, size, words) of what the status and the losses say outright."""
    found: list[tuple[int, float, str]] = []
    if run.state == "failed":
        found.append((FAILED, 0.0, f"failed{_at(run)}: {run.reason or 'no reason was recorded'}"))
    elif run.state == "resumable":
        found.append((NOT_DONE, 0.0, f"not done{_at(run)} ({run.state})"))
    bad = [row for row in run.metrics if "train/loss" in row and number(row["train/loss"]) is None]
    if bad:
        first = int(number(bad[0].get("step")) or 0)
        times = format.count(len(bad), "logged step")
        found.append((NOT_FINITE, len(bad), f"the training loss was not finite at {times}, first at step {first:,}"))
    return found


def _at(run: RunView) -> str:
    return "" if run.step is None else f" at step {run.step:,}"


def _rise(losses: np.ndarray, noise: float) -> list[tuple[int, float, str]]:
    span = max(1.0, LONG * len(losses))
    judged = smooth(losses, span)[int(START * len(losses)) :]
    rise = float(judged[-1] - np.nanmin(judged))
    # The standard deviation of an exponential moving average of independent noise is the noise's over sqrt(2 span - 1).
    if not rise > max(RISE, DEVIATIONS * noise / math.sqrt(2 * span - 1)):
        return []
    return [(RISES, rise, f"the smoothed loss ends {format.figure(rise, 2)} nats above its lowest")]


def _jump(losses: np.ndarray, smoothed: np.ndarray, steps: list[int]) -> tuple[tuple[float, int] | None, float]:
    """((the largest jump above the smoothed loss before it, its step), robust standard deviation of such jumps)."""
    start = max(1, int(START * len(losses)))
    above = losses[start:] - smoothed[start - 1 : -1]
    known = above[np.isfinite(above)]
    if len(known) < 3:
        return None, math.inf
    noise = 1.4826 * float(np.median(np.abs(known - np.median(known))))  # of a normal distribution
    at = int(np.nanargmax(np.where(np.isfinite(above), above, -math.inf)))
    return (float(above[at]), steps[start + at]), noise


def _mildest(off: float | None, jump: tuple[float, int] | None) -> str:
    """What to say of a run with which nothing is wrong."""
    parts = []
    if off is not None:
        share = format.figure(100 * abs(math.expm1(off)), 2)
        parts.append(f"{share}{format.SPACE}% {'above' if off > 0 else 'below'} the law")
    if jump and jump[0] > 0:
        parts.append(f"largest jump of the loss {format.figure(jump[0], 2)} nats, at step {jump[1]:,}")
    return "; ".join(parts)


def _float(value: Any) -> float:
    known = number(value)
    return math.nan if known is None else known


def table(study: StudyView, found: list[RunHealth]) -> Table:
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
    return Table(columns, [_row(runs[one.run], one) for one in found])


def _row(run: RunView, health: RunHealth) -> list[Cell]:
    def value(measured: float | None, show: Callable[[float], str], note: str = "") -> Cell:
        return Cell(format.NOTHING if measured is None else show(measured), measured, note=note)

    steps = number(run.metrics[-1].get("step")) if run.metrics else None
    percent = None if health.off is None else 100 * math.expm1(health.off)
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
