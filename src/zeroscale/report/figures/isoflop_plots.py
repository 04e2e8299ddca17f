"""IsoFLOP curves as a figure."""

import math
from typing import Literal

from zeroscale.core import format
from zeroscale.core.format import flops_text, power_text
from zeroscale.report.figures.plot import Axis, Layer, Plot, linear_reach, log_reach, spread
from zeroscale.report.views.fit_file import (
    LOSS,
    SIZE,
    PlottedRun,
    describe_budget,
    ends_of,
    plotted_runs,
    value_of,
    with_interval,
)
from zeroscale.scaling.fit_schema import DataLaw, IsoflopCurve

# More labels than these would lie over each other.
MAX_LABELS = 8
# Runs that no parabola rests on may be far above: the axis shows this share more than the others need.
HEADROOM = 0.4


def isoflop(law: DataLaw) -> Plot | None:
    """Loss over N, a colour for each budget: its runs, its parabola, and the minimum with its interval."""
    budgets = [curve for curve in (law.diagnostics.budgets if law.diagnostics else ()) if curve.flops]
    runs = {run.name: run for run in plotted_runs(law.points)}
    outside = plotted_runs(law.left_out)
    all_runs = [*runs.values(), *outside]
    if not budgets or not all_runs:
        return None
    layers: list[Layer] = []
    for i, curve in enumerate(budgets):
        inside = [runs[name] for name in curve.runs if name in runs]
        nearest = [run for run in outside if _nearest(run.flops, budgets) == i]
        labelled = len(budgets) <= MAX_LABELS or i in (0, len(budgets) - 1)
        layers += _budget(curve, (i, len(budgets)), inside, nearest, labelled)
    bottom, top = linear_reach([run.loss for run in runs.values()] or [run.loss for run in outside])
    limit = top + HEADROOM * (top - bottom)
    off_axis = sum(run.loss > limit for run in outside)
    return Plot(
        "isoflop",
        "IsoFLOP curves",
        "A colour for each budget, labelled with its FLOPs. Filled: the runs of its parabola; open: runs that it "
        "leaves out. Stars: the minima, with their 95 % intervals in N."
        + (f" {format.count(off_axis, 'run').capitalize()} above the axis." if off_axis else ""),
        f"Loss against parameters for {format.count(len(budgets), 'budget')}: "
        + "; ".join(map(describe_budget, budgets)),
        Axis(SIZE, log_reach([run.params for run in all_runs], right=0.28), show=format.scaled),
        Axis(LOSS, (bottom, min(limit, linear_reach([run.loss for run in all_runs])[1])), log=False),
        layers,
    )


def _budget(
    curve: IsoflopCurve, place: tuple[int, int], inside: list[PlottedRun], outside: list[PlottedRun], labelled: bool
) -> list[Layer]:
    """One budget's parabola, its runs, its label and its minimum; `place` is its index and the number of budgets."""
    parabola = _parabola(curve, inside)
    layers = [Layer("line", *parabola, ink="ramp", place=place)] if parabola else []
    layers += [_points(inside, place, "circle")] if inside else []
    layers += [_points(outside, place, "circle-open")] if outside else []
    largest = max(inside + outside, key=lambda run: run.params, default=None)
    if labelled and largest is not None:
        text = power_text(float(curve.flops or 0.0))
        layers.append(Layer("label", [largest.params], [largest.loss], ink="muted", text=text))
    return layers + _minimum(curve)


def _points(runs: list[PlottedRun], place: tuple[int, int], symbol: Literal["circle", "circle-open"]) -> Layer:
    return Layer(
        "points",
        [run.params for run in runs],
        [run.loss for run in runs],
        ink="ramp",
        place=place,
        symbol=symbol,
        hover=[run.hover + (f"\nleft out: {run.rule}" if run.rule else "") for run in runs],
        runs=[run.run for run in runs],
    )


def _nearest(flops: float, budgets: list[IsoflopCurve]) -> int:
    return min(range(len(budgets)), key=lambda i: abs(math.log(flops / float(budgets[i].flops or 1.0))))


def _parabola(curve: IsoflopCurve, inside: list[PlottedRun]) -> tuple[list[float], list[float]] | None:
    """Where a budget's parabola runs, over its own runs: L = L_min + c (ln N - ln N_opt)^2."""
    best, lowest, curvature = value_of(curve.params), curve.loss, curve.curvature
    sizes = [run.params for run in inside]
    if not best or lowest is None or curvature is None or curvature <= 0 or len(set(sizes)) < 2:
        return None
    ends = [*sizes, best] if curve.used else sizes
    x = spread(min(ends), max(ends))
    return x, [lowest + curvature * math.log(n / best) ** 2 for n in x]


def _minimum(curve: IsoflopCurve) -> list[Layer]:
    n, low, high = ends_of(curve.params)
    if not curve.used or not n or curve.loss is None:
        return []
    hover = [f"minimum at {with_interval(curve.params)} parameters\n{flops_text(float(curve.flops or 0.0))}"]
    loss = float(curve.loss)
    return [Layer("points", [n], [loss], symbol="star", along="x", low=[low], high=[high], hover=hover)]
