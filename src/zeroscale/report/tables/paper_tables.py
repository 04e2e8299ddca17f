"""Every score of the study beside the paper's models, and the law over size alone as a table."""

from zeroscale.core import format
from zeroscale.core.format import NOTHING
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.eval import published
from zeroscale.eval.published import SIZES
from zeroscale.report.tables.study_tables import score
from zeroscale.report.views import benchmarks
from zeroscale.report.views.benchmarks import Card, Panel, Point, unit
from zeroscale.report.views.results import BENCHMARK
from zeroscale.report.views.size_law import Law, greek
from zeroscale.report.views.study import StudyView

RUNS = 8  # the largest: a page is not wider


def beside_paper(study: StudyView, cards: list[Card], runs: int = RUNS, brief: bool = False) -> Table | None:
    """A row per metric, a column per run (the largest, smallest of them first) and per model that others published.

    `brief`: of each card its main metric, and those that the paper has a number for. The paper's numbers are on whole
    benchmarks: they stand only beside scores of those (`Panel.published`).
    """
    scored = {point.run for card in cards for panel in card.panels for point in panel.points}
    chosen = [run for run in study.runs if run.name in scored][-runs:]
    panels = [
        (card, panel)
        for card in cards
        for place, panel in enumerate(card.panels)
        if not brief or place == 0 or panel.published
    ]
    if not chosen or not panels:
        return None
    sizes = {name: params for _, panel in panels for name, params, _ in panel.published}
    others = sorted(sizes, key=lambda name: (sizes[name], name))
    columns = [Column("benchmark"), Column("metric")]
    columns += [Column(run.label, note=f"{format.scaled(run.params)} parameters", number=True) for run in chosen]
    columns += [Column(name, note=f"{format.scaled(sizes[name])}, published", number=True) for name in others]
    rows = [_row(card, panel, [run.name for run in chosen], others) for card, panel in panels]
    return Table(columns, rows, "Every score beside published ones.")


def _row(card: Card, panel: Panel, runs: list[str], others: list[str]) -> list[Cell]:
    points = {point.run: point for point in panel.points}
    published = {name: value for name, _, value in panel.published}
    protocol = "" if card.protocol in ("paper", "corpus") else f", {card.protocol}"
    arrow = "↑" if panel.higher_is_better else "↓"
    return [
        Cell(card.card + protocol, note="" if card.kind == "benchmark" else card.badge),
        Cell(
            f"{unit(panel.metric)} {arrow}", origin="higher is better" if panel.higher_is_better else "lower is better"
        ),
        *(score(card, points[run]) if run in points else Cell(NOTHING) for run in runs),
        *(
            Cell(format.figure(published[name], 4), published[name]) if name in published else Cell(NOTHING)
            for name in others
        ),
    ]


def by_size(law: Law) -> Table | None:
    """The parameters of the law over size alone, and its prediction of the largest size."""
    rows = []
    for name, (value, low, high) in law.parameters.items():
        estimate = Cell(format.figure(value), value, "", format.interval(low, high), low, high)
        rows.append([Cell(greek(name), origin=law.form or ""), estimate, Cell(NOTHING)])
    held = law.hold_out
    if held:
        ends = format.interval(held.low, held.high)
        predicted = Cell(format.figure(held.predicted), held.predicted, "", ends, held.low, held.high)
        verdict = {True: "inside the interval", False: "outside the interval", None: "no interval"}[held.inside]
        measured = Cell(format.figure(held.measured), held.measured, note=verdict)
        label = law.label(held.run) or format.scaled(held.params)
        origin = "from the smaller sizes alone"
        rows.append([Cell(f"predicted loss of {label}", origin=origin), predicted, measured])
    columns = [Column("L(N)"), Column("value", number=True), Column("measured", number=True)]
    return Table(columns, rows, "The law over size.") if rows else None


# More columns of ours than these would not fit beside the paper's four.
OURS = 4


def table(cards: list[Card]) -> Table | None:
    """A row per benchmark; None where no whole benchmark was scored, or the paper says nothing of those that were.

    Beside a sample or a part the paper's numbers would mislead: such scores are in the results, with their mark.
    """
    rows = [(card, panel) for card in cards if (panel := _panel(card)) is not None]
    if not rows:
        return None
    ours = _chosen([point for _, panel in rows for point in panel.points if point.badge == BENCHMARK])
    columns = [Column("benchmark")]
    columns += [Column(label, note="this study", number=True) for _, label in ours]
    columns += [Column(f"GPT-2 {size}", note="the paper", number=True) for size in SIZES]
    return Table(columns, [_cells(card, panel, ours) for card, panel in rows])


def _panel(card: Card) -> Panel | None:
    """The card's first metric of which the paper has a number, and this study a score of the whole benchmark."""
    if card.protocol != "paper":
        return None
    in_paper = {entry.metric for entry in published.of(card.card) if entry.paper}
    for panel in card.panels:
        if panel.metric in in_paper and any(point.badge == BENCHMARK for point in panel.points):
            return panel
    return None


def _chosen(points: list[Point]) -> list[tuple[str, str]]:
    """(run, label), from small to large: all where they are few, else evenly among them with both ends."""
    runs = dict(
        sorted({point.run: (point.params, point.label) for point in points}.items(), key=lambda entry: entry[1])
    )
    names = [(run, label) for run, (_, label) in runs.items()]
    if len(names) <= OURS:
        return names
    return [names[round(i * (len(names) - 1) / (OURS - 1))] for i in range(OURS)]


def _cells(card: Card, panel: Panel, ours: list[tuple[str, str]]) -> list[Cell]:
    better = "higher is better" if panel.higher_is_better else "lower is better"
    counts = sorted({point.n for point in panel.points if point.badge == BENCHMARK and point.n is not None})
    n = f"; n = {' to '.join(f'{n:,}' for n in dict.fromkeys((counts[0], counts[-1])))}" if counts else ""
    cells = [Cell(card.card, note=f"{unit(panel.metric)}, {better}{n}")]
    for run, _ in ours:
        point = next((point for point in panel.points if point.run == run and point.badge == BENCHMARK), None)
        cells.append(Cell(NOTHING) if point is None else _score(point, panel.metric))
    reported = {row.size: row for row in published.of(card.card) if row.paper and row.metric == panel.metric}
    for size in SIZES:
        row = reported.get(size)
        cells.append(Cell(NOTHING) if row is None else Cell(f"{row.value:g}", row.value, row.source))
    return cells


def _score(point: Point, metric: str) -> Cell:
    column = benchmarks.column(point.path, metric)
    return Cell(
        format.figure(point.value),
        point.value,
        note=format.interval(point.low, point.high),
        source={"run": point.run, "step": point.step, "path": point.path, "metric": column},
    )
