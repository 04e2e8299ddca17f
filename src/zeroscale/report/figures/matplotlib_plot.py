"""A `Plot` on paper: drawn into matplotlib's axes, from the same points as the page's."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zeroscale.report.figures.plot import Axis, Ends, Layer, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Color = str | tuple[float, float, float, float]

INKS = {"text": "#16181d", "muted": "#565d6b"}
DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
WIDTHS = {"text": 1.8, "muted": 1.1, "ramp": 1.0}
SYMBOLS = {"circle": ("o", 5), "circle-open": ("o", 5), "diamond": ("D", 6), "star": ("*", 8)}


def draw(axes: "Axes", plot: Plot) -> None:
    """Draws every layer within the plot's reach."""
    axes.set(xscale="log" if plot.x.log else "linear", yscale="log" if plot.y.log else "linear")
    for layer in plot.layers:
        if layer.kind == "band":
            low, high = _gaps(layer.low), _gaps(layer.high)
            color = _color(layer) if layer.ink == "ramp" else "#444444"
            axes.fill_between(layer.x, low, high, color=color, alpha=0.14, linewidth=0, label=_name(layer))
        else:
            _layer(axes, layer)
    _scale(axes.set_xlim, axes.set_xticks, plot.x)
    _scale(axes.set_ylim, axes.set_yticks, plot.y)
    axes.set(xlabel=plot.x.title, ylabel=plot.y.title)
    axes.set_title(literal(plot.title), fontweight="normal", color=INKS["muted"])
    if plot.legend:
        axes.legend()


def literal(text: str) -> str:
    """Text that matplotlib shows letter by letter: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")


def _scale(limits: Callable[..., object], ticks: Callable[..., object], axis: Axis) -> None:
    limits(axis.reach)
    values, texts = axis.ticks()
    ticks(values, [literal(text) for text in texts], minor=False)
    ticks([], minor=True)


def _layer(axes: "Axes", layer: Layer) -> None:
    color = _color(layer)
    if layer.kind == "line":
        style: dict[str, Any] = {"linestyle": DASHES[layer.dash], "linewidth": WIDTHS[layer.ink]}
        axes.plot(layer.x, layer.y, color=color, label=_name(layer), **style)
    elif layer.kind == "points":
        symbol, size = SYMBOLS[layer.symbol]
        face = "none" if layer.symbol.endswith("-open") else color
        style = {"marker": symbol, "markersize": size, "markerfacecolor": face, "color": color, "linestyle": "none"}
        style |= {f"{layer.along}err": _bars(layer), "elinewidth": 1, "label": _name(layer)}
        axes.errorbar(layer.x, layer.y, **style)
    if layer.text:
        axes.annotate(
            literal(layer.text),
            (layer.x[-1], layer.y[-1]),
            xytext=(5, 0),
            textcoords="offset points",
            fontsize=7,
            va="center",
            color=INKS["muted"],
        )


def _gaps(values: Ends) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _name(layer: Layer) -> str | None:
    return literal(layer.name) if layer.name else None


def _bars(layer: Layer) -> list[list[float]] | None:
    if not layer.low:
        return None
    middle = layer.y if layer.along == "y" else layer.x
    down = [math.nan if end is None else max(0.0, at - end) for at, end in zip(middle, layer.low, strict=True)]
    up = [math.nan if end is None else max(0.0, end - at) for at, end in zip(middle, layer.high, strict=True)]
    return [down, up]


def _color(layer: Layer) -> Color:
    if layer.ink != "ramp":
        return INKS[layer.ink]
    import matplotlib

    index, count = layer.place
    return matplotlib.colormaps["cividis"](0.9 * index / max(1, count - 1))
