"""A plotly figure of the page with its colours in it, for places that have no theme of ours: W&B shows it as it is."""

import copy

from zeroscale.report.figures.matplotlib_plot import INKS
from zeroscale.report.figures.plotly_json import PlotlyFigure, Trace

# Okabe and Ito (2008), as in figures.mplstyle.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444")
BAND = "rgba(68, 68, 68, 0.14)"
# cividis (Nuñez, Anderton and Renslow 2018) from dark to light, at eight even places of its first nine tenths.
RAMP = ("#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369")


def themed(page_figure: PlotlyFigure) -> PlotlyFigure:
    """Traces and layout with colours instead of inks, and nothing that only the page understands."""
    figure: PlotlyFigure = {"data": copy.deepcopy(page_figure["data"]), "layout": copy.deepcopy(page_figure["layout"])}
    for trace in figure["data"]:
        meta = trace.pop("meta", {})
        color = _color(meta)
        if trace.get("fill"):
            trace["fillcolor"] = BAND
        trace.setdefault("line", {}).setdefault("color", color)
        marker = trace.setdefault("marker", {})
        colors = [SERIES[index % len(SERIES)] for index in meta.get("cells") or [] if isinstance(index, int)]
        marker.setdefault("color", colors or color)
        marker.setdefault("line", {}).setdefault("color", color)
        trace.setdefault("textfont", {}).setdefault("color", INKS["muted"])
        if "error_y" in trace:
            trace["error_y"].setdefault("color", color)
        if "error_x" in trace:
            trace["error_x"].setdefault("color", color)
    figure["layout"] |= {"paper_bgcolor": "white", "plot_bgcolor": "white", "font": {"color": INKS["text"]}}
    for name in ("xaxis", "yaxis"):
        figure["layout"].setdefault(name, {}).setdefault("gridcolor", "#e3e6eb")
    return figure


def _color(meta: Trace) -> str:
    if "cell" in meta:
        return SERIES[meta["cell"] % len(SERIES)]
    if meta.get("ink") == "ramp":
        place, count = meta.get("place", 0), max(1, meta.get("of", 1) - 1)
        return RAMP[round((len(RAMP) - 1) * place / count)]
    return INKS.get(meta.get("ink", "text"), INKS["muted"])
