"""The report's figures on paper: PNG (300 dpi), SVG and PDF by matplotlib, from the same points as the page's.

One or two columns of a journal wide (3.25 and 6.75 inches), so that nobody has to scale them and their texts.
No pyplot: figures are objects of their own, drawn by Agg, so nothing is left in the process. Same input, same bytes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import as_file
from importlib.resources import files as package_files
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from zeroscale.report.figures.law_plots import plots
from zeroscale.report.figures.matplotlib_plot import below, literal, mathtext
from zeroscale.report.figures.matplotlib_plot import draw as draw_plot
from zeroscale.report.figures.optimum_plots import by_convention
from zeroscale.report.figures.paper_figures import perplexity
from zeroscale.report.figures.plot import Plot
from zeroscale.report.figures.plotly_panels import LONG_LABEL, label_sides, loss_reach, size_reach
from zeroscale.report.sections.scaling_laws import laws_of
from zeroscale.report.sweep import length_plots
from zeroscale.report.sweep import plots as sweep_plots
from zeroscale.report.sweep import view as sweep
from zeroscale.report.views.benchmarks import Card, Panel
from zeroscale.report.views.loss_curves import Curve
from zeroscale.report.views.size_law import HoldOut, Law, greek
from zeroscale.report.views.study import StudyView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Color = str | tuple[float, float, float, float]

MARKERS = "osD^PX*"
COLUMNS = 3
MAX_NAMED_CURVES = 12  # more would not find room in the legend
ONE_COLUMN, TWO_COLUMNS = 3.25, 6.75
"""Inches."""
_SIZE = (ONE_COLUMN, 2.7)
_LONG_TICK = 14  # letters, from which a figure needs two columns
LINE_STYLES = (":", "-.", (0, (8, 3)))  # chance is dashed


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn: `draw` fills an empty matplotlib figure of so many inches."""

    draw: Callable[["Figure"], None]
    inches: tuple[float, float]


@contextmanager
def style() -> Iterator[list[str]]:
    """Within it figures are drawn in the report's style; gives the style's colours."""
    from matplotlib import rc_context, rc_params_from_file

    with as_file(package_files("zeroscale.report") / "assets" / "figures.mplstyle") as path:
        parameters = rc_params_from_file(path, use_default_template=True)
    with rc_context(parameters):
        yield parameters["axes.prop_cycle"].by_key()["color"]


def drawings(
    study: StudyView, law: Law, curves: list[Curve], cards: list[Card], palette: list[str]
) -> dict[str, Drawing]:
    """loss_over_tokens, loss_over_flops, law, those over size and data, perplexity and benchmarks, of what there is;
    by name, to be drawn in the report's style."""
    drawn: dict[str, Drawing] = {}
    painter = _Painter([run.name for run in study.runs], palette)
    if any(curve.train or curve.validation for curve in curves):
        for axis, label in (("tokens", "training tokens, D"), ("flops", "compute, C (FLOPs)")):
            drawn[f"loss_over_{axis}"] = Drawing(_loss_drawer(curves, axis, label, painter), _SIZE)
    if law.points:
        drawn["law"] = Drawing(lambda figure: _law(figure, law, painter), (ONE_COLUMN, 3.2))
    for plot in _plots(study, curves):
        drawn[plot.name] = Drawing(partial(_draw_plot, plot), _size(plot))
    panels = [(card, panel) for card in cards for panel in card.panels]
    if panels:
        rows = -(-len(panels) // COLUMNS)
        drawn["benchmarks"] = Drawing(
            lambda figure: _grid(figure, panels, rows, painter), (TWO_COLUMNS, 0.4 + 1.9 * rows)
        )
    return drawn


def write(folder: Path, study: StudyView, law: Law, curves: list[Curve], cards: list[Card]) -> list[Path]:
    """Writes every drawing as PNG, SVG and PDF."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with style() as palette:
        for name, drawing in drawings(study, law, curves, cards, palette).items():
            written += _save(folder / name, drawing)
    return written


def _plots(study: StudyView, curves: list[Curve]) -> list[Plot]:
    """The figures of the laws, and the paper's figure 4 with this study's models."""
    made = [*plots(laws_of(study), study.runs), by_convention(study.fit), perplexity(study, curves)]
    made += length_plots.lengths(study.fit)
    if (varied := sweep.read(study)) is not None:
        made += [*sweep_plots.over_settings(varied), *sweep_plots.curves(study)]
    return [plot for plot in made if plot is not None]


def _size(plot: Plot) -> tuple[float, float]:
    """One column; two where names stand along the axis, and taller for each line of the legend beyond two."""
    _, texts = plot.y.ticks()
    wide = max(map(len, texts), default=0) > _LONG_TICK
    names = [layer.name for layer in plot.layers if layer.name]
    per_row = 1 if max(map(len, names), default=0) > 20 else 3
    return (TWO_COLUMNS if wide else ONE_COLUMN), _SIZE[1] + 0.14 * max(0, len(names) // per_row - 2)


def _draw_plot(plot: Plot, figure: "Figure") -> None:
    draw_plot(figure.subplots(), plot)


class _Painter:
    """A colour and a marker per run: Okabe-Ito for a handful, an ordered scale (cividis) for more."""

    def __init__(self, runs: list[str], palette: list[str]) -> None:
        import matplotlib

        self._index = {run: index for index, run in enumerate(runs)}
        if len(runs) <= len(palette):
            self._colors: list[Color] = list(palette)
        else:
            scale = matplotlib.colormaps["cividis"]
            self._colors = [scale(0.9 * index / (len(runs) - 1)) for index in range(len(runs))]

    def color(self, run: str) -> Color:
        return self._colors[self._index[run]]

    def marker(self, run: str) -> str:
        return MARKERS[self._index[run] % len(MARKERS)]


def draw_figure(drawing: Drawing) -> "Figure":
    """A matplotlib figure, laid out; belongs within `style`."""
    from matplotlib import rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=drawing.inches, layout="constrained", dpi=rcParams["savefig.dpi"])
    FigureCanvasAgg(figure)
    drawing.draw(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _save(stem: Path, drawing: Drawing) -> list[Path]:
    """Draws once for the layout, then once for each kind (`savefig` would lay out anew for each)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure = draw_figure(drawing)
    png, svg, pdf = (stem.with_suffix(suffix) for suffix in (".png", ".svg", ".pdf"))
    # matplotlib's stubs give these methods no types.
    FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})  # type: ignore[no-untyped-call]
    FigureCanvasSVG(figure).print_svg(str(svg), metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    unset = {"CreationDate": None, "Creator": None, "Producer": None}
    FigureCanvasPdf(figure).print_pdf(pdf, metadata=unset)  # type: ignore[no-untyped-call]
    return [png, svg, pdf]


def _loss_drawer(curves: list[Curve], axis: str, label: str, painter: _Painter) -> Callable[["Figure"], None]:
    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        few = len(curves) <= MAX_NAMED_CURVES
        for curve in curves:
            color = painter.color(curve.run)
            if few:
                axes.plot(_gaps(curve.train_x[axis]), _gaps(curve.train), color=color, alpha=0.22, linewidth=0.7)
            name, marker = (literal(curve.label), painter.marker(curve.run)) if few else (None, None)
            axes.plot(_gaps(curve.train_x[axis]), _gaps(curve.smooth), color=color, label=name)
            x, y = _gaps(curve.validation_x[axis]), _gaps(curve.validation)
            axes.plot(x, y, color=color, linestyle=":", linewidth=1.2, markersize=4, marker=marker)
        axes.set(xscale="log", xlabel=mathtext(label), ylabel="loss (nats per token)")
        show = format.flops if axis == "flops" else format.scaled
        ticks = log_ticks(*axes.get_xlim())
        axes.set_xticks(ticks, [show(tick).replace("FLOP", "") for tick in ticks], minor=False)
        axes.set_xticks([], minor=True)
        axes.set_title("line: training, smoothed; dotted: validation", fontweight="normal", color="#565d6b")
        if few:
            below(figure)

    return draw


def _gaps(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _law(figure: "Figure", law: Law, painter: _Painter) -> None:
    axes = figure.subplots()
    if law.band:
        n, low, value, high = (list(column) for column in zip(*law.band, strict=True))
        if None not in low and None not in high:
            axes.fill_between(n, low, high, color="#444444", alpha=0.14, linewidth=0, label="95 % interval")
        _fit(axes, law, n, value)
    if law.hold_out:
        _hold_out(axes, law.hold_out)
    short = all(len(law.label(run)) <= LONG_LABEL for run, _, _ in law.points)
    for (run, params, loss), side in zip(law.points, label_sides(law), strict=True):
        axes.plot(params, loss, linestyle="none", color=painter.color(run), marker=painter.marker(run), markersize=5)
        if len(law.points) <= 8 and short:
            _label(axes, law.label(run), (params, loss), *side)
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel=mathtext(law.axis), ylabel="validation loss (nats per token)", xlim=size_reach(law))
    bottom, top = padded(loss_reach(law))
    _ticks(axes, sorted({params for _, params, _ in law.points}), log_ticks(bottom, top))
    axes.set_ylim(bottom, top)
    if law.band or law.hold_out:
        below(figure)


def _fit(axes: "Axes", law: Law, n: list[float], value: list[float]) -> None:
    """The law's line: solid over the sizes that were trained, dashed beyond."""
    sizes = [params for _, params, _ in law.points]
    inside = [i for i, at in enumerate(n) if min(sizes) <= at <= max(sizes)] or [0]
    first, last = inside[0], inside[-1]
    label = mathtext(greek(law.form)) if law.form else "fit"
    axes.plot(n[first : last + 1], value[first : last + 1], color="#444444", label=label)
    for name, part in (("extrapolated", slice(last, None)), ("", slice(0, first + 1))):
        if len(n[part]) > 1:
            axes.plot(n[part], value[part], color="#444444", linestyle="--", label=name or None)


def _hold_out(axes: "Axes", held: HoldOut) -> None:
    bars = _error_bars(held.predicted, held.low, held.high)
    style: dict[str, Any] = {"marker": "D", "markersize": 7, "markerfacecolor": "none", "color": "#16181d"}
    style |= {"linestyle": "none", "elinewidth": 1, "capsize": 0}
    axes.errorbar([held.params], [held.predicted], yerr=bars, label="predicted from smaller sizes", **style)


def _error_bars(value: float, low: float | None, high: float | None) -> list[list[float]] | None:
    """Lengths below and above a point; None without an interval."""
    if low is None or high is None:
        return None
    return [[max(0.0, value - low)], [max(0.0, high - value)]]


def _label(axes: "Axes", text: str, at: tuple[float, float], up: str, side: str) -> None:
    from matplotlib.patheffects import withStroke

    offset = (6 if side == "right" else -6, 6 if up == "top" else -6)
    place: dict[str, Any] = {"ha": "left" if side == "right" else "right", "va": "bottom" if up == "top" else "top"}
    outline = [withStroke(linewidth=2.5, foreground="white")]  # legible where a line passes
    axes.annotate(
        literal(text), at, xytext=offset, textcoords="offset points", fontsize=6.5, path_effects=outline, **place
    )


def _ticks(axes: "Axes", sizes: list[float], losses: list[float]) -> None:
    own = apart(sizes)
    if len(own) <= 7:
        axes.set_xticks(own, [format.scaled(n) for n in own], minor=False)
        axes.set_xticks([], minor=True)
    axes.set_yticks(losses, tick_texts(losses), minor=False)
    axes.set_yticks([], minor=True)


def _grid(figure: "Figure", panels: list[tuple[Card, Panel]], rows: int, painter: _Painter) -> None:
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    names = dict.fromkeys(line.name for _, panel in panels for line in panel.lines)
    dashes = dict(zip(names, cycle(LINE_STYLES), strict=False))
    for place, axes in enumerate(grid.flat):
        if place >= len(panels):
            axes.set_axis_off()
            continue
        _panel(axes, *panels[place], painter, dashes)
        if place + COLUMNS >= len(panels):
            axes.set_xlabel(mathtext("parameters without embeddings, N"), fontsize=7)
    below(figure)


def _panel(axes: "Axes", card: Card, panel: Panel, painter: _Painter, dashes: dict[str, Any]) -> None:
    if panel.chance is not None and chance_drawn(panel):
        axes.axhline(panel.chance, color="#565d6b", linestyle="--", linewidth=1, label="chance")
    for line in panel.lines:
        muted: dict[str, Any] = {"color": "#565d6b", "linestyle": dashes[line.name], "label": literal(line.name)}
        muted["linewidth"] = 1
        if line.fixed:
            axes.axhline(line.points[0][1], **muted)
        else:
            axes.plot(*zip(*line.points, strict=True), **muted)
    published_sizes = _published(axes, panel)
    for point in panel.points:
        bars = _error_bars(point.value, point.low, point.high)
        style: dict[str, Any] = {"color": painter.color(point.run), "marker": painter.marker(point.run)}
        axes.errorbar([point.params], [point.value], yerr=bars, linestyle="none", clip_on=False, **style)
    axes.set_xscale("log")
    log = spans_decades(panel)
    if log:
        axes.set_yscale("log")
    arrow = "↑" if panel.higher_is_better else "↓"
    badge = "" if card.kind == "benchmark" else f" [{card.badge}]"
    axes.set_title(literal(f"{card.card}{badge}\n{panel.metric} {arrow}  n = {card.count}"), fontsize=7)
    axes.margins(x=0.15)
    reach = panel_reach(panel)
    sizes = sorted({point.params for point in panel.points} | published_sizes)
    _ticks(axes, sizes, (log_ticks if log else linear_ticks)(*reach))
    axes.set_ylim(reach)


def _published(axes: "Axes", panel: Panel) -> set[float]:
    """Draws what others measured; returns the sizes of their models."""
    sizes: set[float] = set()
    for name, marker, scores in (("published", "x", panel.published), ("reproduced", "+", panel.reproduced)):
        if scores:
            x, y = [score.params for score in scores], [score.value for score in scores]
            axes.plot(x, y, linestyle="none", marker=marker, color="#16181d", label=name)
            sizes.update(x)
    return sizes
