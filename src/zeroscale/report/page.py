"""All that the page shows, as JSON values; `dashboard` writes it to disk, the scripts in assets/ draw it.

Everything is read once into a `Material`; the sections are made of that.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zeroscale.core import format
from zeroscale.report import multi_study
from zeroscale.report.figures import axes, paper_figures, plotly_curves, plotly_panels
from zeroscale.report.sections import contamination, examples, headline, number_sources, run_health, scaling_laws
from zeroscale.report.tables import paper_tables, study_tables
from zeroscale.report.views import benchmarks, size_law
from zeroscale.report.views.benchmarks import Card, Panel
from zeroscale.report.views.loss_curves import Curve, curves
from zeroscale.report.views.size_law import Law
from zeroscale.report.views.study import RunView, StudyView, read_study

# Of more runs than these only the largest say something in the examples: a column each must fit on a screen.
SIZES_WITH_EXAMPLES = 8


@dataclass(frozen=True)
class PageData:
    """Studies as they were read, and their runs in one list (`study`, the study itself where there is one)."""

    parts: list[StudyView]
    names: list[str]
    study: StudyView
    laws: list[Law]
    cards: list[Card]
    drawn: list[Curve]

    @property
    def alone(self) -> bool:
        return len(self.parts) == 1

    @property
    def order(self) -> dict[str, int]:
        """A run's place on the page."""
        return {run.name: place for place, run in enumerate(self.study.runs)}

    def prefix(self, part: int) -> str:
        """What stands before a run's own name on the page."""
        return "" if self.alone else f"{self.names[part]}/"

    def order_of(self, part: int) -> dict[str, int]:
        """A run's place on the page by the name it has in its study."""
        order = self.order
        return {run.name: order[self.prefix(part) + run.name] for run in self.parts[part].runs}


def read(studies: list[Path], keep: bool = True) -> PageData:
    """Reads every study; with `keep` false nothing is written into one."""
    parts = [read_study(Path(study), keep) for study in studies]
    merged = multi_study.merge(parts)
    cards, drawn = benchmarks.read_cards(merged), curves(merged.runs)
    names = [parts[0].name] if len(parts) == 1 else multi_study.told_apart(parts)
    return PageData(parts, names, merged, [size_law.read_law(part) for part in parts], cards, drawn)


def describe(found: PageData, shown_examples: list[dict[str, Any]]) -> dict[str, Any]:
    """The page. `version` changes when a reader of data.js would have to; `shown_examples`: `examples_of`'s, listed."""
    cards, study, order = found.cards, found.study, found.order
    behaved = [run_health.run_health(part) for part in found.parts]
    return {
        "version": 2,
        "study": study.name,
        "studies": found.names,
        "paths": [part.shown_path for part in found.parts],
        **_first(found, behaved),
        "cells": _runs(found),
        "laws": _laws(found),
        "curves": plotly_curves.describe(found.drawn, order),
        "paper": _paper(found),
        "benchmarks": [_card(card, order) for card in cards],
        "published": any(panel.published for card in cards for panel in card.panels),
        "reproduced": any(panel.reproduced for card in cards for panel in card.panels),
        "lines": any(panel.lines for card in cards for panel in card.panels),
        "results": number_sources.attach(study_tables.results(study, cards), study, cards).json(),
        "runs": run_health.table(study, behaved[0] if found.alone else _together(found, behaved)).json(),
        "unfinished": study_tables.unfinished(study),
        "overlap": contamination.describe(found.parts),
        "examples": shown_examples,
        "cost": study_tables.cost(study).json(),
        "provenance": study_tables.provenance(study).json(),
        "origins": number_sources.describe(study.runs),
        "again": _again(found),
    }


def _together(found: PageData, behaved: list[list[run_health.RunHealth]]) -> list[run_health.RunHealth]:
    """The runs of all studies, each judged by its own study's law."""
    every = [
        replace(one, run=found.prefix(part) + one.run, label=f"{found.names[part]} / {one.label}")
        for part, ones in enumerate(behaved)
        for one in ones
    ]
    return sorted(every, key=lambda one: (-one.severity, -one.size))


def _first(found: PageData, behaved: list[list[run_health.RunHealth]]) -> dict[str, Any]:
    """The first screen: of one study, or of several beside each other."""
    note = {"text": benchmarks.sample_note(found.cards), "badges": benchmarks.doubts(found.cards)}
    beside = paper_tables.table(found.cards)
    common = {"sample_note": note, "beside": beside and beside.json()}
    laws = list(zip(found.names, found.laws, strict=True))
    if not found.alone:
        doubt = multi_study.doubt(found.parts)
        index = {name: next(iter(found.order_of(part).values())) for part, name in enumerate(found.names)}
        warnings = [
            f"{name}: {text}"
            for part, (name, shown) in enumerate(laws)
            for text in scaling_laws.warnings(found.parts[part], shown) + headline.faults(found.parts[part], shown, [])
        ]
        return common | {
            "verdict": multi_study.verdict(laws, doubt is None),
            "hold_out": None,
            "facts": [],
            "table": multi_study.table(found.parts, laws, [ones[0] for ones in behaved]).json(),
            "warnings": ([doubt] if doubt else []) + warnings,
            "law": {"form": None, "figure": multi_study.figure(laws, index)},
        }
    study, shown = found.parts[0], found.laws[0]
    leads = scaling_laws.leading(scaling_laws.laws_of(study)) is not None
    return common | {
        "verdict": headline.verdict(study, shown),
        "hold_out": None if leads else size_law.hold_out_sentence(shown),
        "facts": headline.facts(study, shown, behaved[0]),
        "table": None,
        "warnings": scaling_laws.warnings(study, shown) + headline.faults(study, shown, found.drawn),
        "law": _law(shown, found.order),
    }


def _law(shown: Law, order: dict[str, int]) -> dict[str, Any]:
    return {
        "form": shown.shown_form,
        "method": shown.method,
        "parameters": [
            {"name": size_law.greek(name), "value": format.figure(value), "interval": format.interval(low, high)}
            for name, (value, low, high) in shown.parameters.items()
        ],
        "figure": plotly_panels.law(shown, order) if shown.points else None,
    }


def _runs(found: PageData) -> list[dict[str, Any]]:
    """Every run, in order: `series` is its colour of `palette`, a study's where there are several."""
    prefixes = {name: part for part, name in enumerate(found.names)}

    def part(run: RunView) -> int:
        return 0 if found.alone else next(i for name, i in prefixes.items() if run.name.startswith(f"{name}/"))

    return [
        {
            "name": run.label,
            "run": run.name,
            "size": format.scaled(run.params),
            "study": part(run),
            "series": place if found.alone else part(run),
            "symbol": plotly_panels.symbol(place),
        }
        for place, run in enumerate(found.study.runs)
    ]


def _laws(found: PageData) -> list[dict[str, Any]]:
    """A section for each study that has laws over size and data, or of benchmarks."""
    described = [
        (part, scaling_laws.describe(study, found.laws[part], found.order_of(part)))
        for part, study in enumerate(found.parts)
    ]
    return [
        {
            "study": found.names[part],
            "prefix": found.prefix(part),
            "from": number_sources.of_file(found.parts[part]),
            **section,
        }
        for part, section in described
        if section
    ]


def _paper(found: PageData) -> dict[str, Any] | None:
    """The paper's figures 1 and 4, with these models."""
    tasks = paper_figures.tasks(found.cards)
    drawn = None if not found.alone else paper_figures.perplexity(found.study, found.drawn)
    if not tasks and drawn is None:
        return None
    panels = [
        {
            "title": task.title,
            "card": task.name,
            "metric": benchmarks.unit(task.metric),
            "badge": task.card.badge if task.card else None,
            "kind": task.card.kind if task.card else None,
            "panel": _panel(task.panel, found.order) if task.panel else None,
        }
        for task in tasks
    ]
    return {"tasks": panels, "perplexity": scaling_laws.figure(drawn) if drawn else None}


def _card(card: Card, order: dict[str, int]) -> dict[str, Any]:
    return {
        "card": card.card,
        "protocol": card.protocol,
        "badge": card.badge,
        "kind": card.kind,
        "n": card.count,
        "assumptions": card.assumptions,
        "notes": card.notes,
        "panels": [_panel(panel, order) for panel in card.panels],
    }


def _panel(panel: Panel, order: dict[str, int]) -> dict[str, Any]:
    few = panel.points[: plotly_panels.APART]
    rest = [f"and {len(panel.points) - len(few)} more runs"] if len(panel.points) > len(few) else []
    return {
        "metric": benchmarks.unit(panel.metric),
        "better": "higher is better" if panel.higher_is_better else "lower is better",
        "chance": _chance(panel),
        "summary": "; ".join([*map(_spoken, few), *rest, *(line.spoken for line in panel.lines)]),
        "legend": plotly_panels.legend(panel),
        "figure": plotly_panels.panel(panel, order),
    }


def _chance(panel: Panel) -> str | None:
    if panel.chance is None:
        return None
    beyond = panel.chance and not axes.chance_drawn(panel)
    return format.flat(format.figure(panel.chance)) + (" (off the axis)" if beyond else "")


def _spoken(point: benchmarks.Point) -> str:
    known = format.flat(format.interval(point.low, point.high))
    return f"{point.label} {format.flat(format.figure(point.value))}" + (f" ({known})" if known else "")


def read_examples(found: PageData) -> list[dict[str, Any]]:
    """What the largest finished models of each study said."""
    each = max(1, SIZES_WITH_EXAMPLES // len(found.parts))
    chosen = []
    for part in range(len(found.parts)):
        names = {found.prefix(part) + run.name for run in found.parts[part].runs if run.done}
        chosen += [run for run in found.study.runs if run.name in names][-each:]
    return examples.read_examples(chosen)


def _again(found: PageData) -> list[dict[str, str]]:
    steps = []
    for name, study in zip(found.names, found.parts, strict=True):
        cards = found.cards if found.alone else benchmarks.read_cards(study)
        told = study_tables.again(study, cards)
        steps += told if found.alone else [step | {"what": f"{name}: {step['what']}"} for step in told]
    return steps
