"""The loss curves as the page gets them: numbers by run.

curves.js makes traces of them, for the axis, the smoothing and the runs that a reader chooses. Many runs share traces
there: a browser draws ten lines faster than a thousand.
"""

from typing import Any

from zeroscale.core import format
from zeroscale.report.figures.axes import log_ticks
from zeroscale.report.views.loss_curves import AXES, Curve

# Of more runs than these the logged losses are left out: the lines would hide each other.
RAW = 12
TITLES = {"tokens": "training tokens", "flops": "training FLOPs", "seconds": "training time"}
_SHOW = {"tokens": format.scaled, "flops": format.flops, "seconds": format.duration}


def describe(drawn: list[Curve], order: dict[str, int]) -> dict[str, Any] | None:
    """`{runs, axes, layout}`; None where no run has logged a loss."""
    runs = [_run(curve, order[curve.run], len(drawn) <= RAW) for curve in drawn if curve.train or curve.validation]
    if not runs:
        return None
    reach = {axis: _positive(drawn, axis) for axis in AXES}
    layout = {
        "hovermode": "closest",
        "showlegend": False,
        "margin": {"l": 58, "r": 14, "t": 14, "b": 48},
        "xaxis": _axis("tokens", reach["tokens"]) | {"type": "log"},
        "yaxis": {"title": {"text": "loss (nats per token)"}, "type": "linear"},
    }
    return {"runs": runs, "axes": {axis: _axis(axis, reach[axis]) for axis in AXES}, "layout": layout}


def _run(curve: Curve, index: int, raw: bool) -> dict[str, Any]:
    run: dict[str, Any] = {"cell": index, "x": _whole(curve.train_x), "smooth": curve.smooths}
    run |= {"validation_x": _whole(curve.validation_x), "validation": [_digits(loss) for loss in curve.validation]}
    return run | ({"raw": curve.train} if raw else {})


def _whole(by_axis: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    return {axis: [_digits(value, 6) for value in values] for axis, values in by_axis.items()}


def _digits(value: float | None, digits: int = 5) -> float | None:
    """Without the digits that no figure shows; a whole number without its point."""
    if value is None:
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _positive(drawn: list[Curve], axis: str) -> list[float]:
    """The ends of an axis; what is not above zero has no place on a logarithmic one."""
    values = [x for curve in drawn for part in (curve.train_x, curve.validation_x) for x in part[axis] if x and x > 0]
    return [min(values), max(values)] if values else [1.0, 10.0]


def _axis(name: str, reach: list[float]) -> dict[str, Any]:
    """Title and the ticks that a logarithmic axis gets; a linear one finds its own."""
    ticks = log_ticks(*reach)
    return {
        "title": {"text": TITLES[name] + (" (seconds)" if name == "seconds" else "")},
        "exponentformat": "SI" if name == "flops" else "B",
        "tickvals": ticks,
        "ticktext": [_SHOW[name](tick).replace("FLOP", "") for tick in ticks],
    }
