"""The loss curves as the page gets them: numbers by run.

curves.js makes traces of them, for the axis, the smoothing and the runs that a reader chooses. Many runs share traces
there: a browser draws ten lines faster than a thousand.
"""

from collections.abc import Callable
from typing import TypedDict

from zeroscale.core import format
from zeroscale.report.figures.axes import log_ticks
from zeroscale.report.figures.plotly_json import Layout
from zeroscale.report.views.loss_curves import AXES, Curve

# Of more runs than these the logged losses are left out: the lines would hide each other.
MAX_RUNS_WITH_RAW_LOSSES = 12
TITLES = {"tokens": "training tokens", "flops": "training FLOPs", "seconds": "training time"}
_TICK_TEXTS: dict[str, Callable[[float], str]] = {
    "tokens": format.scaled,
    "flops": format.flops,
    "seconds": format.duration,
}


Values = list[float | None]


class RunCurves(TypedDict, total=False):
    """One run's losses; `raw` are the logged ones, `smooth` the smoothed ones by span, both over `x` by axis."""

    cell: int
    """The run's index on the page."""
    x: dict[str, Values]
    smooth: dict[str, Values]
    validation_x: dict[str, Values]
    validation: Values
    raw: Values


class CurvesJson(TypedDict):
    """What curves.js draws."""

    runs: list[RunCurves]
    axes: dict[str, Layout]
    layout: Layout


def describe(curves: list[Curve], order: dict[str, int]) -> CurvesJson | None:
    """The curves of every run that has logged a loss; None where no run has."""
    show_raw = len(curves) <= MAX_RUNS_WITH_RAW_LOSSES
    runs = [_run(curve, order[curve.run], show_raw) for curve in curves if curve.train or curve.validation]
    if not runs:
        return None
    reach = {axis: _positive(curves, axis) for axis in AXES}
    layout = {
        "hovermode": "closest",
        "showlegend": False,
        "margin": {"l": 58, "r": 14, "t": 14, "b": 48},
        "xaxis": _axis("tokens", reach["tokens"]) | {"type": "log"},
        "yaxis": {"title": {"text": "loss (nats per token)"}, "type": "linear"},
    }
    return {"runs": runs, "axes": {axis: _axis(axis, reach[axis]) for axis in AXES}, "layout": layout}


def _run(curve: Curve, index: int, raw: bool) -> RunCurves:
    run: RunCurves = {"cell": index, "x": _rounded(curve.train_x), "smooth": curve.smooths}
    run["validation_x"] = _rounded(curve.validation_x)
    run["validation"] = [_round(loss) for loss in curve.validation]
    if raw:
        run["raw"] = curve.train
    return run


def _rounded(by_axis: dict[str, Values]) -> dict[str, Values]:
    return {axis: [_round(value, 6) for value in values] for axis, values in by_axis.items()}


def _round(value: float | None, digits: int = 5) -> float | None:
    """Without the digits that no figure shows; a whole number without its point."""
    if value is None:
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _positive(curves: list[Curve], axis: str) -> list[float]:
    """The ends of an axis; what is not above zero has no place on a logarithmic one."""
    values = [x for curve in curves for part in (curve.train_x, curve.validation_x) for x in part[axis] if x and x > 0]
    return [min(values), max(values)] if values else [1.0, 10.0]


def _axis(name: str, reach: list[float]) -> Layout:
    """Title and the ticks that a logarithmic axis gets; a linear one finds its own."""
    ticks = log_ticks(*reach)
    return {
        "title": {"text": TITLES[name] + (" (seconds)" if name == "seconds" else "")},
        "exponentformat": "SI" if name == "flops" else "B",
        "tickvals": ticks,
        "ticktext": [_TICK_TEXTS[name](tick).replace("FLOP", "") for tick in ticks],
    }
