"""A `Plot` on paper: drawn into matplotlib's axes, from the same points as the page's."""

import math
from typing import Any

from zeroscale.report.figures.plot import Axis, Mark, Plot

INKS = {"text": "#16181d", "muted": "#565d6b"}
DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
WIDTHS = {"text": 1.8, "muted": 1.1, "ramp": 1.0}
SYMBOLS = {"circle": ("o", 5), "circle-open": ("o", 5), "diamond": ("D", 6), "star": ("*", 8)}


def draw(axes: Any, plot: Plot) -> None:
    """Draws every mark within the plot's reach."""
    axes.set(xscale="log" if plot.x.log else "linear", yscale="log" if plot.y.log else "linear")
    for mark in plot.marks:
        if mark.kind == "band":
            axes.fill_between(mark.x, mark.low, mark.high, color="#444444", alpha=0.14, linewidth=0, label=_name(mark))
        else:
            _mark(axes, mark)
    _scale(axes.set_xlim, axes.set_xticks, plot.x)
    _scale(axes.set_ylim, axes.set_yticks, plot.y)
    axes.set(xlabel=plot.x.title, ylabel=plot.y.title)
    axes.set_title(literal(plot.title), fontweight="normal", color=INKS["muted"])
    if plot.legend:
        axes.legend()


def literal(text: str) -> str:
    """Text that matplotlib shows letter by letter: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")


def _scale(limits: Any, ticks: Any, axis: Axis) -> None:
    limits(axis.reach)
    values, texts = axis.ticks()
    ticks(values, [literal(text) for text in texts], minor=False)
    ticks([], minor=True)


def _mark(axes: Any, mark: Mark) -> None:
    color = _color(mark)
    if mark.kind == "line":
        style = {"linestyle": DASHES[mark.dash], "linewidth": WIDTHS[mark.ink]}
        axes.plot(mark.x, mark.y, color=color, label=_name(mark), **style)
    elif mark.kind == "points":
        symbol, size = SYMBOLS[mark.symbol]
        face = "none" if mark.symbol.endswith("-open") else color
        style = {"marker": symbol, "markersize": size, "markerfacecolor": face, "color": color, "linestyle": "none"}
        axes.errorbar(mark.x, mark.y, **{f"{mark.along}err": _bars(mark)}, elinewidth=1, label=_name(mark), **style)
    if mark.text:
        axes.annotate(
            literal(mark.text),
            (mark.x[-1], mark.y[-1]),
            xytext=(5, 0),
            textcoords="offset points",
            fontsize=7,
            va="center",
            color=INKS["muted"],
        )


def _name(mark: Mark) -> str | None:
    return literal(mark.name) if mark.name else None


def _bars(mark: Mark) -> list[list[float]] | None:
    if not mark.low:
        return None
    middle = mark.y if mark.along == "y" else mark.x
    down = [math.nan if end is None else max(0.0, at - end) for at, end in zip(middle, mark.low, strict=True)]
    up = [math.nan if end is None else max(0.0, end - at) for at, end in zip(middle, mark.high, strict=True)]
    return [down, up]


def _color(mark: Mark) -> Any:
    if mark.ink != "ramp":
        return INKS[mark.ink]
    import matplotlib

    index, count = mark.place
    return matplotlib.colormaps["cividis"](0.9 * index / max(1, count - 1))
