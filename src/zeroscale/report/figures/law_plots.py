"""The figures of the laws over size and data, out of fit.json: surface, residuals, sizes left out; and all of them.

Nothing is fitted here. What a fit.json does not hold (an older one, a law that was not fitted) is not drawn.
"""

import math
from collections.abc import Callable, Sequence

import numpy

from zeroscale.core import format
from zeroscale.core.format import power_text
from zeroscale.report.figures.envelope_plots import envelope
from zeroscale.report.figures.isoflop_plots import isoflop
from zeroscale.report.figures.optimum_plots import optima
from zeroscale.report.figures.plot import Axis, Layer, Plot, linear_reach, log_reach, spread
from zeroscale.report.views.fit_file import (
    COMPUTE,
    LAW_LABELS,
    LOSS,
    SIZE,
    TOKENS,
    Laws,
    PlottedRun,
    band,
    frontier_path,
    plotted_runs,
    value_of,
)
from zeroscale.report.views.study import RunView
from zeroscale.scaling.fit_schema import DataLaw, HoldOut
from zeroscale.scaling.numerics.arrays import group_values
from zeroscale.scaling.registry import SURFACES

# The x axes of the residuals: what is along them, and its title.
RESIDUAL_AXES: dict[str, tuple[Callable[[PlottedRun], float], str]] = {
    "parameters": (lambda run: run.params, SIZE),
    "tokens": (lambda run: run.tokens, TOKENS),
    "compute": (lambda run: run.flops, COMPUTE),
}
# More curves than these would hide the points, and more labels would lie over each other.
MAX_CURVES, MAX_LABELS = 12, 4


def plots(laws: Laws, runs: Sequence[RunView] = ()) -> list[Plot]:
    """Every figure that `laws` of a fit.json can fill, most telling first; with the runs, their curves' envelope."""
    surface = next((name for name in SURFACES if name in laws), None)
    made = [
        isoflop(laws["isoflop"]) if "isoflop" in laws else None,
        optima(laws),
        optima(laws, "tokens"),
        envelope(runs) if laws else None,
        surface_curves(surface, laws[surface]) if surface else None,
        residuals(surface, laws[surface]) if surface else None,
        left_out(laws[surface]) if surface else None,
    ]
    return [plot for plot in made if plot is not None]


# ---- the surface -----------------------------------------------------------------------------------------------------


def surface_curves(name: str, law: DataLaw) -> Plot | None:
    """Loss over C: the runs and the law's curve of each size, and the path of the best size at every budget."""
    runs, curve = plotted_runs(law.points), _loss_of(law)
    if not runs or curve is None:
        return None
    sizes = _sizes(runs)
    with_curve = sizes if len(sizes) <= MAX_CURVES else _evenly(sizes, MAX_CURVES)
    frontier = frontier_path(law, "loss")
    frontier_layers = band(frontier, "best size at each budget") if frontier else []
    layers = frontier_layers[:-1]
    for i, group in enumerate(sizes):
        place, n = (i, len(sizes)), math.exp(sum(math.log(run.params) for run in group) / len(group))
        c = [run.flops for run in group]
        if group in with_curve:
            x = spread(min(c) / 1.6, max(c) * 1.6)
            layers.append(Layer("line", x, [curve(n, flops) for flops in x], ink="ramp", place=place))
        end = i in (0, len(sizes) - 1) or len(sizes) <= MAX_LABELS
        layers.append(
            Layer(
                "points",
                c,
                [run.loss for run in group],
                ink="ramp",
                place=place,
                hover=[run.hover for run in group],
                runs=[run.run for run in group],
                text=format.scaled(n) if end else "",
            )
        )
    layers += frontier_layers[-1:]  # its line above the points, its band below them
    losses = [run.loss for run in runs]
    return Plot(
        "surface",
        f"The surface: {LAW_LABELS[name]}",
        "Points: runs; thin lines: the law at one size each, dark for small to light for large. Heavy line: the loss "
        "of the best size at each budget, with its 95 % interval.",
        f"Loss against compute for {format.count(len(sizes), 'size')}, with the fitted surface and its frontier.",
        Axis(COMPUTE, log_reach([run.flops for run in runs], 0.08, right=0.3), show=power_text),
        Axis(LOSS, log_reach([*losses, *(value for _, value, _, _ in frontier)])),
        layers,
    )


def _evenly(sizes: list[list[PlottedRun]], count: int) -> list[list[PlottedRun]]:
    """`count` of the sizes, the first and the last among them."""
    return [sizes[round(i * (len(sizes) - 1) / (count - 1))] for i in range(count)]


def _sizes(runs: list[PlottedRun]) -> list[list[PlottedRun]]:
    """Runs by size, smallest first; each in order of compute."""
    size_of_run = group_values(numpy.array([run.params for run in runs]))
    sizes: list[list[PlottedRun]] = [[] for _ in range(size_of_run.max() + 1)]
    for run, size in zip(runs, size_of_run, strict=True):
        sizes[size].append(run)
    return [sorted(size, key=lambda run: run.flops) for size in sizes]


def _loss_of(law: DataLaw) -> Callable[[float, float], float] | None:
    """(N, C) → loss by the law's parameters; None where one of them is missing."""
    values = [value_of(law.parameters.get(name)) for name in ("E", "A", "B", "alpha", "beta")]
    five = [value for value in values if value is not None]
    cost = law.flops.per_token if law.flops else None
    if len(five) < 5 or cost is None or cost.log_scale is None or cost.power is None:
        return None
    irreducible, a, b, alpha, beta = five
    scale, power = cost.log_scale, cost.power

    def loss(n: float, c: float) -> float:
        log_tokens = math.log(c) - scale - power * math.log(n)
        return float(irreducible + a * n**-alpha + b * math.exp(-beta * log_tokens))

    return loss


# ---- how well it fits ------------------------------------------------------------------------------------------------


def residuals(name: str, law: DataLaw) -> Plot | None:
    """How far each run lies off the law, over size, data or compute."""
    runs = [run for run in plotted_runs(law.points) if run.log_residual is not None]
    if not runs:
        return None
    sizes = _sizes(runs)
    x_axes = {
        label: Axis(title, log_reach([*map(x, runs)]), show=power_text if title == COMPUTE else format.scaled)
        for label, (x, title) in RESIDUAL_AXES.items()
    }
    ends = {label: list(axis.reach) for label, axis in x_axes.items()}
    zero = Layer("line", ends["parameters"], [0.0, 0.0], ink="muted", dash="dash", other_x=ends)
    layers = [zero, *(_residuals_of_size(group, (i, len(sizes))) for i, group in enumerate(sizes))]
    heights = [y for layer in layers for y in layer.y]
    rms = law.diagnostics.rms_log_residual if law.diagnostics else None
    root = "" if rms is None else f" Root mean square {100 * rms:.2g} %."
    return Plot(
        "residuals",
        f"Residuals: {LAW_LABELS[name]}",
        f"Measured over fitted, less one. Points that bend away from zero are what the form does not describe.{root}",
        f"Residuals of {len(runs)} runs, at most {max(heights, key=abs):+.2g} %.{root}",
        x_axes["parameters"],
        Axis("measured over fitted (%)", linear_reach(heights), log=False),
        layers,
        other_x=x_axes,
    )


def _residuals_of_size(group: list[PlottedRun], place: tuple[int, int]) -> Layer:
    percents = [100 * math.expm1(run.log_residual or 0.0) for run in group]
    return Layer(
        "points",
        [run.params for run in group],
        percents,
        ink="ramp",
        place=place,
        hover=[f"{run.hover}\n{percent:+.2f} % off the law" for run, percent in zip(group, percents, strict=True)],
        runs=[run.run for run in group],
        other_x={label: [*map(x, group)] for label, (x, _) in RESIDUAL_AXES.items()},
    )


def left_out(law: DataLaw) -> Plot | None:
    """What the law says of each size that it has not seen."""
    rows = [
        (float(row.params), 100 * row.error, row.exponent)
        for row in law.leave_one_out
        if row.params is not None and row.error is not None and row.exponent is not None
    ]
    if len(rows) < 2:
        return None
    x, y = [n for n, _, _ in rows], [error for _, error, _ in rows]
    reach = log_reach(x)
    hover = [
        f"without {format.scaled(n)} parameters: {error:+.2f} %\nN_opt ∝ C^{exponent:.3f} then"
        for n, error, exponent in rows
    ]
    layers = [
        Layer("line", list(reach), [0.0, 0.0], ink="muted", dash="dash"),
        Layer("points", x, y, ink="text", hover=hover, name="each size left out in turn"),
    ]
    held = _held_out(law.hold_out)
    ends = [end for end in [*held.low, *held.high] if end is not None] if held else []
    layers += [held] if held else []
    return Plot(
        "left_out",
        "Sizes left out",
        "Predicted over measured, less one, for each size fitted without it. Where the bar crosses zero, the 95 % "
        "interval held the measured loss.",
        f"Each of {len(rows)} sizes left out: the largest error is {max(y, key=abs):+.2g} %.",
        Axis("parameters of the size left out, N", reach, show=format.scaled),
        Axis("predicted over measured (%)", linear_reach([*y, *ends, 0.0]), log=False),
        layers,
    )


def _held_out(held: HoldOut | None) -> Layer | None:
    """The largest size predicted from the smaller ones, with the interval in which it should lie."""
    if held is None or not held.params or not held.measured or not held.predicted:
        return None
    if held.low is None or held.high is None:
        return None
    low, error, high = (100 * (value / held.measured - 1) for value in (held.low, held.predicted, held.high))
    verdict = "held" if held.inside else "did not hold"
    return Layer(
        "points",
        [float(held.params)],
        [error],
        symbol="diamond",
        ink="muted",
        low=[low],
        high=[high],
        hover=[f"the largest size from the smaller ones: {error:+.2f} %; the interval {verdict} what it did"],
        name="the largest, from the smaller ones alone",
    )
