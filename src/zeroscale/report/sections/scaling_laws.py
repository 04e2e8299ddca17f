"""What the page says of the laws over size and data: its verdict, the first figure, the section below."""

from typing import TypedDict

from zeroscale.core import format
from zeroscale.core.format import flops_text
from zeroscale.report.figures import plotly_panels, plotly_plot
from zeroscale.report.figures.law_plots import plots
from zeroscale.report.figures.optimum_plots import by_convention, exponent
from zeroscale.report.figures.plot import Plot
from zeroscale.report.figures.plotly_json import PlotlyFigure
from zeroscale.report.tables import law_tables
from zeroscale.report.views.fit_file import LAW_LABELS, Laws, ends_of, value_of
from zeroscale.report.views.size_law import LOSS as SIZE_LAW
from zeroscale.report.views.size_law import Law
from zeroscale.report.views.study import StudyView
from zeroscale.scaling.fit_schema import DataLaw
from zeroscale.scaling.laws.estimate import Estimate
from zeroscale.scaling.registry import LAWS, LEADING


class FigureJson(TypedDict):
    """A figure with the texts around it, as laws.js shows it."""

    name: str
    title: str
    caption: str
    summary: str
    figure: PlotlyFigure


class LawsJson(TypedDict):
    """The section of a study's laws, as laws.js shows it."""

    first: FigureJson | None
    figures: list[FigureJson]
    tables: list[dict[str, object]]
    doubts: list[law_tables.Doubt]
    not_fitted: list[dict[str, str]]


def laws_of(study: StudyView) -> Laws:
    """The laws over size and data, by name; {} without any."""
    laws = study.fit.laws if study.fit else {}
    return {name: law for name, law in laws.items() if isinstance(law, DataLaw) and name in LAW_LABELS}


def leading(laws: Laws) -> str | None:
    """The law that the first screen speaks of; None where size alone is the story."""
    return next(iter(_with_exponent(laws)), None)


def _with_exponent(laws: Laws) -> list[str]:
    return [name for name in LEADING if name in laws and value_of(_exponent(laws[name])) is not None]


def _exponent(law: DataLaw) -> Estimate | None:
    return law.exponents.get("N_opt")


def describe(study: StudyView, by_size: Law, order: dict[str, int]) -> LawsJson | None:
    """The section's figures, tables and doubts; None where fit.json holds neither such laws nor benchmarks' laws."""
    fit, laws = study.fit, laws_of(study)
    if fit is None or not (laws or fit.benchmarks):
        return None
    law_plots = plots(laws, study.runs)
    first = first_figure(leading(laws), law_plots)
    conventions = by_convention(fit)
    figures = [figure(plot) for plot in [*law_plots, *([conventions] if conventions else [])] if plot is not first]
    if first is not None and by_size.points:
        figures.append(_size_figure(by_size, order))
    return {
        "first": figure(first) if first is not None else None,
        "figures": figures,
        "tables": [table.json() for table in law_tables.tables(fit)],
        "doubts": law_tables.doubts(fit),
        "not_fitted": [
            {"law": LAW_LABELS.get(str(entry.law), str(entry.law)), "reason": str(entry.reason)}
            for entry in fit.not_fitted
        ],
    }


def _size_figure(by_size: Law, order: dict[str, int]) -> FigureJson:
    return {
        "name": "law",
        "title": "Loss over size alone",
        "caption": "The longest run of each size; data differ from run to run, so this is no law of size.",
        "summary": "Validation loss against parameters",
        "figure": plotly_panels.law(by_size, order),
    }


def first_figure(lead: str | None, law_plots: list[Plot]) -> Plot | None:
    """Of the figures, the leading law's own."""
    return next((plot for plot in law_plots if lead and plot.name == LAWS[lead].figure), None)


def figure(plot: Plot) -> FigureJson:
    return {
        "name": plot.name,
        "title": plot.title,
        "caption": plot.caption,
        "summary": plot.summary,
        "figure": plotly_plot.figure(plot),
    }


def verdict(study: StudyView) -> str | None:
    """One sentence on the compute-optimal split; None where no law over data was fitted."""
    laws = laws_of(study)
    lead = leading(laws)
    if lead is None:
        return None
    law = laws[lead]
    used, done = law.n_points or 0, sum(run.done for run in study.runs)
    runs = format.count(used, "run").capitalize()
    if used < done:
        runs = f"{runs.split()[0]} of {format.count(done, 'run')}"
    others = [name for name in _with_exponent(laws) if name != lead]
    text = f"{runs}: the compute-optimal size grows as N ∼ C^{{a}} with a = {exponent(law)} by {LAW_LABELS[lead]}"
    text += "".join(f", {exponent(laws[name])} by {LAW_LABELS[name]}" for name in others[:1])
    disagreeing = [name for name in others if not _intervals_meet(law, laws[name])]
    if disagreeing:
        verb = "does" if len(disagreeing) == 1 else "do"
        text += f"; {' and '.join(LAW_LABELS[name] for name in disagreeing)} {verb} not agree with it"
    return f"{text}."


def _intervals_meet(first: DataLaw, second: DataLaw) -> bool:
    """Whether two exponents' intervals have anything in common; unknown ends are open."""
    (_, low, high), (_, other_low, other_high) = ends_of(_exponent(first)), ends_of(_exponent(second))
    if low is None or high is None or other_low is None or other_high is None:
        return True
    return low <= other_high and other_low <= high


def facts(study: StudyView) -> list[dict[str, str]]:
    """The leading law's numbers for the first screen."""
    laws = laws_of(study)
    lead = leading(laws)
    if lead is None:
        return []
    law = laws[lead]
    value, low, high = ends_of(_exponent(law))
    interval = format.interval(low, high, 2)
    rows = [
        {
            "label": "exponent a, best size over compute",
            "value": format.figure(value or 0.0, 2),
            "note": f"95{format.SPACE}%: {interval}" if interval else "no interval",
        }
    ]
    best = next(iter(law.compute_optimal), None)
    n, d = (value_of(best.params), value_of(best.tokens)) if best else (None, None)
    if best and best.flops and n and d:
        note = f"on {format.scaled(d)} tokens, for {flops_text(float(best.flops))}"
        rows.append({"label": "best size at the largest budget", "value": format.scaled(n), "note": note})
    return rows


def warnings(study: StudyView, by_size: Law) -> list[str]:
    """The first screen's: of the leading law, and what makes fit.json old. The others stand with their laws."""
    laws = laws_of(study)
    lead = leading(laws)
    if study.fit is None or lead is None:
        return by_size.warnings
    size_law = study.fit.laws.get(SIZE_LAW)
    of_fit = size_law.warnings if size_law else ()
    stale = [warning for warning in by_size.warnings if warning not in of_fit]
    return [*stale, *laws[lead].warnings]
