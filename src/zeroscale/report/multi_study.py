"""Several studies on one page: their runs in one list, their laws side by side."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zeroscale.core import format
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import NOTHING
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.report.figures import plotly_panels
from zeroscale.report.figures.axes import padded
from zeroscale.report.figures.plotly_json import PlotlyFigure, Trace
from zeroscale.report.sections import scaling_laws
from zeroscale.report.sections.run_health import RunHealth
from zeroscale.report.views.fit_file import ends_of
from zeroscale.report.views.results import ResultView
from zeroscale.report.views.size_law import Law
from zeroscale.report.views.study import RunView, StudyView

JOINED = " + "


def merge(studies: Sequence[StudyView]) -> StudyView:
    """One study of all runs, from the smallest model to the largest; a run's name and label begin with its study's.

    It has no fit of its own: the laws stay those of its parts.

    Raises:
        ZeroscaleError: the same study twice, or two that cannot be told apart.
    """
    if len(studies) == 1:
        return studies[0]
    directories = [study.directory.resolve() for study in studies]
    duplicate = next((directory for directory in directories if directories.count(directory) > 1), None)
    if duplicate is not None:
        raise ZeroscaleError(f"study: {duplicate} is named twice; name each study once")
    parent = Path(os.path.commonpath(directories))
    names = unique_names(studies)
    runs = [run for study, name in zip(studies, names, strict=True) for run in _prefixed_runs(study, name)]
    runs.sort(key=lambda run: run.params or float("inf"))
    missing, damaged = (sum(getattr(study, name) for study in studies) for name in ("missing", "damaged"))
    return StudyView(JOINED.join(names), parent, runs, None, missing=missing, damaged=damaged)


def unique_names(studies: Sequence[StudyView]) -> list[str]:
    """Each study's name; with as many of the folders above it as it takes where two have the same."""
    paths = [study.directory.resolve().parts for study in studies]
    for depth in range(1, max(map(len, paths)) + 1):
        names = ["/".join(path[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def _prefixed_runs(study: StudyView, name: str) -> list[RunView]:
    """A study's runs with its name before theirs, in the paths of their results too; their folders in full."""

    def prefixed(result: ResultView) -> ResultView:
        return replace(result, path=f"{name}/{result.path}")

    return [
        replace(
            run,
            run=run.run.with_name(f"{name}/{run.name}"),
            label=f"{name} / {run.label}",
            results={step: [prefixed(result) for result in results] for step, results in run.results.items()},
        )
        for run in study.runs
    ]


def figure(laws: Sequence[tuple[str, Law]], index: dict[str, int]) -> PlotlyFigure | None:
    """Loss over N of every study, a colour for each: its points, its fitted curve.

    `laws`: (study, law); `index`: any run of a study as the page numbers it, by the study's name.
    """
    with_points = [(name, law) for name, law in laws if law.points]
    if not with_points:
        return None
    traces: list[Trace] = []
    for place, (name, law) in enumerate(with_points):
        traces += _fitted_curve(name, law, index[name])
        traces.append(_points(name, law, index[name], plotly_panels.symbol(place)))
    sizes = [n for _, law in with_points for _, n, _ in law.points]
    losses = [loss for _, law in with_points for loss in plotly_panels.loss_reach(law)]
    reach = min(sizes) / 1.5, 1.5 * max(sizes)
    layout = plotly_panels.law_layout(with_points[0][1].axis, sizes, padded(losses), reach)
    layout |= {"showlegend": True, "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"}}
    return {"data": traces, "layout": layout}


def _fitted_curve(name: str, law: Law, index: int) -> list[Trace]:
    left, right = plotly_panels.size_reach(law)
    curve = [(n, value) for n, _, value, _ in law.band if left <= n <= right]
    if not curve:
        return []
    x, y = (list(column) for column in zip(*curve, strict=True))
    hover = f"{plotly_panels.plain(name)}, fit: %{{y:.3f}}<extra></extra>"
    trace = {"type": "scatter", "mode": "lines", "x": x, "y": y, "hovertemplate": hover, "showlegend": False}
    return [trace | {"meta": {"ink": "series", "cell": index}}]


def _points(name: str, law: Law, index: int, symbol: str) -> Trace:
    hovers = [
        f"<b>{plotly_panels.plain(name)} / {plotly_panels.plain(law.label(run))}</b><br>{format.scaled(n)}"
        f" parameters<br>validation loss {format.figure(loss, 4)}"
        for run, n, loss in law.points
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [n for _, n, _ in law.points],
        "y": [loss for _, _, loss in law.points],
        "name": plotly_panels.plain(name),
        "showlegend": True,
        "cliponaxis": False,
        "marker": {"size": 9, "symbol": symbol},
        "hovertext": hovers,
        "customdata": [[f"{name}/{run}"] for run, _, _ in law.points],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "meta": {"ink": "series", "cell": index},
    }


def doubt(studies: Sequence[StudyView]) -> str | None:
    """Why losses per token may not be set against each other, where that is so."""

    def trained_on(run: RunView) -> tuple[str, str]:
        corpus, tokenizer = run.manifest.get("corpus") or {}, run.manifest.get("tokenizer") or {}
        return str(corpus.get("fingerprint")), str(tokenizer.get("fingerprint"))

    fingerprints = {trained_on(run) for study in studies for run in study.runs if run.manifest}
    parts = enumerate(("text", "vocabulary"))
    differ = [name for i, name in parts if len({fingerprint[i] for fingerprint in fingerprints}) > 1]
    if not differ:
        return None
    return (
        f"The studies do not share the same {' and '.join(differ)}: their losses per token are not to be compared. "
        "Bits per byte of the same text are, and so are the benchmarks."
    )


def verdict(laws: Sequence[tuple[str, Law]], comparable: bool = True) -> str:
    """Which study reached the lowest loss, in a sentence; what each reached, where their losses do not compare."""
    best = [(min(law.points, key=lambda point: point[2]), name) for name, law in laws if law.points]
    if not best:
        return "None of these studies has a run that finished with a validation loss yet."
    (_, params, loss), name = min(best, key=lambda row: row[0][2])
    count = format.count(len(laws), "study", "studies").capitalize()
    if not comparable:
        losses = ", ".join(f"{name} {format.figure(point[2])}" for point, name in best)
        return f"{count} beside each other, each with its own text or vocabulary. Lowest validation losses: {losses}."
    text = f"{count} beside each other: {name} reached the lowest validation loss, {format.figure(loss)} nats"
    return f"{text} with {format.scaled(params)} parameters."


def table(studies: Sequence[StudyView], laws: Sequence[tuple[str, Law]], worst: Sequence[RunHealth]) -> Table:
    """A row per study: runs, lowest loss, exponent with its interval, hold-out error, the worst-behaved run."""
    columns = [
        Column("study"),
        Column("runs done", number=True),
        Column("lowest loss", number=True),
        Column("exponent", note="with its 95 % interval", number=True),
        Column("hold-out error", number=True),
        Column("worst-behaved run"),
    ]
    return Table(columns, [_row(*each) for each in zip(studies, laws, worst, strict=True)])


def _row(study: StudyView, law: tuple[str, Law], worst: RunHealth) -> list[Cell]:
    name, by_size = law
    done = sum(run.done for run in study.runs)
    best = min(by_size.points, key=lambda point: point[2]) if by_size.points else None
    letter, value, low, high = exponent(study, by_size)
    held = 100 * (by_size.hold_out.predicted / by_size.hold_out.measured - 1) if by_size.hold_out else None
    fitted = error = Cell(NOTHING)
    if value is not None:
        fitted = Cell(f"{letter} = {format.figure(value)}", value, note=format.interval(low, high))
    if held is not None:
        error = Cell(f"{held:+.1f}{format.SPACE}%".replace("-", format.MINUS), held)
    return [
        Cell(name, origin=study.shown_path),
        Cell(f"{done} of {study.total}", done),
        Cell(f"{best[2]:.3f}", best[2], note=by_size.label(best[0])) if best else Cell(NOTHING),
        fitted,
        error,
        Cell(worst.label, note=worst.worst or "nothing wrong"),
    ]


def exponent(study: StudyView, law: Law) -> tuple[str, float | None, float | None, float | None]:
    """(a or α, its value, its interval): of the law that the study's own first screen speaks of."""
    laws = scaling_laws.laws_of(study)
    lead = scaling_laws.leading(laws)
    if lead is not None:
        return ("a", *ends_of(laws[lead].exponents["N_opt"]))
    return ("α", *law.parameters.get("alpha", (None, None, None)))
