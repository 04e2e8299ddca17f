"""What the fit run shows in W&B, as plain rows and series: no W&B here."""

import csv
import io
import math
from collections.abc import Container, Iterator
from dataclasses import dataclass

from zeroscale.core import format
from zeroscale.report.figures import law_plots, plotly_panels, plotly_plot
from zeroscale.report.figures.plot import Axis, Layer, Plot
from zeroscale.report.figures.plotly_json import PlotlyFigure
from zeroscale.report.figures.plotly_themed import themed
from zeroscale.report.sections import scaling_laws
from zeroscale.report.sections.examples import read_examples
from zeroscale.report.tables import table_files
from zeroscale.report.views.benchmarks import Card
from zeroscale.report.views.loss_curves import Curve
from zeroscale.report.views.size_law import Law
from zeroscale.report.views.study import StudyView

Columns = list[str]
Value = str | float | bool | None
Rows = list[list[Value]]
SCORE_COLUMNS = ["run", "model", "params_non_embedding", "tokens", "flops", "benchmark", "protocol", "metric", "value"]
SCORE_COLUMNS += ["low", "high", "n", "higher_is_better", "chance", "what", "step", "file"]
EXAMPLE_COLUMNS = ("benchmark", "protocol", "passage", "asked", "target", "run", "said", "right", "what")
MAX_SERIES = 24  # more series in one of W&B's charts cannot be told apart


@dataclass(frozen=True)
class Chart:
    """Lines over one x. W&B's line chart has no logarithmic axes: values along such an axis are given as log10."""

    name: str
    title: str
    x_title: str
    y_title: str
    series: dict[str, tuple[list[float], list[float]]]


def charts(study: StudyView, by_size: Law, curves: list[Curve]) -> list[Chart]:
    """The law over size, every figure of the laws over size and data, and the loss curves."""
    made = [_size_chart(by_size)] if by_size.points else []
    made += [_plot_chart(plot) for plot in law_plots.plots(scaling_laws.laws_of(study))]
    made += [_loss_chart(curves)] if any(curve.smooth for curve in curves) else []
    return [chart for chart in made if chart.series]


def figures(study: StudyView, by_size: Law) -> dict[str, PlotlyFigure]:
    """The page's figures of the laws, as plotly's JSON, with logarithmic axes and intervals."""
    order = {run.name: place for place, run in enumerate(study.runs)}
    made = {"law": plotly_panels.law(by_size, order)} if by_size.points else {}
    made |= {plot.name: plotly_plot.figure(plot) for plot in law_plots.plots(scaling_laws.laws_of(study))}
    return {name: themed(figure) for name, figure in made.items()}


def _size_chart(law: Law) -> Chart:
    series = {"measured": ([n for _, n, _ in law.points], [loss for _, _, loss in law.points])}
    for i, name in ((2, "fit"), (1, "fit, low"), (3, "fit, high")):
        points = [(row[0], end) for row in law.band if (end := row[i]) is not None and end > 0]
        if points:
            series[name] = ([n for n, _ in points], [end for _, end in points])
    if law.hold_out:
        series["predicted from the smaller sizes"] = ([law.hold_out.params], [law.hold_out.predicted])
    logs = {name: (_log10(x), _log10(y)) for name, (x, y) in series.items()}
    return Chart("law", "Loss over size", f"log10 of {law.axis}", "log10 of loss (nats per token)", logs)


def _loss_chart(curves: list[Curve]) -> Chart:
    series = {}
    for curve in curves[:MAX_SERIES]:
        points = [(x, y) for x, y in zip(curve.train_x["tokens"], curve.smooth, strict=True) if x and y is not None]
        if points:
            series[curve.label] = (_log10([x for x, _ in points]), [y for _, y in points])
    return Chart("loss_over_tokens", "Training loss, smoothed", "log10 of training tokens", "nats per token", series)


def _plot_chart(plot: Plot) -> Chart:
    series: dict[str, tuple[list[float], list[float]]] = {}
    for number, layer in enumerate(plot.layers):
        for name, x, y in _series(layer, number):
            scaled = [(_on_axis(plot.x, a), _on_axis(plot.y, b)) for a, b in zip(x, y, strict=True)]
            points = [(a, b) for a, b in scaled if a is not None and b is not None]
            if points and len(series) < MAX_SERIES:
                series[_unique(name, series)] = ([a for a, _ in points], [b for _, b in points])
    return Chart(plot.name, plot.title, _title(plot.x), _title(plot.y), series)


def _series(layer: Layer, number: int) -> Iterator[tuple[str, list[float], list[float]]]:
    place, count = layer.place
    default = f"{layer.kind} {place + 1} of {count}" if layer.ink == "ramp" else f"{layer.kind} {number + 1}"
    name = (layer.name or layer.text or default).replace(format.SPACE, " ")
    if layer.kind == "band":
        yield f"{name}, low", layer.x, [_float(end) for end in layer.low]
        yield f"{name}, high", layer.x, [_float(end) for end in layer.high]
    elif layer.kind in ("line", "points"):
        yield name, layer.x, layer.y


def _unique(name: str, taken: Container[str]) -> str:
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name} ({number})", number + 1
    return unique


def _title(axis: Axis) -> str:
    return f"log10 of {axis.title}" if axis.log else axis.title


def _on_axis(axis: Axis, value: float) -> float | None:
    if not axis.log:
        return value if math.isfinite(value) else None
    return math.log10(value) if value > 0 else None


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def _log10(values: list[float]) -> list[float]:
    return [math.log10(value) for value in values]


def scores(study: StudyView, cards: list[Card]) -> tuple[Columns, Rows]:
    """A row for every metric of every benchmark of every run, with what was varied, its interval and where it stands on
    disk."""
    runs = {run.name: run for run in study.runs}
    axes = [axis.key for axis in study.axes.varied if axis.kind != "size"]
    rows: Rows = []
    for card in cards:
        for panel in card.panels:
            for point in panel.points:
                run = runs[point.run]
                settings = [study.axes.value(run.run, key) for key in axes]
                row: list[Value] = [
                    run.name,
                    run.label,
                    *settings,
                    point.params,
                    run.row.get("tokens"),
                    run.row.get("flops"),
                ]
                row += [card.card, card.protocol, panel.metric, point.value, point.low, point.high, point.n]
                rows.append([*row, panel.higher_is_better, panel.chance, point.badge, point.step, point.path])
    return [*SCORE_COLUMNS[:2], *axes, *SCORE_COLUMNS[2:]], typed(rows)


def examples(study: StudyView) -> tuple[Columns, Rows]:
    """A row per example and run: its context, the target, the prediction."""
    rows: Rows = []
    for card in read_examples([run for run in study.runs if run.results]):
        for example in card["examples"]:
            context = "\n".join(f"{label}: {text}" for label, text in example["asked"])
            for answer in example["answers"]:
                row: list[Value] = [
                    card["card"],
                    card["protocol"],
                    example["passage"],
                    context,
                    example["target"],
                    answer["run"],
                ]
                verdict = {True: "right", False: "wrong", None: ""}[answer["right"]]
                rows.append([*row, answer["said"] or answer["more"], verdict, ", ".join(card["badges"])])
    return list(EXAMPLE_COLUMNS), typed(rows)


def tables(study: StudyView, cards: list[Card]) -> dict[str, tuple[str, Columns, Rows]]:
    """The report's own tables by name: (caption, columns, rows), intervals as columns of their own."""
    made = {}
    for name, table in table_files.every(study, cards).items():
        head, *rows = csv.reader(io.StringIO(table.csv()))
        made[name] = (table.caption, _unique_labels(head), typed([[_value(text) for text in row] for row in rows]))
    return made


def _unique_labels(head: Columns) -> Columns:
    """No two columns of one name: W&B would show one of them."""
    labels: dict[str, None] = {}
    for label in head:
        labels[_unique(label or "-", labels)] = None
    return list(labels)


def _value(text: str) -> Value:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def typed(rows: Rows) -> Rows:
    """Every column of one type, as W&B's tables want it: where words and numbers meet, all are words."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    for i, column in enumerate(columns):
        filled = [value for value in column if value is not None]
        if all(isinstance(value, bool) for value in filled):
            continue
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in filled):
            columns[i] = [None if value is None or not math.isfinite(value) else float(value) for value in column]
        else:
            columns[i] = [None if value is None else _text(value) for value in column]
    return [list(row) for row in zip(*columns, strict=True)]


def _text(value: Value) -> str:
    return format.flat(format.figure(value)) if isinstance(value, float) else str(value)


def summary(study: StudyView, by_size: Law) -> dict[str, float]:
    """The numbers of the first screen, for W&B's table of runs and its panels."""
    done = sum(run.done for run in study.runs)
    numbers: dict[str, float | None] = {"runs": study.total, "runs_done": done}
    for name, (value, low, high) in by_size.parameters.items():
        numbers |= _ends(f"L(N)/{name}", value, low, high)
    held = by_size.hold_out
    if held:
        numbers |= _ends("hold_out/predicted", held.predicted, held.low, held.high)
        numbers |= {"hold_out/measured": held.measured, "hold_out/error": held.predicted / held.measured - 1}
    for name, law in scaling_laws.laws_of(study).items():
        for key, estimate in [*law.parameters.items(), *law.exponents.items()]:
            numbers |= _ends(f"{name}/{key}", estimate.value, estimate.low, estimate.high)
    return {key: value for key, value in numbers.items() if value is not None}


def _ends(name: str, value: float | None, low: float | None, high: float | None) -> dict[str, float | None]:
    return {name: value, f"{name}/low": low, f"{name}/high": high}
