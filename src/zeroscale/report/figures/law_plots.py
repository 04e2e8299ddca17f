"""The figures of the laws over size and data, out of fit.json: surface, residuals, sizes left out; and all of them.

Nothing is fitted here. What a fit.json does not hold (an older one, a law that was not fitted) is not drawn.
"""

import math
from collections.abc import Sequence
from typing import Any

from zeroscale.core import format
from zeroscale.core.format import number, power_text
from zeroscale.report.figures.envelope_plots import envelope
from zeroscale.report.figures.isoflop_plots import isoflop
from zeroscale.report.figures.optimum_plots import optima
from zeroscale.report.figures.plot import Axis, Layer, Plot, linear_reach, log_reach, spread
from zeroscale.report.views.fit_file import (
    CALLED,
    COMPUTE,
    LOSS,
    SIZE,
    SURFACES,
    TOKENS,
    Json,
    band,
    describe,
    path_of,
    run_of,
    runs_of,
    value_of,
)
from zeroscale.report.views.study import RunView

# More curves than these would hide the points, and more labels would lie over each other.
CURVES, LABELS = 12, 4


def plots(laws: Json, runs: Sequence[RunView] = ()) -> list[Plot]:
    """Every figure that `laws` of a fit.json can fill, most telling first; with the runs, their curves' envelope."""
    surface = next((name for name in SURFACES if name in laws), None)
    made = [
        isoflop(laws["isoflop"]) if "isoflop" in laws else None,
        optima(laws),
        optima(laws, "tokens"),
        envelope(runs) if laws else None,
        surface_curves(surface, laws[surface]) if surface else None,
        residuals(surface, laws[surface]) if surface else None,
        left_out(surface, laws[surface]) if surface else None,
    ]
    return [plot for plot in made if plot is not None]


# ---- the surface -----------------------------------------------------------------------------------------------------


def surface_curves(name: str, law: Json) -> Plot | None:
    """Loss over C: the runs and the law's curve of each size, and the path of the best size at every budget."""
    runs, curve = runs_of(law), _curve_of(law)
    if not runs or curve is None:
        return None
    sizes = _sizes(runs)
    drawn = (
        sizes if len(sizes) <= CURVES else [sizes[round(i * (len(sizes) - 1) / (CURVES - 1))] for i in range(CURVES)]
    )
    frontier = path_of(law, "loss")
    frontier_layers = band(frontier, "best size at each budget") if frontier else []
    layers = frontier_layers[:-1]
    for i, group in enumerate(sizes):
        place, n = (i, len(sizes)), math.exp(sum(math.log(row["params"]) for row in group) / len(group))
        c = [row["flops"] for row in group]
        if group in drawn:
            x = spread(min(c) / 1.6, max(c) * 1.6)
            layers.append(Layer("line", x, [curve(n, one) for one in x], ink="ramp", place=place))
        end = i in (0, len(sizes) - 1) or len(sizes) <= LABELS
        layers.append(
            Layer(
                "points",
                c,
                [row["loss"] for row in group],
                ink="ramp",
                place=place,
                hover=[describe(row) for row in group],
                runs=[run_of(row) for row in group],
                text=format.scaled(n) if end else "",
            )
        )
    layers += frontier_layers[-1:]  # its line above the points, its band below them
    losses = [row["loss"] for row in runs]
    return Plot(
        "surface",
        f"The surface: {CALLED[name]}",
        "Points: runs; thin lines: the law at one size each, dark for small to light for large. Heavy line: the loss "
        "of the best size at each budget, with its 95 % interval.",
        f"Loss against compute for {format.count(len(sizes), 'size')}, with the fitted surface and its frontier.",
        Axis(COMPUTE, log_reach([row["flops"] for row in runs], 0.08, right=0.3), show=power_text),
        Axis(LOSS, log_reach([*losses, *(row[1] for row in frontier)])),
        layers,
    )


def _sizes(runs: list[Json]) -> list[list[Json]]:
    """Runs by size, smallest first; each in order of compute."""
    import numpy

    from zeroscale.scaling.numerics.arrays import group_values

    numbers = group_values(numpy.array([row["params"] for row in runs]))
    found: list[list[Json]] = [[] for _ in range(numbers.max() + 1)]
    for row, one in zip(runs, numbers, strict=True):
        found[one].append(row)
    return [sorted(group, key=lambda row: row["flops"]) for group in found]


def _curve_of(law: Json) -> Any:
    """(N, C) → loss by the law's parameters; None where they are not all there."""
    parameters = law.get("parameters") or {}
    five = [value_of(parameters.get(name)) for name in ("E", "A", "B", "alpha", "beta")]
    cost = (law.get("flops") or {}).get("per_token") or {}
    scale, power = number(cost.get("log_scale")), number(cost.get("power"))
    if None in five or scale is None or power is None:
        return None
    floor, by_size, by_data, alpha, beta = five

    def loss(n: float, c: float) -> float:
        log_tokens = math.log(c) - scale - power * math.log(n)
        return float(floor + by_size * n**-alpha + by_data * math.exp(-beta * log_tokens))  # type: ignore[operator]

    return loss


# ---- how well it fits ------------------------------------------------------------------------------------------------


def residuals(name: str, law: Json) -> Plot | None:
    """How far each run lies off the law, over size, data or compute."""
    runs = [row for row in runs_of(law) if number(row.get("log_residual")) is not None]
    if not runs:
        return None
    sizes = _sizes(runs)
    axes = {"parameters": ("params", SIZE), "tokens": ("tokens", TOKENS), "compute": ("flops", COMPUTE)}
    shown = {
        label: Axis(title, log_reach([row[key] for row in runs]), show=power_text if key == "flops" else format.scaled)
        for label, (key, title) in axes.items()
    }
    ends = {label: list(axis.reach) for label, axis in shown.items()}
    layers = [Layer("line", ends["parameters"], [0.0, 0.0], ink="muted", dash="dash", other=ends)]
    for i, group in enumerate(sizes):
        off = [100 * math.expm1(float(row["log_residual"])) for row in group]
        layers.append(
            Layer(
                "points",
                [row["params"] for row in group],
                off,
                ink="ramp",
                place=(i, len(sizes)),
                hover=[f"{describe(row)}\n{one:+.2f} % off the law" for row, one in zip(group, off, strict=True)],
                runs=[run_of(row) for row in group],
                other={label: [row[key] for row in group] for label, (key, _) in axes.items()},
            )
        )
    heights = [y for layer in layers for y in layer.y]
    worst = max(heights, key=abs)
    spread_of = number((law.get("diagnostics") or {}).get("rms_log_residual"))
    root = "" if spread_of is None else f" Root mean square {100 * spread_of:.2g} %."
    return Plot(
        "residuals",
        f"Residuals: {CALLED[name]}",
        f"Measured over fitted, less one. Points that bend away from zero are what the form does not describe.{root}",
        f"Residuals of {len(runs)} runs, at most {worst:+.2g} %.{root}",
        shown["parameters"],
        Axis("measured over fitted (%)", linear_reach(heights), log=False),
        layers,
        over=shown,
    )


def left_out(name: str, law: Json) -> Plot | None:
    """What the law says of each size that it has not seen."""
    told = ("params", "error", "exponent")
    rows = [row for row in law.get("leave_one_out") or [] if all(number(row.get(key)) is not None for key in told)]
    held = law.get("hold_out") or {}
    if len(rows) < 2:
        return None
    x, y = [float(row["params"]) for row in rows], [100 * float(row["error"]) for row in rows]
    reach = log_reach(x)
    hover = [
        f"without {format.scaled(n)} parameters: {error:+.2f} %\nN_opt ∝ C^{row['exponent']:.3f} then"
        for n, error, row in zip(x, y, rows, strict=True)
    ]
    layers = [
        Layer("line", list(reach), [0.0, 0.0], ink="muted", dash="dash"),
        Layer("points", x, y, ink="text", hover=hover, name="each size left out in turn"),
    ]
    ends: list[float] = []
    measured, predicted, low, high = (number(held.get(key)) for key in ("measured", "predicted", "low", "high"))
    if measured and predicted and low is not None and high is not None:
        off = [100 * (value / measured - 1) for value in (low, predicted, high)]
        ends = [off[0], off[2]]
        verdict = "held" if held.get("inside") else "did not hold"
        layers.append(
            Layer(
                "points",
                [float(held["params"])],
                [off[1]],
                symbol="diamond",
                ink="muted",
                low=[off[0]],
                high=[off[2]],
                hover=[f"the largest size from the smaller ones: {off[1]:+.2f} %; the interval {verdict} what it did"],
                name="the largest, from the smaller ones alone",
            )
        )
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
