"""Plotly figures as plain JSON: traces and layouts without a colour in them.

`meta.ink` names what a trace is ("series" of cell number `meta.cell`, "text", "muted"); app.js paints it for the light
or the dark theme. Everything that came from a run passes `plain`: plotly reads a little HTML in its texts.
"""

import math
from typing import Any

from zeroscale.report import words
from zeroscale.report.axes import (
    apart,
    chance_drawn,
    linear_ticks,
    log_ticks,
    padded,
    panel_reach,
    spans_decades,
    tick_texts,
)
from zeroscale.report.benchmarks import Line, Panel, Point
from zeroscale.report.curves import AXES, Curve
from zeroscale.report.law import Law

Spec = dict[str, Any]
AXIS_TITLES = {"tokens": "training tokens", "flops": "training FLOPs", "seconds": "training time (seconds)"}
LONG_LABEL = 16  # letters
# Of what a panel's points are read against, with the words for them; chance is dashed.
LINE_STYLES = (("dot", "dotted"), ("dashdot", "dash-dotted"), ("longdash", "long-dashed"))
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon")


def plain(text: str) -> str:
    """Text that plotly shows letter by letter: no tag, no link, no d3 placeholder."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("%{", "%\u200b{")


def law(law: Law, order: dict[str, int]) -> Spec:
    """Loss over N: points, fitted curve, 95 % band, and the hold-out's prediction."""
    traces: list[Spec] = []
    if law.band:
        n, low, value, high = (list(column) for column in zip(*law.band, strict=True))
        if None not in low and None not in high:
            traces.append(_line(n, low, "muted", hoverinfo="skip", line={"width": 0}))
            traces.append(_line(n, high, "band", hoverinfo="skip", line={"width": 0}, fill="tonexty"))
        traces += _fitted(n, value, max((params for _, params, _ in law.points), default=0.0))
    if law.hold_out:
        traces.append(_hold_out(law))
    labelled = len(law.points) <= 8
    for (cell, params, loss), side in zip(law.points, label_sides(law), strict=True):
        hover = f"<b>{plain(law.label(cell))}</b><br>{words.scaled(params)} parameters"
        hover += f"<br>validation loss {words.figure(loss, 4)}{_run(cell, law.label(cell))}"
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text" if labelled else "markers",
                "x": [params],
                "y": [loss],
                "text": [plain(law.label(cell))] if labelled else None,
                "textposition": " ".join(side),
                "cliponaxis": False,
                "marker": {"size": 11, "symbol": SYMBOLS[order[cell] % len(SYMBOLS)]},
                "hovertemplate": hover + "<extra></extra>",
                "meta": {"ink": "series", "cell": order[cell]},
            }
        )
    x = [params for _, params, _ in law.points]
    left, right = (math.log10(edge) for edge in size_reach(law))
    bottom, top = padded(loss_reach(law))
    layout = {
        "xaxis": _log_axis(law.axis, x, sizes=x) | {"range": [left, right]},
        "yaxis": _log_axis("validation loss (nats per token)", [bottom, top])
        | {"range": [math.log10(bottom), math.log10(top)]},
    }
    return _spec(traces, layout)


def label_sides(law: Law) -> list[tuple[str, str]]:
    """Where each point's label goes, ("top" or "bottom", "left" or "right"): off the fitted curve, inside the figure.

    The curve falls to the right, so right of a point above it and left of one below it there is room; only the
    first has none on its left. Long names go left of the points in the right half, which else run off the edge.
    """
    sides = []
    left, right = (math.log(edge) for edge in size_reach(law))
    for i, (cell, params, loss) in enumerate(law.points):
        below = bool(law.band) and loss < min(law.band, key=lambda row: abs(math.log(row[0] / params)))[2]
        late = math.log(params) > (left + right) / 2 and len(law.label(cell)) > LONG_LABEL
        sides.append(("bottom" if below else "top", "left" if i and (below or late) else "right"))
    return sides


def _run(name: str, label: str) -> str:
    """The run's own name for a hover, where its label is another."""
    return "" if name == label else f"<br>run {plain(name)}"


def _fitted(n: list[float], value: list[float], largest: float) -> list[Spec]:
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


def _hold_out(law: Law) -> Spec:
    held = law.hold_out
    assert held is not None
    predicted = words.figure(held.predicted)
    predicted += f" ({words.interval(held.low, held.high)})" if held.inside is not None else ""
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [held.params],
        "y": [held.predicted],
        "marker": {"size": 15, "symbol": "diamond-open", "line": {"width": 2}},
        "hovertemplate": f"predicted from the smaller sizes: {words.flat(predicted)}<extra></extra>",
        "meta": {"ink": "muted"},
    }
    if held.low is not None and held.high is not None:
        up, down = held.high - held.predicted, held.predicted - held.low
        trace["error_y"] = _bars([max(0.0, up)], [max(0.0, down)])
    return trace


def curves(drawn: list[Curve]) -> Spec:
    """Losses over tokens; `meta.axes` holds the other x values, `meta.part` lets the page hide raw or validation."""
    traces = []
    few = len(drawn) <= 12
    for i, curve in enumerate(drawn):
        name = plain(curve.label)
        parts: list[tuple[str, dict[str, list[Any]], list[Any], Spec]] = []
        if few:
            parts.append(
                ("raw", curve.train_x, curve.train, {"line": {"width": 1}, "opacity": 0.28, "hoverinfo": "skip"})
            )
        parts.append(("smooth", curve.train_x, curve.smooth, {"line": {"width": 2}}))
        marker = {"size": 7, "symbol": SYMBOLS[i % len(SYMBOLS)]}
        dots = {"mode": "lines+markers" if few else "lines", "line": {"width": 1.5, "dash": "dot"}, "marker": marker}
        parts.append(("validation", curve.validation_x, curve.validation, dots))
        for part, x, y, more in parts:
            if y:
                what = "training, smoothed" if part == "smooth" else part
                trace = _line(x["tokens"], y, "series", name=name, **more)
                trace.setdefault(
                    "hovertemplate", f"<b>{name}</b> {what}<br>%{{x:.3s}} · loss %{{y:.3f}}<extra></extra>"
                )
                trace["meta"] |= {"cell": i, "part": part, "axes": x}
                traces.append(trace)
    axes = {axis: _curve_axis(axis, [x for trace in traces for x in trace["meta"]["axes"][axis] if x]) for axis in AXES}
    loss = {"title": {"text": "loss (nats per token)"}, "type": "linear"}
    return _spec(traces, {"xaxis": axes["tokens"] | {"type": "log"}, "yaxis": loss}, axes=axes)


def _curve_axis(name: str, values: list[float]) -> Spec:
    """Title and the ticks that a logarithmic axis gets; a linear one finds its own."""
    ticks = log_ticks(min(values, default=1.0), max(values, default=10.0))
    show = {"tokens": words.scaled, "flops": words.flops, "seconds": words.duration}[name]
    exponents = "SI" if name == "flops" else "B"
    return {"title": {"text": AXIS_TITLES[name]}, "exponentformat": exponents} | {
        "tickvals": ticks,
        "ticktext": [show(tick).replace("FLOP", "") for tick in ticks],
    }


def panel(shown: Panel, order: dict[str, int]) -> Spec:
    """One metric over N with 95 % bars, the chance level, what else it is read against, and published models."""
    points = shown.points
    n = sorted({point.params for point in points})
    mean = [sum(p.value for p in points if p.params == x) / sum(p.params == x for p in points) for x in n]
    alike = len({point.badge for point in points}) == 1  # scores of other data are no part of the same curve
    traces = [_line(n, mean, "muted", hoverinfo="skip", line={"width": 1})] if len(n) > 1 and alike else []
    reach = [min(n), max(n), *(x for _, x, _ in shown.published)]
    edges = [min(reach) / 1.6, max(reach) * 1.6]
    if shown.chance is not None and chance_drawn(shown):
        chance = f"chance: {words.flat(words.figure(shown.chance))}<extra></extra>"
        line = {"width": 1.5, "dash": "dash"}
        traces.append(_line(edges, [shown.chance] * 2, "muted", hovertemplate=chance, line=line))
    for line, (dash, _) in zip(shown.lines, LINE_STYLES, strict=False):
        traces.append(_reference(line, edges, panel_reach(shown), dash))
    for point in points:
        traces.append(_score(point, order[point.cell]))
    for name, x, value in shown.published:
        hover = f"{plain(name)}: {words.flat(words.figure(value))} (published)<extra></extra>"
        marker = {"size": 9, "symbol": "x-thin", "line": {"width": 2}}
        traces.append({"type": "scatter", "mode": "markers", "x": [x], "y": [value], "marker": marker})
        traces[-1] |= {"hovertemplate": hover, "meta": {"ink": "text"}}
    layout = {
        "xaxis": _log_axis("", edges, sizes=n),
        "yaxis": _score_axis(shown),
        "margin": {"l": 52, "r": 10, "t": 8, "b": 30},
    }
    layout["xaxis"] |= {"range": [math.log10(edge) for edge in edges], "layer": "below traces"}
    return _spec(traces, layout)


def _score_axis(shown: Panel) -> Spec:
    low, high = panel_reach(shown)
    if spans_decades(shown):
        return _log_axis("", [low, high]) | {"range": [math.log10(low), math.log10(high)]}
    ticks = linear_ticks(low, high)
    return {"type": "linear", "range": [low, high], "tickvals": ticks, "ticktext": tick_texts(ticks)}


def _reference(line: Line, edges: list[float], reach: tuple[float, float], dash: str) -> Spec:
    """What a panel's points are read against. Over the whole width, and named there, where no model takes part in it;
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


def legend(shown: Panel) -> str:
    """Which line is what, of those that bear no name in the figure."""
    styles = zip(shown.lines, LINE_STYLES, strict=False)
    return "; ".join(f"{called}: {line.name}" for line, (_, called) in styles if not line.fixed)


def _score(point: Point, index: int) -> Spec:
    known = words.flat(words.interval(point.low, point.high))
    hover = f"<b>{plain(point.label)}</b> {words.flat(words.figure(point.value))}"
    hover += f"<br>95 %: {known}" if known else "<br>no interval"
    hover += f"<br>n = {point.n:,}" if point.n is not None else ""
    hover += f"<br>{words.scaled(point.params)} parameters, step {point.step:,}"
    hover += f"{_run(point.cell, point.label)}<br>{point.badge}"
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [point.params],
        "y": [point.value],
        "marker": {"size": 9, "symbol": SYMBOLS[index % len(SYMBOLS)]},
        "cliponaxis": False,
        "hovertemplate": hover + "<extra></extra>",
        "meta": {"ink": "series", "cell": index},
    }
    if point.low is not None and point.high is not None:
        trace["error_y"] = _bars([max(0.0, point.high - point.value)], [max(0.0, point.value - point.low)])
    return trace


def _bars(up: list[float], down: list[float]) -> Spec:
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.5, "width": 4}


def _line(x: list[Any], y: list[Any], ink: str, **more: Any) -> Spec:
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "meta": {"ink": ink}} | more


def _spec(traces: list[Spec], layout: Spec, **more: Any) -> Spec:
    base: Spec = {"hovermode": "closest", "showlegend": False, "margin": {"l": 58, "r": 14, "t": 14, "b": 48}}
    return {"data": traces, "layout": base | layout} | more


def _log_axis(title: str, values: list[float], sizes: list[float] | None = None) -> Spec:
    """A logarithmic axis with a few ticks that read as numbers; at the models' own sizes where they lie apart."""
    low, high = min(values, default=1.0), max(values, default=10.0)
    axis: Spec = {"title": {"text": title}, "type": "log"}
    if sizes and 1 < len(own := apart(sizes)) <= 7:
        return axis | {"tickvals": own, "ticktext": [words.scaled(n) for n in own]}
    ticks = log_ticks(low, high)
    return axis | {
        "tickvals": ticks,
        "ticktext": [words.scaled(tick) for tick in ticks] if sizes else tick_texts(ticks),
    }
