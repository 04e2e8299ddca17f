"""What the fit run shows in W&B, as plain rows and series: no W&B here."""

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zeroscale.core import format
from zeroscale.report.sections import scaling_laws
from zeroscale.report.figures import law_plots
from zeroscale.report.figures import plotly_plot
from zeroscale.report.figures import plotly_panels
from zeroscale.report.tables import table_files
from zeroscale.report.views.benchmarks import Card
from zeroscale.report.views.loss_curves import Curve
from zeroscale.report.sections.examples import read_examples
from zeroscale.report.views.size_law import Law
from zeroscale.report.figures.plotly_themed import themed
from zeroscale.report.figures.plot import Axis
from zeroscale.report.figures.plot import Mark
from zeroscale.report.figures.plot import Plot
from zeroscale.report.views.study import StudyView

Columns = list[str]
Rows = list[list[Any]]
SCORE_COLUMNS = ("run", "model", "params_non_embedding", "tokens", "flops", "benchmark", "protocol", "metric", "value")
SCORE_COLUMNS += ("low", "high", "n", "higher_is_better", "chance", "what", "step", "file")
EXAMPLE_COLUMNS = ("benchmark", "protocol", "passage", "asked", "target", "run", "said", "right", "what")
LINES = 24  # more series than these in one of W&B's charts tell nothing


@dataclass(frozen=True)
class Chart:
    """Lines over one x. W&B's line chart has no logarithmic axes: values along such an axis are given as log10."""

    name: str
    title: str
    x_title: str
    y_title: str
    series: dict[str, tuple[list[float], list[float]]]


def charts(study: StudyView, by_size: Law, drawn: list[Curve]) -> list[Chart]:
    """The law over size, every figure of the laws over size and data, and the loss curves."""
    found = [_by_size(by_size)] if by_size.points else []
    found += [_of_plot(plot) for plot in law_plots.plots(scaling_laws.laws_of(study))]
    found += [_losses(drawn)] if any(curve.smooth for curve in drawn) else []
    return [chart for chart in found if chart.series]


def figures(study: StudyView, by_size: Law) -> dict[str, dict[str, Any]]:
    """The page's figures of the laws, as plotly's JSON, with logarithmic axes and intervals."""
    order = {run.name: place for place, run in enumerate(study.runs)}
    found = {"law": plotly_panels.law(by_size, order)} if by_size.points else {}
    found |= {plot.name: plotly_plot.spec(plot) for plot in law_plots.plots(scaling_laws.laws_of(study))}
    return {name: themed(spec) for name, spec in found.items()}


def _by_size(law: Law) -> Chart:
    series = {"measured": ([n for _, n, _ in law.points], [loss for _, _, loss in law.points])}
    for i, name in ((2, "fit"), (1, "fit, low"), (3, "fit, high")):
        known = [row for row in law.band if row[i] is not None and row[i] > 0]  # type: ignore[operator]
        if known:
            series[name] = ([row[0] for row in known], [float(row[i]) for row in known])  # type: ignore[arg-type]
    if law.hold_out:
        series["predicted from the smaller sizes"] = ([law.hold_out.params], [law.hold_out.predicted])
    logs = {name: (_log10(x), _log10(y)) for name, (x, y) in series.items()}
    return Chart("law", "Loss over size", f"log10 of {law.axis}", "log10 of loss (nats per token)", logs)


def _losses(drawn: list[Curve]) -> Chart:
    series = {}
    for curve in drawn[:LINES]:
        points = [(x, y) for x, y in zip(curve.train_x["tokens"], curve.smooth, strict=True) if x and y is not None]
        if points:
            series[curve.label] = (_log10([x for x, _ in points]), [y for _, y in points])
    return Chart("loss_over_tokens", "Training loss, smoothed", "log10 of training tokens", "nats per token", series)


def _of_plot(plot: Plot) -> Chart:
    series: dict[str, tuple[list[float], list[float]]] = {}
    for number, mark in enumerate(plot.marks):
        for name, x, y in _lines_of(mark, number):
            kept = [(_at(plot.x, a), _at(plot.y, b)) for a, b in zip(x, y, strict=True)]
            known = [(a, b) for a, b in kept if a is not None and b is not None]
            if known and len(series) < LINES:
                series[_free(name, series)] = ([a for a, _ in known], [b for _, b in known])
    return Chart(plot.name, plot.title, _titled(plot.x), _titled(plot.y), series)


def _lines_of(mark: Mark, number: int) -> Iterator[tuple[str, list[float], list[float]]]:
    place, count = mark.place
    told = f"{mark.kind} {place + 1} of {count}" if mark.ink == "ramp" else f"{mark.kind} {number + 1}"
    name = (mark.name or mark.text or told).replace(format.SPACE, " ")
    if mark.kind == "band":
        yield f"{name}, low", mark.x, [_float(end) for end in mark.low]
        yield f"{name}, high", mark.x, [_float(end) for end in mark.high]
    elif mark.kind in ("line", "points"):
        yield name, mark.x, mark.y


def _free(name: str, taken: dict[str, Any]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free


def _titled(axis: Axis) -> str:
    return f"log10 of {axis.title}" if axis.log else axis.title


def _at(axis: Axis, value: float) -> float | None:
    if not axis.log:
        return value if math.isfinite(value) else None
    return math.log10(value) if value > 0 else None


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def _log10(values: list[float]) -> list[float]:
    return [math.log10(value) for value in values]


def scores(study: StudyView, cards: list[Card]) -> tuple[Columns, Rows]:
    """A row for every metric of every benchmark of every run, with its interval and where it stands on disk."""
    runs = {run.name: run for run in study.runs}
    rows: Rows = []
    for card in cards:
        for panel in card.panels:
            for point in panel.points:
                run = runs[point.run]
                row = [run.name, run.label, point.params, run.row.get("tokens"), run.row.get("flops")]
                row += [card.card, card.protocol, panel.metric, point.value, point.low, point.high, point.n]
                rows.append([*row, panel.higher_is_better, panel.chance, point.badge, point.step, point.path])
    return list(SCORE_COLUMNS), typed(rows)


def examples(study: StudyView) -> tuple[Columns, Rows]:
    """A row per example and run: what was asked, what was right, what the run said."""
    rows: Rows = []
    for card in read_examples([run for run in study.runs if run.scores]):
        for example in card["examples"]:
            asked = "\n".join(f"{label}: {text}" for label, text in example["asked"])
            for answer in example["answers"]:
                row = [card["card"], card["protocol"], example["passage"], asked, example["target"], answer["run"]]
                right = {True: "right", False: "wrong"}.get(answer["right"], "")
                rows.append([*row, answer["said"] or answer["more"], right, ", ".join(card["badges"])])
    return list(EXAMPLE_COLUMNS), typed(rows)


def tables(study: StudyView, cards: list[Card]) -> dict[str, tuple[str, Columns, Rows]]:
    """The report's own tables by name: (caption, columns, rows), intervals as columns of their own."""
    found = {}
    for name, table in table_files.every(study, cards).items():
        head, *rows = csv.reader(io.StringIO(table.csv()))
        found[name] = (table.caption, _apart(head), typed([[_read(text) for text in row] for row in rows]))
    return found


def _apart(head: Columns) -> Columns:
    """No two columns of one name: W&B would show one of them."""
    named: dict[str, None] = {}
    for label in head:
        named[_free(label or "-", named)] = None
    return list(named)


def _read(text: str) -> Any:
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
        known = [value for value in column if value is not None]
        if all(isinstance(value, bool) for value in known):
            continue
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
            columns[i] = [None if value is None or not math.isfinite(value) else float(value) for value in column]
        else:
            columns[i] = [None if value is None else _said(value) for value in column]
    return [list(row) for row in zip(*columns, strict=True)]


def _said(value: Any) -> str:
    return format.flat(format.figure(value)) if isinstance(value, float) else str(value)


def summary(study: StudyView, by_size: Law) -> dict[str, Any]:
    """The numbers of the first screen, for W&B's table of runs and its panels."""
    done = sum(run.done for run in study.runs)
    told: dict[str, Any] = {"runs": len(study.runs), "runs_done": done}
    for name, (value, low, high) in by_size.parameters.items():
        told |= _ends(f"L(N)/{name}", value, low, high)
    held = by_size.hold_out
    if held:
        told |= _ends("hold_out/predicted", held.predicted, held.low, held.high)
        told |= {"hold_out/measured": held.measured, "hold_out/error": held.predicted / held.measured - 1}
    for name, law in scaling_laws.laws_of(study).items():
        for group in ("parameters", "exponents"):
            for key, one in (law.get(group) or {}).items():
                if isinstance(one, dict):
                    told |= _ends(f"{name}/{key}", one.get("value"), one.get("low"), one.get("high"))
    return {key: value for key, value in told.items() if value is not None}


def _ends(name: str, value: float | None, low: float | None, high: float | None) -> dict[str, float | None]:
    return {name: value, f"{name}/low": low, f"{name}/high": high}
