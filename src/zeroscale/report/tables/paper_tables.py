"""Every score of the study beside the paper's models, and the law over size alone as a table."""

from typing import Any

from zeroscale.core import format
from zeroscale.eval import published
from zeroscale.eval.published import SIZES
from zeroscale.report.tables.study_tables import Entry, entry, score
from zeroscale.report.views import benchmarks
from zeroscale.report.views.badges import BENCHMARK
from zeroscale.report.views.benchmarks import Card, Panel, Point, unit
from zeroscale.report.views.size_law import Law, greek
from zeroscale.report.views.study import StudyView

RUNS = 8  # the largest: a page is not wider


def beside_paper(study: StudyView, cards: list[Card], runs: int = RUNS, brief: bool = False) -> dict[str, Any] | None:
    """A row per metric, a column per run (the largest, smallest of them first) and per model that others published.

    `brief`: of each card its main metric, and those that the paper has a number for. The paper's numbers are on whole
    benchmarks: they stand only beside scores of those (`Panel.published`).
    """
    scored = {point.run for card in cards for panel in card.panels for point in panel.points}
    shown = [cell for cell in study.runs if cell.name in scored][-runs:]
    panels = [
        (card, panel)
        for card in cards
        for place, panel in enumerate(card.panels)
        if not brief or place == 0 or panel.published
    ]
    if not shown or not panels:
        return None
    sizes = {name: params for _, panel in panels for name, params, _ in panel.published}
    others = sorted(sizes, key=lambda name: (sizes[name], name))
    columns: list[dict[str, Any]] = [{"label": "benchmark"}, {"label": "metric"}]
    columns += [
        {"label": cell.label, "note": f"{format.scaled(cell.params)} parameters", "number": True} for cell in shown
    ]
    columns += [{"label": name, "note": f"{format.scaled(sizes[name])}, published", "number": True} for name in others]
    rows = [{"cells": _row(card, panel, [cell.name for cell in shown], others)} for card, panel in panels]
    return {"columns": columns, "rows": rows}


def _row(card: Card, panel: Panel, runs: list[str], others: list[str]) -> list[Entry]:
    points = {point.run: point for point in panel.points}
    published = {name: value for name, _, value in panel.published}
    protocol = "" if card.protocol in ("paper", "corpus") else f", {card.protocol}"
    arrow = "↑" if panel.higher_is_better else "↓"
    return [
        entry(card.card + protocol, note="" if card.kind == "benchmark" else card.badge),
        entry(
            f"{unit(panel.metric)} {arrow}", origin="higher is better" if panel.higher_is_better else "lower is better"
        ),
        *(score(card, points[run]) if run in points else entry("–") for run in runs),
        *(
            entry(format.figure(published[name], 4), published[name]) if name in published else entry("–")
            for name in others
        ),
    ]


def by_size(law: Law) -> dict[str, Any] | None:
    """The parameters of the law over size alone, and its prediction of the largest size."""
    rows = []
    for name, (value, low, high) in law.parameters.items():
        told = entry(format.figure(value), value, note=format.interval(low, high), ends=(low, high))
        rows.append({"cells": [entry(greek(name), origin=law.form or ""), told, entry("–")]})
    held = law.hold_out
    if held:
        known = format.interval(held.low, held.high)
        told = entry(format.figure(held.predicted), held.predicted, note=known, ends=(held.low, held.high))
        verdict = {True: "inside the interval", False: "outside the interval", None: "no interval"}[held.inside]
        reached = entry(format.figure(held.measured), held.measured, note=verdict)
        label = law.label(held.run) or format.scaled(held.params)
        origin = "from the smaller sizes alone"
        rows.append({"cells": [entry(f"predicted loss of {label}", origin=origin), told, reached]})
    columns = [{"label": "L(N)"}, {"label": "value", "number": True}, {"label": "measured", "number": True}]
    return {"columns": columns, "rows": rows} if rows else None


# More columns of ours than these would not fit beside the paper's four.
OURS = 4


def table(cards: list[Card]) -> dict[str, Any] | None:
    """A row per benchmark; None where no whole benchmark was scored, or the paper says nothing of those that were.

    Beside a sample or a part the paper's numbers would mislead: such scores are in the results, with their mark.
    """
    rows = [(card, panel) for card in cards if (panel := _panel(card)) is not None]
    if not rows:
        return None
    ours = _chosen([point for _, panel in rows for point in panel.points if point.badge == BENCHMARK])
    columns: list[dict[str, Any]] = [{"label": "benchmark"}]
    columns += [{"label": label, "note": "this study", "number": True} for _, label in ours]
    columns += [{"label": f"GPT-2 {size}", "note": "the paper", "number": True} for size in SIZES]
    return {"columns": columns, "rows": [{"cells": _cells(card, panel, ours)} for card, panel in rows]}


def _panel(card: Card) -> Panel | None:
    """The card's first metric of which the paper has a number, and this study a score of the whole benchmark."""
    if card.protocol != "paper":
        return None
    told = {one.metric for one in published.of(card.card) if one.paper}
    for panel in card.panels:
        if panel.metric in told and any(point.badge == BENCHMARK for point in panel.points):
            return panel
    return None


def _chosen(points: list[Point]) -> list[tuple[str, str]]:
    """(run, label), from small to large: all where they are few, else evenly among them with both ends."""
    runs = dict(sorted({point.run: (point.params, point.label) for point in points}.items(), key=lambda one: one[1]))
    names = [(run, label) for run, (_, label) in runs.items()]
    if len(names) <= OURS:
        return names
    return [names[round(i * (len(names) - 1) / (OURS - 1))] for i in range(OURS)]


def _cells(card: Card, panel: Panel, ours: list[tuple[str, str]]) -> list[dict[str, Any]]:
    better = "higher is better" if panel.higher_is_better else "lower is better"
    counts = sorted({point.n for point in panel.points if point.badge == BENCHMARK and point.n is not None})
    n = f"; n = {' to '.join(f'{one:,}' for one in dict.fromkeys((counts[0], counts[-1])))}" if counts else ""
    cells: list[dict[str, Any]] = [{"text": card.card, "sort": card.card, "note": f"{unit(panel.metric)}, {better}{n}"}]
    for run, _ in ours:
        point = next((one for one in panel.points if one.run == run and one.badge == BENCHMARK), None)
        cells.append({"text": "–", "sort": "–"} if point is None else _score(point, panel.metric))
    theirs = {one.size: one for one in published.of(card.card) if one.paper and one.metric == panel.metric}
    for size in SIZES:
        one = theirs.get(size)
        cells.append(
            {"text": "–", "sort": "–"}
            if one is None
            else {"text": f"{one.value:g}", "sort": one.value, "origin": one.source}
        )
    return cells


def _score(point: Point, metric: str) -> dict[str, Any]:
    return {
        "text": format.figure(point.value),
        "sort": point.value,
        "note": format.interval(point.low, point.high),
        "from": {
            "run": point.run,
            "step": point.step,
            "path": point.path,
            "metric": benchmarks.column(point.path, metric),
        },
    }
