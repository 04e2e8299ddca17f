"""Plotly figures as plain JSON: traces and layouts without a colour in them.

`meta.ink` names what a trace is ("series" of run number `meta.cell`, "text", "muted"); app.js paints it for the light
or the dark theme. Everything that came from a run passes `plain`: plotly reads a little HTML in its texts.
"""

import math
from collections.abc import Sequence

from zeroscale.core import format
from zeroscale.report.figures.axes import (
    apart,
    chance_drawn,
    linear_ticks,
    log_ticks,
    padded,
    panel_reach,
    spans_decades,
    tick_texts,
)
from zeroscale.report.figures.plotly_json import Layout, PlotlyFigure, Trace
from zeroscale.report.views.benchmarks import Line, Panel, Point, PublishedScore, column
from zeroscale.report.views.size_law import Law

BASE: Layout = {"hovermode": "closest", "showlegend": False, "margin": {"l": 58, "r": 14, "t": 14, "b": 48}}
LONG_LABEL = 16  # letters

Values = Sequence[float | None]
# The dashes of a panel's baselines, and the words for them; chance is dashed.
LINE_STYLES = (("dot", "dotted"), ("dashdot", "dash-dotted"), ("longdash", "long-dashed"))
# Points of more runs than these share a trace.
MAX_TRACES = 40
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon")


def plain(text: str) -> str:
    """Text that plotly shows letter by letter: no tag, no link, no d3 placeholder."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("%{", "%\u200b{")


def law(law: Law, order: dict[str, int]) -> PlotlyFigure:
    """Loss over N: points, fitted curve, 95 % band, and the hold-out's prediction."""
    traces: list[Trace] = []
    if law.band:
        n, low, value, high = (list(column) for column in zip(*law.band, strict=True))
        if None not in low and None not in high:
            traces.append(_line(n, low, "muted", hoverinfo="skip", line={"width": 0}))
            traces.append(_line(n, high, "band", hoverinfo="skip", line={"width": 0}, fill="tonexty"))
        traces += _fitted(n, value, max((params for _, params, _ in law.points), default=0.0))
    if law.hold_out:
        traces.append(_hold_out(law))
    traces += _measured(law, order) if len(law.points) <= MAX_TRACES else [_merged(_measured(law, order))]
    sizes = [params for _, params, _ in law.points]
    return _figure(traces, law_layout(law.axis, sizes, padded(loss_reach(law)), size_reach(law)))


def law_layout(title: str, sizes: list[float], losses: tuple[float, float], reach: tuple[float, float]) -> Layout:
    """Axes of a figure of loss over N: ticks at `sizes`, from and to the ends of `losses` and `reach`."""
    x, y = ([math.log10(end) for end in ends] for ends in (reach, losses))
    return BASE | {
        "xaxis": _log_axis(title, sizes, sizes=sizes) | {"range": x},
        "yaxis": _log_axis("validation loss (nats per token)", list(losses)) | {"range": y},
    }


def _measured(law: Law, order: dict[str, int]) -> list[Trace]:
    """A trace for each point, with its label where there are few."""
    labelled, traces = len(law.points) <= 8, []
    for (run, params, loss), side in zip(law.points, label_sides(law), strict=True):
        hover = f"<b>{plain(law.label(run))}</b><br>{format.scaled(params)} parameters"
        hover += f"<br>validation loss {format.figure(loss, 4)}{_run_name(run, law.label(run))}"
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text" if labelled else "markers",
                "x": [params],
                "y": [loss],
                "text": [plain(law.label(run))] if labelled else None,
                "textposition": " ".join(side),
                "cliponaxis": False,
                "marker": {"size": 11, "symbol": symbol(order[run])},
                "customdata": [[run, None, None, "val/loss"]],
                "hovertemplate": hover + "<extra></extra>",
                "meta": {"ink": "series", "cell": order[run]},
            }
        )
    return traces


def symbol(index: int) -> str:
    """The marker of a run, by its place on the page."""
    return SYMBOLS[index % len(SYMBOLS)]


def _merged(traces: list[Trace]) -> Trace:
    """Traces of a point each as one: hundreds of traces would keep a browser busy for seconds."""
    hover = "%{hovertext}<extra></extra>"
    merged: Trace = {"type": "scatter", "mode": "markers", "cliponaxis": False, "hovertemplate": hover}
    merged |= {axis: [trace[axis][0] for trace in traces] for axis in ("x", "y", "customdata")}
    merged["hovertext"] = [trace["hovertemplate"].removesuffix("<extra></extra>") for trace in traces]
    merged["marker"] = {"size": 8, "symbol": [trace["marker"]["symbol"] for trace in traces]}
    merged["meta"] = {"ink": "series", "cells": [trace["meta"]["cell"] for trace in traces]}
    if any("error_y" in trace for trace in traces):
        bars = [trace.get("error_y", {"array": [0.0], "arrayminus": [0.0]}) for trace in traces]
        merged["error_y"] = _bars([bar["array"][0] for bar in bars], [bar["arrayminus"][0] for bar in bars])
        merged["error_y"] |= {"thickness": 1, "width": 0}
    return merged


def label_sides(law: Law) -> list[tuple[str, str]]:
    """Where each point's label goes, ("top" or "bottom", "left" or "right"): off the fitted curve, inside the figure.

    The curve falls to the right, so right of a point above it and left of one below it there is room; only the
    first has none on its left. Long names go left of the points in the right half, which else run off the edge.
    """
    sides = []
    left, right = (math.log(edge) for edge in size_reach(law))
    for i, (run, params, loss) in enumerate(law.points):
        below = bool(law.band) and loss < min(law.band, key=lambda row: abs(math.log(row[0] / params)))[2]
        late = math.log(params) > (left + right) / 2 and len(law.label(run)) > LONG_LABEL
        sides.append(("bottom" if below else "top", "left" if i and (below or late) else "right"))
    return sides


def _run_name(name: str, label: str) -> str:
    """The run's own name for a hover, where its label is another."""
    return "" if name == label else f"<br>run {plain(name)}"


def _fitted(n: list[float], value: list[float], largest: float) -> list[Trace]:
    """The curve: solid among the measured sizes, dashed beyond the largest."""
    end = next((i for i, params in enumerate(n) if params > largest), len(n))
    hover = "fit: %{y:.3f}<extra></extra>"
    measured = _line(n[:end], value[:end], "text", line={"width": 2}, hovertemplate=hover)
    start = max(0, end - 1)
    dashed = {"width": 2, "dash": "dash"}
    beyond = _line(n[start:], value[start:], "text", line=dashed, hovertemplate=hover.replace("fit", "extrapolated"))
    return [measured, beyond] if end < len(n) else [measured]


def size_reach(law: Law) -> tuple[float, float]:
    """The range of N that the figure shows: some way past the largest size, with room for its label."""
    sizes = [params for _, params, _ in law.points]
    return min(sizes) / 1.5, 1.5 * max(sizes) * (max(sizes) / min(sizes)) ** 0.3


def loss_reach(law: Law) -> list[float]:
    """What the loss axis must show. The band of few points can be wide beyond all measure: it may run off the axis."""
    left, right = size_reach(law)
    reach = [loss for _, _, loss in law.points] + [value for n, _, value, _ in law.band if left <= n <= right]
    return reach + ([law.hold_out.predicted] if law.hold_out else [])


def _hold_out(law: Law) -> Trace:
    held = law.hold_out
    assert held is not None
    predicted = format.figure(held.predicted)
    predicted += f" ({format.interval(held.low, held.high)})" if held.inside is not None else ""
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [held.params],
        "y": [held.predicted],
        "marker": {"size": 15, "symbol": "diamond-open", "line": {"width": 2}},
        "hovertemplate": f"predicted from the smaller sizes: {format.flat(predicted)}<extra></extra>",
        "meta": {"ink": "muted"},
    }
    if held.low is not None and held.high is not None:
        up, down = held.high - held.predicted, held.predicted - held.low
        trace["error_y"] = _bars([max(0.0, up)], [max(0.0, down)])
    return trace


def panel(panel: Panel, order: dict[str, int]) -> PlotlyFigure:
    """One metric over N with 95 % bars, the chance level, baselines, and published models."""
    points = panel.points
    n = sorted({point.params for point in points})
    mean = [sum(p.value for p in points if p.params == x) / sum(p.params == x for p in points) for x in n]
    alike = len({point.marks for point in points}) == 1  # scores of other data are no part of the same curve
    traces = [_line(n, mean, "muted", hoverinfo="skip", line={"width": 1})] if len(n) > 1 and alike else []
    others = [(score, 9, "x-thin", "text") for score in panel.published]
    others += [(score, 7, "cross-thin", "muted") for score in panel.reproduced]
    reach = [min(n), max(n), *(score.params for score, *_ in others)]
    edges = [min(reach) / 1.6, max(reach) * 1.6]
    if panel.chance is not None and chance_drawn(panel):
        chance = f"chance: {format.flat(format.figure(panel.chance))}<extra></extra>"
        style = {"width": 1.5, "dash": "dash"}
        traces.append(_line(edges, [panel.chance] * 2, "muted", hovertemplate=chance, line=style))
    for line, (dash, _) in zip(panel.lines, LINE_STYLES, strict=False):
        traces.append(_baseline(line, edges, panel_reach(panel), dash))
    scores = [_score(point, order[point.run], panel.metric) for point in points]
    traces += scores if len(scores) <= MAX_TRACES else [_merged(scores)]
    traces += [_published(score, size, symbol, ink) for score, size, symbol, ink in others]
    layout: Layout = {
        "xaxis": _log_axis("", edges, sizes=[*n, *(score.params for score in panel.published)]),
        "yaxis": _score_axis(panel),
        "margin": {"l": 52, "r": 10, "t": 8, "b": 30},
    }
    layout["xaxis"] |= {"range": [math.log10(edge) for edge in edges], "layer": "below traces"}
    return _figure(traces, layout)


def _published(score: PublishedScore, size: int, symbol: str, ink: str) -> Trace:
    text = f"{plain(score.name)}: {format.flat(format.figure(score.value, 4))} (published)<extra></extra>"
    marker = {"size": size, "symbol": symbol, "line": {"width": 2}}
    trace: Trace = {"type": "scatter", "mode": "markers", "x": [score.params], "y": [score.value], "marker": marker}
    return trace | {"hovertemplate": text, "meta": {"ink": ink}}


def _score_axis(panel: Panel) -> Layout:
    low, high = panel_reach(panel)
    if spans_decades(panel):
        return _log_axis("", [low, high]) | {"range": [math.log10(low), math.log10(high)]}
    ticks = linear_ticks(low, high)
    return {"type": "linear", "range": [low, high], "tickvals": ticks, "ticktext": tick_texts(ticks)}


def _baseline(line: Line, edges: list[float], reach: tuple[float, float], dash: str) -> Trace:
    """A baseline. Over the whole width, and named there, where no model takes part in it;
    a line through the sizes would have its name among the points: the panel's text has it (`legend`)."""
    inside = 1.05 * edges[0]  # text on the very edge is not shown
    points = [(x, line.points[0][1]) for x in (edges[0], inside, edges[1])] if line.fixed else line.points
    x, y = [size for size, _ in points], [value for _, value in points]
    hover = f"{plain(line.name)}: %{{y:.4~g}}<extra></extra>"
    traced = _line(x, y, "muted", hovertemplate=hover, line={"width": 1.5, "dash": dash})
    if line.fixed:
        side = "bottom right" if y[0] > reach[0] + 0.85 * (reach[1] - reach[0]) else "top right"
        traced |= {"mode": "lines+text", "text": ["", plain(line.name), ""], "textposition": side}
    return traced


def legend(panel: Panel) -> str:
    """Which line is what, of those that bear no name in the figure."""
    styles = zip(panel.lines, LINE_STYLES, strict=False)
    return "; ".join(f"{style}: {line.name}" for line, (_, style) in styles if not line.fixed)


def _score(point: Point, index: int, metric: str) -> Trace:
    interval = format.flat(format.interval(point.low, point.high))
    hover = f"<b>{plain(point.label)}</b> {format.flat(format.figure(point.value))}"
    hover += f"<br>95 %: {interval}" if interval else "<br>no interval"
    hover += f"<br>n = {point.n:,}" if point.n is not None else ""
    hover += f"<br>{format.scaled(point.params)} parameters, step {point.step:,}"
    hover += f"{_run_name(point.run, point.label)}<br>{point.badge}"
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [point.params],
        "y": [point.value],
        "marker": {"size": 9, "symbol": symbol(index)},
        "cliponaxis": False,
        "customdata": [[point.run, point.step, point.path, column(point.path, metric)]],
        "hovertemplate": hover + "<extra></extra>",
        "meta": {"ink": "series", "cell": index},
    }
    if point.low is not None and point.high is not None:
        trace["error_y"] = _bars([max(0.0, point.high - point.value)], [max(0.0, point.value - point.low)])
    return trace


def _bars(up: list[float], down: list[float]) -> Trace:
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.5, "width": 4}


def _line(x: Values, y: Values, ink: str, **attributes: object) -> Trace:
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "meta": {"ink": ink}} | attributes


def _figure(traces: list[Trace], layout: Layout) -> PlotlyFigure:
    return {"data": traces, "layout": BASE | layout}


def _log_axis(title: str, values: list[float], sizes: list[float] | None = None) -> Layout:
    """A logarithmic axis with a few ticks that read as numbers; at the models' own sizes where they lie apart."""
    low, high = min(values, default=1.0), max(values, default=10.0)
    axis: Layout = {"title": {"text": title}, "type": "log"}
    if sizes and 1 < len(own := apart(sizes)) <= 7:
        return axis | {"tickvals": own, "ticktext": [format.scaled(n) for n in own]}
    ticks = log_ticks(low, high)
    return axis | {
        "tickvals": ticks,
        "ticktext": [format.scaled(tick) for tick in ticks] if sizes else tick_texts(ticks),
    }
