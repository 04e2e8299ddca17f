"""A `Plot` on paper: drawn into matplotlib's axes, from the same points as the page's."""

import math
import re
from collections.abc import Callable
from textwrap import fill
from typing import TYPE_CHECKING, Any

from zeroscale.report.figures.plot import Axis, Ends, Layer, Plot

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Color = str | tuple[float, float, float, float]

INKS = {"text": "#16181d", "muted": "#565d6b"}
DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
WIDTHS = {"text": 1.3, "muted": 0.9, "ramp": 0.9}
SYMBOLS = {"circle": ("o", 4), "circle-open": ("o", 4), "diamond": ("D", 5), "star": ("*", 8)}
# At the style's 7 points, in a column of a journal.
LETTERS_PER_INCH, LETTERS_OF_A_HANDLE, TITLE_LETTERS = 18.0, 5, 48
# Of mathtext, what stands for no letter.
_COMMAND = re.compile(r"[${}^_]|\\\\[a-z]+")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWER = re.compile(r"(?:(\d[\d.,]*)\s?×\s?)?10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)")
# "parameters, N", "compute, C (FLOPs)": the letter of what is along an axis.
_LETTER = re.compile(r"(?<=, )([NDC])(?=$| \()")
_FORM = re.compile(r"L\([ND]\) = .*")
_GREEK = {"alpha": r"\alpha", "beta": r"\beta", "α": r"\alpha", "β": r"\beta"}


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
    axes.set(xlabel=mathtext(plot.x.title), ylabel=mathtext(plot.y.title))
    axes.set_title(fill(literal(plot.title), TITLE_LETTERS), fontweight="normal", color=INKS["muted"])
    if plot.legend:
        figure = axes.get_figure(root=True)
        assert figure is not None
        below(figure)


def below(figure: "Figure") -> None:
    """A legend of all axes under them, where it covers nothing, in as many columns as its texts leave room for."""
    named: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if not named:
        return
    longest = max(len(_COMMAND.sub("", label)) for label in named)
    columns = int(figure.get_figwidth() * LETTERS_PER_INCH // (longest + LETTERS_OF_A_HANDLE))
    columns = max(1, min(len(named), columns))
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=columns)


def _scale(limits: Callable[..., object], ticks: Callable[..., object], axis: Axis) -> None:
    limits(axis.reach)
    values, texts = axis.ticks()
    ticks(values, [mathtext(text) for text in texts], minor=False)
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
            mathtext(layer.text),
            (layer.x[-1], layer.y[-1]),
            xytext=(5, 0),
            textcoords="offset points",
            fontsize=6.5,
            va="center",
            color=INKS["muted"],
        )


def _gaps(values: Ends) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _name(layer: Layer) -> str | None:
    return mathtext(layer.name) if layer.name else None


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


def literal(text: str) -> str:
    """Text that matplotlib shows letter by letter: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")


def mathtext(text: str) -> str:
    """The same with a law's form, the letters N, D and C of an axis, and powers of ten in mathtext."""
    if _FORM.fullmatch(text):
        return f"${_formula(text)}$"
    text = _POWER.sub(_power, literal(text))
    return _LETTER.sub(r"$\1$", text)


def _power(found: re.Match[str]) -> str:
    factor = rf"{found[1]} \times " if found[1] else ""
    return rf"${factor}10^{{{found[2].translate(_SUPERSCRIPTS)}}}$"


def _formula(text: str) -> str:
    """`L(N) = E + (N_c/N)^alpha` → L(N) = E + (N_c/N)^{\\alpha}."""
    text = re.sub(r"\b(alpha|beta)\b|[αβ]", lambda name: _GREEK[name[0]], literal(text))
    return re.sub(r"\^(\\?\w+)", r"^{\1}", text)
