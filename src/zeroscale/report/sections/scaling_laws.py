"""What the page says of the laws over size and data: its verdict, the first figure, the section below."""

from typing import Any, TypedDict

from zeroscale.core import format
from zeroscale.core.format import flops_text, number
from zeroscale.report.figures import plotly_panels, plotly_plot
from zeroscale.report.figures.law_plots import plots
from zeroscale.report.figures.optimum_plots import by_convention, exponent
from zeroscale.report.figures.plot import Plot
from zeroscale.report.figures.plotly_json import PlotlyFigure
from zeroscale.report.tables import law_tables
from zeroscale.report.views.fit_file import CALLED, SURFACES, Json, value_of
from zeroscale.report.views.size_law import LOSS as LOSS_LAW
from zeroscale.report.views.size_law import Law
from zeroscale.report.views.study import StudyView

# The law that the first screen rests on.
LEADING = ("isoflop", *SURFACES, "envelope")
FIRST_FIGURE = {"isoflop": "isoflop", "chinchilla": "surface", "vpnls": "surface", "envelope": "optimal_size"}


class FigureJson(TypedDict):
    """A figure with the texts around it, as laws.js shows it."""

    name: str
    title: str
    caption: str
    summary: str
    figure: PlotlyFigure


def laws_of(study: StudyView) -> Json:
    """The laws over size and data, by name; {} without any."""
    laws = (study.fit or {}).get("laws")
    return {name: law for name, law in laws.items() if name in CALLED} if isinstance(laws, dict) else {}


def leading(laws: Json) -> str | None:
    """The law that the first screen speaks of; None where size alone is the story."""
    return next(iter(_known(laws)), None)


def _known(laws: Json) -> list[str]:
    return [name for name in LEADING if name in laws and value_of(_exponents(laws[name])) is not None]


def _exponents(law: Json) -> Any:
    return (law.get("exponents") or {}).get("N_opt")


def describe(study: StudyView, by_size: Law, order: dict[str, int]) -> dict[str, Any] | None:
    """The section's figures, tables and doubts; None where fit.json holds neither such laws nor benchmarks' laws."""
    fit = study.fit or {}
    laws = laws_of(study)
    if not laws and not fit.get("benchmarks"):
        return None
    lead = leading(laws)
    drawn = plots(laws, study.runs)
    first = first_figure(lead, drawn)
    counted = by_convention(fit)
    figures = [figure(plot) for plot in [*drawn, *([counted] if counted else [])] if plot is not first]
    if first is not None and by_size.points:
        alone = plotly_panels.law(by_size, order)
        figures.append(
            {
                "name": "law",
                "title": "Loss over size alone",
                "caption": "The longest run of each size; data differ from run to run, so this is no law of size.",
                "summary": "Validation loss against parameters",
                "figure": alone,
            }
        )
    return {
        "first": figure(first) if first is not None else None,
        "figures": figures,
        "tables": [table.json() for table in law_tables.tables(fit)],
        "doubts": law_tables.doubts(fit),
        "not_fitted": [
            {"law": CALLED.get(str(one.get("law")), str(one.get("law"))), "reason": str(one.get("reason"))}
            for one in fit.get("not_fitted") or []
        ],
    }


def first_figure(lead: str | None, drawn: list[Plot]) -> Plot | None:
    return next((plot for plot in drawn if lead and plot.name == FIRST_FIGURE[lead]), None)


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
    used, done = int(number(law.get("n_points")) or 0), sum(run.done for run in study.runs)
    runs = format.count(used, "run").capitalize()
    if used < done:
        runs = f"{runs.split()[0]} of {format.count(done, 'run')}"
    others = [
        name for name in LEADING if name in laws and name != lead and value_of(_exponents(laws[name])) is not None
    ]
    text = f"{runs}: the compute-optimal size grows as N ∼ C^{{a}} with a = {exponent(law)} by {CALLED[lead]}"
    text += "".join(f", {exponent(laws[name])} by {CALLED[name]}" for name in others[:1])
    apart = [name for name in others if not _meet(law, laws[name])]
    if apart:
        verb = "does" if len(apart) == 1 else "do"
        text += f"; {' and '.join(CALLED[name] for name in apart)} {verb} not agree with it"
    return f"{text}."


def _meet(one: Json, other: Json) -> bool:
    """Whether two exponents' intervals have anything in common; unknown ends are open."""
    low, high = (value_of(_exponents(one), end) for end in ("low", "high"))
    least, most = (value_of(_exponents(other), end) for end in ("low", "high"))
    if None in (low, high, least, most):
        return True
    return low <= most and least <= high  # type: ignore[operator]


def facts(study: StudyView) -> list[dict[str, str]]:
    """The leading law's numbers for the first screen."""
    laws = laws_of(study)
    lead = leading(laws)
    if lead is None:
        return []
    law = laws[lead]
    value, low, high = (value_of(_exponents(law), end) for end in ("value", "low", "high"))
    known = format.interval(low, high, 2)
    found = [
        {
            "label": "exponent a, best size over compute",
            "value": format.figure(value or 0.0, 2),
            "note": f"95{format.SPACE}%: {known}" if known else "no interval",
        }
    ]
    best = next(iter(law.get("compute_optimal") or []), None)
    if best and number(best.get("flops")) and value_of(best.get("params")) and value_of(best.get("tokens")):
        n, d = value_of(best["params"]), value_of(best["tokens"])
        note = f"on {format.scaled(d)} tokens, for {flops_text(float(best['flops']))}"
        found.append({"label": "best size at the largest budget", "value": format.scaled(n), "note": note})
    return found


def warnings(study: StudyView, by_size: Law) -> list[str]:
    """The first screen's: of the leading law, and what makes fit.json old. The others stand with their laws."""
    laws = laws_of(study)
    lead = leading(laws)
    if lead is None:
        return by_size.warnings
    own = (study.fit or {}).get("laws", {}).get(LOSS_LAW) or {}
    stale = [warning for warning in by_size.warnings if warning not in (own.get("warnings") or [])]
    return stale + [str(warning) for warning in laws[lead].get("warnings") or []]
