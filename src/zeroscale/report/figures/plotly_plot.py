"""A `Plot` as a plotly figure: plain JSON, without a colour in it."""

import math

from zeroscale.report.figures.plot import Axis, Layer, Plot
from zeroscale.report.figures.plotly_json import Layout, PlotlyFigure, Trace
from zeroscale.report.figures.plotly_panels import plain

WIDTHS = {"text": 2.5, "muted": 1.5, "ramp": 1.5}


def figure(plot: Plot) -> PlotlyFigure:
    """Traces and layout; `axes` holds the other x axes by name, where there are any."""
    layout: Layout = {
        "hovermode": "closest",
        "showlegend": plot.legend,
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        "margin": {"l": 58, "r": 14, "t": 14, "b": 48},
        "xaxis": _axis(plot.x),
        "yaxis": _axis(plot.y),
    }
    traces = [trace for layer in plot.layers for trace in _traces(layer)]
    content: PlotlyFigure = {"data": traces, "layout": layout}
    if plot.other_x:
        content["axes"] = {name: _axis(axis) for name, axis in plot.other_x.items()}
    return content


def _axis(axis: Axis) -> Layout:
    values, texts = axis.ticks()
    low, high = (math.log10(end) for end in axis.reach) if axis.log else axis.reach
    return {
        "title": {"text": axis.title},
        "type": "log" if axis.log else "linear",
        "range": [low, high],
        "tickvals": values,
        "ticktext": texts,
    }


def _traces(layer: Layer) -> list[Trace]:
    if layer.kind == "band":
        return _band(layer)
    meta: Trace = {"ink": layer.ink}
    if layer.ink == "ramp":
        meta |= {"place": layer.place[0], "of": layer.place[1]}
    if layer.other_x:
        meta["axes"] = layer.other_x
    trace: Trace = {"type": "scatter", "x": layer.x, "y": layer.y, "meta": meta, "showlegend": bool(layer.name)}
    if layer.name:
        trace["name"] = plain(layer.name)
    if layer.kind == "label":
        trace["mode"] = "text"
    elif layer.kind == "line":
        trace |= {"mode": "lines", "line": {"width": WIDTHS[layer.ink], "dash": layer.dash}}
    else:
        trace |= {"mode": "markers", "cliponaxis": False, "marker": _marker(layer)}
    if layer.text:
        mode = "text" if layer.kind == "label" else f"{trace['mode']}+text"
        trace |= {"mode": mode, "textposition": "middle right", "cliponaxis": False}
        # Without a marker of its own the label would begin in the middle of the point beside which it stands.
        gap = "\u00a0\u00a0" if layer.kind == "label" else ""
        trace["text"] = [""] * (len(layer.x) - 1) + [gap + plain(layer.text)]
    if layer.runs:
        trace["customdata"] = layer.runs
    if layer.low:
        trace[f"error_{layer.along}"] = _bars(layer)
    if layer.hover:
        trace |= {"hovertext": [plain(text).replace("\n", "<br>") for text in layer.hover]}
        trace["hovertemplate"] = "%{hovertext}<extra></extra>"
    else:
        trace["hoverinfo"] = "skip"
    return [trace]


def _marker(layer: Layer) -> Trace:
    size = {"circle": 8, "circle-open": 8, "diamond": 10, "star": 10}[layer.symbol]
    return {"size": size, "symbol": layer.symbol, "line": {"width": 1.5 if layer.symbol == "circle-open" else 0}}


def _bars(layer: Layer) -> Trace:
    middle = layer.y if layer.along == "y" else layer.x
    up = [0.0 if end is None else max(0.0, end - at) for at, end in zip(middle, layer.high, strict=True)]
    down = [0.0 if end is None else max(0.0, at - end) for at, end in zip(middle, layer.low, strict=True)]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.5, "width": 4}


def _band(layer: Layer) -> list[Trace]:
    """Two edges without a line, and what is between them filled."""
    edge = {"type": "scatter", "mode": "lines", "x": layer.x, "line": {"width": 0}, "hoverinfo": "skip"}
    meta: Trace = {"ink": layer.ink} if layer.ink == "ramp" else {"ink": "muted"}
    if layer.ink == "ramp":
        meta |= {"place": layer.place[0], "of": layer.place[1]}
    legend = {"name": plain(layer.name), "showlegend": True} if layer.name else {"showlegend": False}
    return [
        edge | {"y": layer.low, "meta": meta, "showlegend": False},
        edge | {"y": layer.high, "meta": meta, "fill": "tonexty"} | legend,
    ]
