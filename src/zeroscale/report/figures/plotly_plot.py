"""A `Plot` as a plotly figure: plain JSON, without a colour in it."""

import math
from typing import Any

from zeroscale.report.figures.plot import Axis, Mark, Plot
from zeroscale.report.figures.plotly_panels import plain

Spec = dict[str, Any]
WIDTHS = {"text": 2.5, "muted": 1.5, "ramp": 1.5}


def spec(plot: Plot) -> Spec:
    """Traces and layout; `axes` holds the other x axes by name, where there are any."""
    layout: Spec = {
        "hovermode": "closest",
        "showlegend": plot.legend,
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        "margin": {"l": 58, "r": 14, "t": 14, "b": 48},
        "xaxis": _axis(plot.x),
        "yaxis": _axis(plot.y),
    }
    traces = [trace for mark in plot.marks for trace in _traces(mark)]
    return {"data": traces, "layout": layout} | (
        {"axes": {name: _axis(axis) for name, axis in plot.over.items()}} if plot.over else {}
    )


def _axis(axis: Axis) -> Spec:
    values, texts = axis.ticks()
    low, high = (math.log10(end) for end in axis.reach) if axis.log else axis.reach
    return {
        "title": {"text": axis.title},
        "type": "log" if axis.log else "linear",
        "range": [low, high],
        "tickvals": values,
        "ticktext": texts,
    }


def _traces(mark: Mark) -> list[Spec]:
    if mark.kind == "band":
        return _band(mark)
    meta: Spec = {"ink": mark.ink}
    if mark.ink == "ramp":
        meta |= {"place": mark.place[0], "of": mark.place[1]}
    if mark.other:
        meta["axes"] = mark.other
    trace: Spec = {"type": "scatter", "x": mark.x, "y": mark.y, "meta": meta, "showlegend": bool(mark.name)}
    if mark.name:
        trace["name"] = plain(mark.name)
    if mark.kind == "label":
        trace["mode"] = "text"
    elif mark.kind == "line":
        trace |= {"mode": "lines", "line": {"width": WIDTHS[mark.ink], "dash": mark.dash}}
    else:
        trace |= {"mode": "markers", "cliponaxis": False, "marker": _marker(mark)}
    if mark.text:
        mode = "text" if mark.kind == "label" else f"{trace['mode']}+text"
        trace |= {"mode": mode, "textposition": "middle right", "cliponaxis": False}
        # Without a marker of its own the label would begin in the middle of the point beside which it stands.
        gap = "\u00a0\u00a0" if mark.kind == "label" else ""
        trace["text"] = [""] * (len(mark.x) - 1) + [gap + plain(mark.text)]
    if mark.runs:
        trace["customdata"] = mark.runs
    if mark.low:
        trace[f"error_{mark.along}"] = _bars(mark)
    if mark.hover:
        trace |= {"hovertext": [plain(text).replace("\n", "<br>") for text in mark.hover]}
        trace["hovertemplate"] = "%{hovertext}<extra></extra>"
    else:
        trace["hoverinfo"] = "skip"
    return [trace]


def _marker(mark: Mark) -> Spec:
    size = {"circle": 8, "circle-open": 8, "diamond": 10, "star": 10}[mark.symbol]
    return {"size": size, "symbol": mark.symbol, "line": {"width": 1.5 if mark.symbol == "circle-open" else 0}}


def _bars(mark: Mark) -> Spec:
    middle = mark.y if mark.along == "y" else mark.x
    up = [0.0 if end is None else max(0.0, end - at) for at, end in zip(middle, mark.high, strict=True)]
    down = [0.0 if end is None else max(0.0, at - end) for at, end in zip(middle, mark.low, strict=True)]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.5, "width": 4}


def _band(mark: Mark) -> list[Spec]:
    """Two edges without a line, and what is between them filled."""
    edge = {"type": "scatter", "mode": "lines", "x": mark.x, "line": {"width": 0}, "hoverinfo": "skip"}
    meta = {"ink": "muted"}
    shown = {"name": plain(mark.name), "showlegend": True} if mark.name else {"showlegend": False}
    return [
        edge | {"y": mark.low, "meta": meta, "showlegend": False},
        edge | {"y": mark.high, "meta": meta, "fill": "tonexty"} | shown,
    ]
