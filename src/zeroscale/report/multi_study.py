"""Several studies on one page: their runs in one list, their laws side by side."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zeroscale.core import format
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import NOTHING, number
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.report.figures import plotly_panels
from zeroscale.report.figures.axes import padded
from zeroscale.report.sections import scaling_laws
from zeroscale.report.sections.run_health import RunHealth
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
    places = [study.directory.resolve() for study in studies]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is not None:
        raise ZeroscaleError(f"study: {twice} is named twice; name each study once")
    parent = Path(os.path.commonpath(places))
    names = told_apart(studies)
    runs = [run for study, name in zip(studies, names, strict=True) for run in _prefixed_runs(study, name)]
    runs.sort(key=lambda run: run.params or float("inf"))
    return StudyView(JOINED.join(names), parent, runs, None)


def told_apart(studies: Sequence[StudyView]) -> list[str]:
    """Each study's name; with as many of the folders above it as it takes where two have the same."""
    places = [study.directory.resolve().parts for study in studies]
    for depth in range(1, max(map(len, places)) + 1):
        names = ["/".join(place[-depth:]) for place in places]
        if len(set(names)) == len(names):
            break
    return names


def _prefixed_runs(study: StudyView, name: str) -> list[RunView]:
    """A study's runs with its name before theirs, in the paths of their results too; their folders in full."""

    def moved(result: dict[str, Any]) -> dict[str, Any]:
        return result | {"path": f"{name}/{result['path']}"}

    return [
        replace(
            run,
            run=run.run.with_name(f"{name}/{run.name}"),
            label=f"{name} / {run.label}",
            scores={step: [moved(result) for result in results] for step, results in run.scores.items()},
        )
        for run in study.runs
    ]


def figure(laws: Sequence[tuple[str, Law]], index: dict[str, int]) -> dict[str, Any] | None:
    """Loss over N of every study, a colour for each: its points, its fitted curve.

    `laws`: (study, law); `index`: any run of a study as the page numbers it, by the study's name.
    """
    shown = [(name, one) for name, one in laws if one.points]
    if not shown:
        return None
    traces: list[dict[str, Any]] = []
    for place, (name, one) in enumerate(shown):
        meta = {"ink": "series", "cell": index[name]}
        left, right = plotly_panels.size_reach(one)
        curve = [(n, value) for n, _, value, _ in one.band if left <= n <= right]
        if curve:
            x, y = (list(column) for column in zip(*curve, strict=True))
            hover = f"{plotly_panels.plain(name)}, fit: %{{y:.3f}}<extra></extra>"
            line = {"type": "scatter", "mode": "lines", "x": x, "y": y, "hovertemplate": hover, "showlegend": False}
            traces.append(line | {"meta": meta})
        hovers = [
            f"<b>{plotly_panels.plain(name)} / {plotly_panels.plain(one.label(run))}</b><br>{format.scaled(n)}"
            f" parameters<br>validation loss {format.figure(loss, 4)}"
            for run, n, loss in one.points
        ]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [n for _, n, _ in one.points],
                "y": [loss for _, _, loss in one.points],
                "name": plotly_panels.plain(name),
                "showlegend": True,
                "cliponaxis": False,
                "marker": {"size": 9, "symbol": plotly_panels.symbol(place)},
                "hovertext": hovers,
                "customdata": [[f"{name}/{run}"] for run, _, _ in one.points],
                "hovertemplate": "%{hovertext}<extra></extra>",
                "meta": meta,
            }
        )
    sizes = [n for _, one in shown for _, n, _ in one.points]
    losses = [loss for _, one in shown for loss in plotly_panels.loss_reach(one)]
    layout = plotly_panels.law_layout(shown[0][1].axis, sizes, padded(losses), (min(sizes) / 1.5, 1.5 * max(sizes)))
    layout |= {"showlegend": True, "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"}}
    return {"data": traces, "layout": layout}


def doubt(studies: Sequence[StudyView]) -> str | None:
    """Why losses per token may not be set against each other, where that is so."""

    def trained_on(run: RunView) -> tuple[str, str]:
        parts = (run.manifest.get(name) or {} for name in ("corpus", "tokenizer"))
        corpus, tokenizer = (str(part.get("fingerprint")) for part in parts)
        return corpus, tokenizer

    found = [{trained_on(run) for run in study.runs if run.manifest} for study in studies]
    kinds = set().union(*found)
    differ = [
        name
        for name, values in zip(("text", "vocabulary"), zip(*kinds, strict=True), strict=True)
        if len(set(values)) > 1
    ]
    if not differ:
        return None
    return (
        f"The studies do not share the same {' and '.join(differ)}: their losses per token are not to be compared. "
        "Bits per byte of the same text are, and so are the benchmarks."
    )


def verdict(laws: Sequence[tuple[str, Law]], comparable: bool = True) -> str:
    """Which study reached the lowest loss, in a sentence; what each reached, where their losses do not compare."""
    best = [(min(one.points, key=lambda point: point[2]), name) for name, one in laws if one.points]
    if not best:
        return "None of these studies has a run that finished with a validation loss yet."
    (_, params, loss), name = min(best, key=lambda one: one[0][2])
    count = format.count(len(laws), "study", "studies").capitalize()
    if not comparable:
        told = ", ".join(f"{name} {format.figure(point[2])}" for point, name in best)
        return f"{count} beside each other, each with its own text or vocabulary. Lowest validation losses: {told}."
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
        Cell(f"{done} of {len(study.runs)}", done),
        Cell(f"{best[2]:.3f}", best[2], note=by_size.label(best[0])) if best else Cell(NOTHING),
        fitted,
        error,
        Cell(worst.label, note=worst.worst or "nothing wrong"),
    ]


def exponent(study: StudyView, one: Law) -> tuple[str, float | None, float | None, float | None]:
    """(a or α, its value, its interval): of the law that the study's own first screen speaks of."""
    laws = scaling_laws.laws_of(study)
    lead = scaling_laws.leading(laws)
    if lead is not None:
        told = laws[lead]["exponents"]["N_opt"]
        return ("a", *(number(told.get(end)) for end in ("value", "low", "high")))  # type: ignore[return-value]
    return ("α", *one.parameters.get("alpha", (None, None, None)))
