"""All that the page shows, as JSON values; `dashboard` writes it to disk, the scripts in assets/ draw it.

Everything is read once into a `PageData`; the sections are made of that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from zeroscale.core import format
from zeroscale.report import multi_study
from zeroscale.report.figures import plotly_curves, plotly_panels
from zeroscale.report.figures.plotly_json import PlotlyFigure
from zeroscale.report.sections import (
    benchmark_panels,
    contamination,
    examples,
    headline,
    number_sources,
    run_health,
    scaling_laws,
    score_notes,
)
from zeroscale.report.sections.run_health import RunHealth
from zeroscale.report.sweep import answers, length_plots, plots, view
from zeroscale.report.tables import paper_tables, study_tables
from zeroscale.report.views import benchmarks, size_law
from zeroscale.report.views.benchmarks import Card
from zeroscale.report.views.loss_curves import Curve, curves
from zeroscale.report.views.results import badge
from zeroscale.report.views.size_law import Law
from zeroscale.report.views.study import RunView, StudyView, read_study
from zeroscale.runs.where import Wanted

# Examples are shown of the largest runs only, so many at most: each has a column, and they must fit on a screen.
MAX_RUNS_WITH_EXAMPLES = 8

Json = dict[str, object]


class RunJson(TypedDict):
    """A run as the page's scripts know it: `series` is its colour, `symbol` its marker."""

    name: str
    run: str
    size: str
    study: int
    series: int
    symbol: str


class LawJson(TypedDict):
    """The law of the first screen."""

    form: str | None
    method: str | None
    parameters: list[dict[str, str]]
    figure: PlotlyFigure | None


@dataclass(frozen=True)
class PageData:
    """Studies as they were read, and their runs in one study (`merged`; of a single study, itself)."""

    studies: list[StudyView]
    names: list[str]
    merged: StudyView
    laws: list[Law]
    cards: list[Card]
    curves: list[Curve]

    @property
    def is_single(self) -> bool:
        return len(self.studies) == 1

    @property
    def order(self) -> dict[str, int]:
        """A run's index on the page."""
        return {run.name: index for index, run in enumerate(self.merged.runs)}

    def prefix(self, index: int) -> str:
        """What stands before the names of a study's runs on the page."""
        return "" if self.is_single else f"{self.names[index]}/"

    def order_of(self, index: int) -> dict[str, int]:
        """A run's index on the page by the name it has in its study."""
        order = self.order
        return {run.name: order[self.prefix(index) + run.name] for run in self.studies[index].runs}


def read(paths: list[Path], keep: bool = True, filters: Mapping[str, Wanted] | None = None) -> PageData:
    """Reads every study, of which `filters` may leave a part; with `keep` false nothing is written into one."""
    studies = [read_study(Path(path), keep, filters) for path in paths]
    merged = multi_study.merge(studies)
    cards, loss_curves = benchmarks.read_cards(merged), curves(merged.runs)
    names = [studies[0].name] if len(studies) == 1 else multi_study.unique_names(studies)
    return PageData(studies, names, merged, [size_law.read_law(study) for study in studies], cards, loss_curves)


def describe(data: PageData, example_files: list[Json]) -> Json:
    """The page. `version` changes when a reader of data.js would have to; `example_files`: what lists the examples."""
    cards, study, order = data.cards, data.merged, data.order
    health = [run_health.run_health(study) for study in data.studies]
    panels = [panel for card in cards for panel in card.panels]
    return {
        "version": 2,
        "study": study.name,
        "studies": data.names,
        "paths": [study.shown_path for study in data.studies],
        **_first_screen(data, health),
        "cells": _runs(data),
        "laws": _laws(data),
        "sweep": _sweep(data),
        "curves": plotly_curves.describe(data.curves, order),
        "paper": benchmark_panels.describe_paper_figures(cards, order, study if data.is_single else None, data.curves),
        "benchmarks": [benchmark_panels.describe_card(card, order) for card in cards],
        "published": any(panel.published for panel in panels),
        "reproduced": any(panel.reproduced for panel in panels),
        "lines": any(panel.lines for panel in panels),
        "results": number_sources.attach(study_tables.results(study, cards), study, cards).json(),
        "runs": run_health.table(study, health[0] if data.is_single else _merged_health(data, health)).json(),
        "unfinished": study_tables.unfinished(study),
        "overlap": contamination.describe(data.studies),
        "examples": example_files,
        "cost": study_tables.cost(study).json(),
        "provenance": study_tables.provenance(study).json(),
        "origins": number_sources.describe(study.runs),
        "again": _commands(data),
    }


def _merged_health(data: PageData, health: list[list[RunHealth]]) -> list[RunHealth]:
    """The runs of all studies, each judged by its own study's law."""
    merged = [
        replace(row, run=data.prefix(index) + row.run, label=f"{data.names[index]} / {row.label}")
        for index, rows in enumerate(health)
        for row in rows
    ]
    return sorted(merged, key=lambda row: (-row.severity, -row.size))


def _first_screen(data: PageData, health: list[list[RunHealth]]) -> Json:
    """The first screen: of one study, or of several beside each other."""
    badges = [badge(marks) for marks in score_notes.marked(data.cards)]
    beside = paper_tables.table(data.cards)
    return {
        "sample_note": {"text": score_notes.sample_note(data.cards), "badges": badges},
        "beside": beside and beside.json(),
        **(_single_study(data, health[0]) if data.is_single else _several_studies(data, health)),
    }


def _single_study(data: PageData, health: list[RunHealth]) -> Json:
    study, law = data.studies[0], data.laws[0]
    leads = scaling_laws.leading(scaling_laws.laws_of(study)) is not None
    return {
        "verdict": headline.verdict(study, law),
        "hold_out": None if leads else size_law.hold_out_sentence(law),
        "facts": headline.facts(study, law, health),
        "table": None,
        "warnings": scaling_laws.warnings(study, law) + headline.faults(study, law, data.curves),
        "law": _law(law, data.order),
    }


def _several_studies(data: PageData, health: list[list[RunHealth]]) -> Json:
    laws = list(zip(data.names, data.laws, strict=True))
    doubt = multi_study.doubt(data.studies)
    any_run = {name: next(iter(data.order_of(index).values())) for index, name in enumerate(data.names)}
    warnings = [
        f"{name}: {text}"
        for study, (name, law) in zip(data.studies, laws, strict=True)
        for text in scaling_laws.warnings(study, law) + headline.faults(study, law, [])
    ]
    table = multi_study.table(data.studies, laws, [rows[0] for rows in health])
    return {
        "verdict": multi_study.verdict(laws, doubt is None),
        "hold_out": None,
        "facts": [],
        "table": table.json(),
        "warnings": ([doubt] if doubt else []) + warnings,
        "law": {"form": None, "figure": multi_study.figure(laws, any_run)},
    }


def _law(law: Law, order: dict[str, int]) -> LawJson:
    return {
        "form": law.shown_form,
        "method": law.method,
        "parameters": [
            {"name": size_law.greek(name), "value": format.figure(value), "interval": format.interval(low, high)}
            for name, (value, low, high) in law.parameters.items()
        ],
        "figure": plotly_panels.law(law, order) if law.points else None,
    }


def _runs(data: PageData) -> list[RunJson]:
    """Every run, in order; where there are several studies, a colour for each."""

    def study_index(run: RunView) -> int:
        return 0 if data.is_single else next(i for i, name in enumerate(data.names) if run.name.startswith(f"{name}/"))

    return [
        {
            "name": run.label,
            "run": run.name,
            "size": format.scaled(run.params),
            "study": study_index(run),
            "series": index if data.is_single else study_index(run),
            "symbol": plotly_panels.symbol(index),
        }
        for index, run in enumerate(data.merged.runs)
    ]


def _sweep(data: PageData) -> Json | None:
    """What a single study of several settings answers; None of a ladder of sizes alone, and of several studies."""
    found = view.read(data.studies[0]) if data.is_single else None
    if found is None:
        return None
    study, table = data.studies[0], answers.chosen(found)
    curves_by = [(axis.short, axis) for axis in study.axes.varied if axis.kind in ("size", "setting")]
    drawn = plots.curves(study)
    return {
        "answers": [answer._asdict() for answer in answers.answers(study, found)],
        "figures": [
            scaling_laws.figure(plot) for plot in [*plots.over_settings(found), *length_plots.lengths(study.fit)]
        ],
        "chosen": table and table.json(),
        "curves": [{**scaling_laws.figure(plot), "by": by} for plot, (by, _) in zip(drawn, curves_by, strict=False)],
    }


def _laws(data: PageData) -> list[Json]:
    """A section for each study that has laws over size and data, or of benchmarks."""
    sections = []
    for index, study in enumerate(data.studies):
        section = scaling_laws.describe(study, data.laws[index], data.order_of(index))
        if section:
            file = number_sources.of_file(study)
            sections.append({"study": data.names[index], "prefix": data.prefix(index), "from": file, **section})
    return sections


def read_examples(data: PageData) -> list[examples.CardExamples]:
    """The examples with the predictions of the largest finished models of each study."""
    per_study = max(1, MAX_RUNS_WITH_EXAMPLES // len(data.studies))
    chosen: list[RunView] = []
    for index, study in enumerate(data.studies):
        names = {data.prefix(index) + run.name for run in study.runs if run.done}
        chosen += [run for run in data.merged.runs if run.name in names][-per_study:]
    return examples.read_examples(chosen)


def _commands(data: PageData) -> list[dict[str, str]]:
    """The commands that make the studies again, in order."""
    commands = []
    for name, study in zip(data.names, data.studies, strict=True):
        cards = data.cards if data.is_single else benchmarks.read_cards(study)
        steps = study_tables.again(study, cards)
        commands += steps if data.is_single else [step | {"what": f"{name}: {step['what']}"} for step in steps]
    return commands
