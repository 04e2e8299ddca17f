"""The first screen's table: whole benchmarks by the paper's protocol, this study's sizes beside the paper's."""

from typing import Any

from zeroscale.core import format
from zeroscale.eval import published
from zeroscale.eval.published import SIZES
from zeroscale.report import specs
from zeroscale.report.benchmarks import Card, Panel, Point, unit
from zeroscale.report.marks import BENCHMARK

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
    runs = dict(sorted({point.cell: (point.params, point.label) for point in points}.items(), key=lambda one: one[1]))
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
        point = next((one for one in panel.points if one.cell == run and one.badge == BENCHMARK), None)
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
        "from": {"run": point.cell, "step": point.step, "path": point.path, "metric": specs.column(point.path, metric)},
    }
