"""The training curves of all sizes over FLOPs, and the lowest loss for each budget: Hoffmann et al. 2022, figure 2."""

import math
from collections.abc import Sequence

import numpy as np

from zeroscale.core import format
from zeroscale.core.format import number, power_text
from zeroscale.report.figures.plot import Axis, Layer, Plot, log_reach
from zeroscale.report.views.fit_file import COMPUTE, LOSS
from zeroscale.report.views.study import RunView

BUDGETS = 60
# A run's curve has so many validation losses at least, or its size says nothing of what lies between two budgets.
FEWEST = 3
# Losses so far above the lowest are those of models that have not begun to learn: they would press the rest together.
FURTHEST = 2.5


def envelope(runs: Sequence[RunView]) -> Plot | None:
    """Validation loss over FLOPs, a line for each run in the colour of its size, and the envelope under them."""
    curves = [(run, curve) for run in runs if run.params and len(curve := _curve(run)) >= FEWEST]
    sizes = sorted({run.params for run, _ in curves if run.params})
    if len(sizes) < FEWEST:
        return None
    places = {size: (i, len(sizes)) for i, size in enumerate(sizes)}
    layers = []
    for run, curve in curves:
        assert run.params is not None
        x, y = [c for c, _ in curve], [loss for _, loss in curve]
        layers.append(Layer("line", x, y, ink="ramp", place=places[run.params]))
    for size in (sizes[0], sizes[-1]):
        c, loss = max((curve for run, curve in curves if run.params == size), key=len)[-1]
        layers.append(Layer("label", [c], [loss], ink="muted", text=format.scaled(size)))
    budgets, lowest = _lowest([curve for _, curve in curves])
    layers.append(Layer("line", budgets, lowest, name="lowest loss for the budget"))
    bottom = min(lowest)
    top = min(max(loss for _, curve in curves for _, loss in curve), FURTHEST * bottom)
    return Plot(
        "envelope",
        "Envelope of the training curves",
        "Thin lines: validation loss while training, a line for each run, dark for small sizes to light for large. "
        "Heavy line: the lowest loss that any run reached with so many FLOPs or fewer.",
        f"Validation loss against compute of {len(curves)} runs of {format.count(len(sizes), 'size')}, and its "
        f"envelope from {format.figure(lowest[0])} to {format.figure(lowest[-1])}.",
        Axis(COMPUTE, log_reach([c for _, curve in curves for c, _ in curve], 0.03, right=0.12), show=power_text),
        Axis(LOSS, log_reach([bottom, top])),
        layers,
    )


def _curve(run: RunView) -> list[tuple[float, float]]:
    """(C, loss) of a run's validation losses."""
    rows = [(number(row.get("flops")), number(row.get("val/loss"))) for row in run.metrics if "val/loss" in row]
    return [(c, loss) for c, loss in rows if c and loss and c > 0 and loss > 0]


def _lowest(curves: list[list[tuple[float, float]]]) -> tuple[list[float], list[float]]:
    """(C, the lowest loss with at most C): straight lines in logarithms between what was measured, as approach 1 of
    Hoffmann et al. takes them. The ends of the runs are among the budgets: there the envelope has its corners.
    """
    ends = [curve[-1][0] for curve in curves]
    budgets = np.unique([*np.geomspace(min(curve[0][0] for curve in curves), max(ends), BUDGETS), *ends])
    logs = np.full((len(curves), len(budgets)), math.inf)
    for row, curve in enumerate(curves):
        c, loss = np.log(np.array(curve)).T
        logs[row] = np.interp(np.log(budgets), c, loss, left=math.inf, right=math.inf)
    lowest = np.exp(np.minimum.accumulate(logs.min(axis=0)))
    finite = np.isfinite(lowest)
    return [float(c) for c in budgets[finite]], [float(loss) for loss in lowest[finite]]
