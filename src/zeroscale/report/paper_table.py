"""Every score of the study beside the paper's models, and the law over size alone as a table."""

from typing import Any

from zeroscale.core import format
from zeroscale.report.benchmarks import Card, Panel, unit
from zeroscale.report.law import Law, greek
from zeroscale.report.record import Study
from zeroscale.report.tables import Entry, entry, score

RUNS = 8  # the largest: a page is not wider


def beside_paper(study: Study, cards: list[Card], runs: int = RUNS, brief: bool = False) -> dict[str, Any] | None:
    """A row per metric, a column per run (the largest, smallest of them first) and per model that others published.

    `brief`: of each card its main metric, and those that the paper has a number for. The paper's numbers are on whole
    benchmarks: they stand only beside scores of those (`Panel.published`).
    """
    scored = {point.cell for card in cards for panel in card.panels for point in panel.points}
    shown = [cell for cell in study.cells if cell.name in scored][-runs:]
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
    points = {point.cell: point for point in panel.points}
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
        label = law.label(held.cell) or format.scaled(held.params)
        origin = "from the smaller sizes alone"
        rows.append({"cells": [entry(f"predicted loss of {label}", origin=origin), told, reached]})
    columns = [{"label": "L(N)"}, {"label": "value", "number": True}, {"label": "measured", "number": True}]
    return {"columns": columns, "rows": rows} if rows else None
