"""The law as the report shows it: fit.json where there is one, else the bare points of the ledger.

Fitting is `zeroscale.scaling.fit`'s work; nothing is fitted here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from zeroscale.core import format
from zeroscale.core.format import number
from zeroscale.report.sweep import view as sweep
from zeroscale.report.views.study import StudyView
from zeroscale.scaling import fit_schema
from zeroscale.scaling.fit_schema import SizeLaw
from zeroscale.scaling.laws.estimate import Estimate

LOSS = "val/loss"
AXES = {
    "params_non_embedding": "parameters without embeddings, N",
    "params": "parameters with embeddings, N",
    "params_matmul": "parameters in matrix products, N",
}


class SizePoint(NamedTuple):
    """A run: its N, and its loss in nats per token."""

    run: str
    params: float
    loss: float


class Parameter(NamedTuple):
    """A fitted number with its 95 % interval."""

    value: float
    low: float | None
    high: float | None


class BandPoint(NamedTuple):
    """The fitted loss at one N with its 95 % interval."""

    params: float
    low: float | None
    value: float
    high: float | None


@dataclass(frozen=True)
class HoldOut:
    """The largest size, predicted from the smaller ones before looking at it."""

    run: str
    params: float
    predicted: float
    low: float | None
    high: float | None
    measured: float

    @property
    def inside(self) -> bool | None:
        """Whether the measured loss lies in the prediction's interval; None where there is no interval."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.measured <= self.high


@dataclass(frozen=True)
class Law:
    """The runs' losses, and the fit where there is one. `axis` says which N it is."""

    points: list[SizePoint]
    axis: str = AXES["params_non_embedding"]
    form: str | None = None
    parameters: dict[str, Parameter] = field(default_factory=dict)
    band: list[BandPoint] = field(default_factory=list)
    hold_out: HoldOut | None = None
    method: str | None = None
    warnings: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def label(self, run: str) -> str:
        """What a reader calls the run."""
        return self.labels.get(run, run)

    @property
    def shown_form(self) -> str | None:
        """The law in letters: `L(N) = (N_c/N)^{α}`."""
        return None if self.form is None else re.sub(r"\^(\w+)", r"^{\1}", greek(self.form))

    @property
    def undecided(self) -> bool:
        """Whether the exponent's interval includes zero: then the data do not show that loss depends on size."""
        _, low, high = self.parameters.get("alpha", Parameter(0.0, None, None))
        return low is not None and high is not None and low <= 0 <= high


def greek(text: str) -> str:
    """`alpha` and `beta` as letters."""
    return re.sub(r"\b(alpha|beta)\b", lambda name: {"alpha": "α", "beta": "β"}[name[0]], text)


def read_law(study: StudyView) -> Law:
    """L(N) of the validation loss from fit.json, on the runs that it rests on; without one, every finished run."""
    chosen = sweep.chosen_runs(study)
    measured = [
        SizePoint(run.name, run.params, loss)
        for run in study.runs
        if run.done and run.params and (loss := number(run.row.get(LOSS))) is not None
    ]
    labels = {run.name: run.label for run in study.runs}
    fitted = study.fit.laws.get(LOSS) if study.fit else None
    if not isinstance(fitted, SizeLaw):
        points = [point for point in measured if chosen is None or point.run in chosen]
        return Law(points, warnings=_missing(study), labels=labels)
    points = _points(fitted.points, {run.name for run in study.runs})
    return Law(
        points=points,
        axis=AXES.get(str(fitted.variable), AXES["params_non_embedding"]),
        form=fitted.form or None,
        parameters=_parameters(fitted.parameters),
        band=_band(fitted.band),
        hold_out=_hold_out(fitted.hold_out, points),
        method=fitted.intervals.method if fitted.intervals else None,
        warnings=[*_stale(study, points, measured), *fitted.warnings],
        labels=labels,
    )


def _points(fitted: Iterable[fit_schema.FittedRun], runs: set[str]) -> list[SizePoint]:
    points = []
    for row in fitted:
        params = number(row.params if "params" in row.keys else row.params_non_embedding)
        loss = number(row.loss)
        if row.cell in runs and params and loss:
            points.append(SizePoint(str(row.cell), params, loss))
    return sorted(points, key=lambda point: point.params)


def _missing(study: StudyView) -> list[str]:
    if study.fit is not None:
        return ["fit.json holds no law of the validation loss."]
    return [f"No law is fitted yet. Make it with: zeroscale fit runs={study.shown_path}"]


def _stale(study: StudyView, points: list[SizePoint], measured: list[SizePoint]) -> list[str]:
    """Whether fit.json was made before a run was finished or trained again."""
    losses = {run: loss for run, _, loss in points}
    known = {str(entry.cell) for entry in (study.fit.left_out if study.fit else ())} | set(losses)
    labels = {run.name: run.label for run in study.runs}
    new = [labels[run] for run, _, _ in measured if run not in known]
    changed = [labels[run] for run, _, loss in measured if abs(losses.get(run, loss) - loss) > 1e-6]
    if not new and not changed:
        return []
    reasons = [f"it does not know {', '.join(new)}"] if new else []
    reasons += [f"the loss is another now for {', '.join(changed)}"] if changed else []
    return [
        f"fit.json is older than the study: {'; '.join(reasons)}. Fit again with: zeroscale fit runs={study.shown_path}"
    ]


def _parameters(estimates: Mapping[str, Estimate]) -> dict[str, Parameter]:
    return {
        name: Parameter(value, number(estimate.low), number(estimate.high))
        for name, estimate in estimates.items()
        if (value := number(estimate.value)) is not None
    }


def _band(points: Iterable[fit_schema.BandPoint]) -> list[BandPoint]:
    rows = []
    for point in points:
        params, value = number(point.params), number(point.value)
        if params is not None and value is not None:
            rows.append(BandPoint(params, number(point.low), value, number(point.high)))
    return sorted(rows, key=lambda row: row.params)


def _hold_out(held: fit_schema.HoldOut | None, points: list[SizePoint]) -> HoldOut | None:
    if held is None:
        return None
    params, measured, predicted = number(held.params), number(held.measured), number(held.predicted)
    if params is None or measured is None or predicted is None:
        return None
    run = held.cell or next((point.run for point in points if point.params == params), "")
    return HoldOut(run, params, predicted, number(held.low), number(held.high), measured)


def by_size(points: Iterable[SizePoint]) -> list[tuple[float, float, list[str]]]:
    """(N, mean loss, runs) of each size, the smallest first: the runs of a size are repeats of each other."""
    groups: dict[float, tuple[list[float], list[str]]] = {}
    for run, params, loss in points:
        losses, runs = groups.setdefault(params, ([], []))
        losses.append(loss)
        runs.append(run)
    return [(params, fmean(losses), runs) for params, (losses, runs) in sorted(groups.items())]


def verdict(law: Law) -> str:
    """One sentence that answers whether the law holds; `^{…}` marks a superscript."""
    if not law.points:
        return "No run of this study has finished with a validation loss yet."
    sizes = sorted({params for _, params, _ in law.points})
    losses = [mean for _, mean, _ in by_size(law.points)]
    name = format.count(len(sizes), "size").capitalize()
    if len(sizes) == 1:
        return f"{name}, {format.scaled(sizes[0])} parameters: validation loss {format.figure(losses[0])}."
    span = f"{name}, {format.scaled(sizes[0])} to {format.scaled(sizes[-1])} parameters"
    change = f"from {format.figure(losses[0])} to {format.figure(losses[-1])}"
    falls = all(after < before for before, after in pairwise(losses))
    if not falls:
        worse = [format.scaled(n) for n, (a, b) in zip(sizes[1:], pairwise(losses), strict=True) if b >= a]
        text = (
            f"{span}: validation loss goes {change}, but not with every size: "
            f"{', '.join(worse)} is no better than the size below."
        )
        return f"{text} The data do not show a power law{_undecided(law)}." if law.undecided else text
    if law.undecided:
        return f"{span}: validation loss falls {change} nats, but the data do not show a power law{_undecided(law)}."
    return f"{span}: validation loss falls {change} nats{_as_power(law)}."


POWER = f"N^{{{format.MINUS}α}}"  # L ∼ N^−α throughout: alpha itself is positive where loss falls
BARE = f"L{format.SPACE}∼{format.SPACE}{POWER}"


def _undecided(law: Law) -> str:
    alpha, low, high = law.parameters["alpha"]
    interval = f"its 95{format.SPACE}% interval, {format.interval(low, high, 2)}, includes zero"
    return f": the exponent α of {BARE} is {format.figure(alpha, 2)}, and {interval}"


def _as_power(law: Law) -> str:
    if "alpha" not in law.parameters:
        return ""
    alpha, low, high = law.parameters["alpha"]
    irreducible = law.parameters["E"].value if "E" in law.parameters else 0.0
    shape = f"L {format.MINUS} {format.figure(irreducible)} ∼ {POWER}" if irreducible > 0 else BARE
    interval = format.interval(low, high, 2)
    text = f" (95{format.SPACE}% interval {interval})" if interval else ""
    return f", as {shape} with α = {format.figure(alpha, 2)}{text}"


def hold_out_sentence(law: Law) -> str | None:
    """The loss predicted for the largest size from the smaller ones, and the measured one."""
    held = law.hold_out
    if held is None:
        return None
    name = law.label(held.run) or f"the largest size ({format.scaled(held.params)} parameters)"
    text = f"Predicted from the smaller sizes, {name} should reach {format.figure(held.predicted)}"
    if held.inside is not None:
        text += f" ({format.interval(held.low, held.high)})"
    text += f"; it reached {format.figure(held.measured)}"
    text += {True: ", inside the interval", False: ", outside the interval", None: ""}[held.inside]
    error = 100 * (held.predicted / held.measured - 1)
    size = f"{format.figure(abs(error), 2)}{format.SPACE}%"
    return f"{text}: the prediction was {size} too {'high' if error > 0 else 'low'}."
