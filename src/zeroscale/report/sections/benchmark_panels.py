"""The benchmarks' cards with a panel for each metric, and the paper's figures 1 and 4 with these models."""

from typing import TypedDict

from zeroscale.core import format
from zeroscale.report.figures import axes, paper_figures, plotly_panels
from zeroscale.report.figures.plotly_json import PlotlyFigure
from zeroscale.report.sections import scaling_laws
from zeroscale.report.views import benchmarks
from zeroscale.report.views.benchmarks import Card, Panel, Point
from zeroscale.report.views.loss_curves import Curve
from zeroscale.report.views.study import StudyView


class PanelJson(TypedDict):
    """One metric of a card, as the page draws it."""

    metric: str
    better: str
    chance: str | None
    summary: str
    legend: str
    figure: PlotlyFigure


class CardJson(TypedDict):
    """A card by a protocol, as the page shows it."""

    card: str
    protocol: str
    badge: str
    kind: benchmarks.Kind
    n: str
    assumptions: list[str]
    notes: list[str]
    panels: list[PanelJson]


class PaperTaskJson(TypedDict):
    """A panel of the paper's figure 1; null where the task was not scored."""

    title: str
    card: str
    metric: str
    badge: str | None
    kind: benchmarks.Kind | None
    panel: PanelJson | None


class PaperJson(TypedDict):
    """The paper's figures."""

    tasks: list[PaperTaskJson]
    perplexity: scaling_laws.FigureJson | None


def describe_card(card: Card, order: dict[str, int]) -> CardJson:
    """`order`: each run's index on the page."""
    return {
        "card": card.card,
        "protocol": card.protocol,
        "badge": card.badge,
        "kind": card.kind,
        "n": card.count,
        "assumptions": card.assumptions,
        "notes": card.notes,
        "panels": [_describe_panel(panel, order) for panel in card.panels],
    }


def describe_paper_figures(
    cards: list[Card], order: dict[str, int], study: StudyView | None, curves: list[Curve]
) -> PaperJson | None:
    """The figures that the scores can fill; None without any. `study`: whose perplexity is drawn, where it is one."""
    tasks = paper_figures.tasks(cards)
    perplexity = paper_figures.perplexity(study, curves) if study else None
    if not tasks and perplexity is None:
        return None
    return {
        "tasks": [_describe_task(task, order) for task in tasks],
        "perplexity": scaling_laws.figure(perplexity) if perplexity else None,
    }


def _describe_task(task: paper_figures.Task, order: dict[str, int]) -> PaperTaskJson:
    return {
        "title": task.title,
        "card": task.name,
        "metric": benchmarks.unit(task.metric),
        "badge": task.card.badge if task.card else None,
        "kind": task.card.kind if task.card else None,
        "panel": _describe_panel(task.panel, order) if task.panel else None,
    }


def _describe_panel(panel: Panel, order: dict[str, int]) -> PanelJson:
    first = panel.points[: plotly_panels.MAX_TRACES]
    rest = [f"and {len(panel.points) - len(first)} more runs"] if len(panel.points) > len(first) else []
    return {
        "metric": benchmarks.unit(panel.metric),
        "better": "higher is better" if panel.higher_is_better else "lower is better",
        "chance": _chance(panel),
        "summary": "; ".join([*map(_point_text, first), *rest, *(line.description for line in panel.lines)]),
        "legend": plotly_panels.legend(panel),
        "figure": plotly_panels.panel(panel, order),
    }


def _chance(panel: Panel) -> str | None:
    if panel.chance is None:
        return None
    off_axis = panel.chance and not axes.chance_drawn(panel)
    return format.flat(format.figure(panel.chance)) + (" (off the axis)" if off_axis else "")


def _point_text(point: Point) -> str:
    interval = format.flat(format.interval(point.low, point.high))
    return f"{point.label} {format.flat(format.figure(point.value))}" + (f" ({interval})" if interval else "")
