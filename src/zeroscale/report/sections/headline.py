"""The first screen: one sentence, a handful of numbers with their intervals, and what to read with care."""

from typing import Any

from zeroscale.core import format
from zeroscale.report.sections import number_sources, run_health, scaling_laws
from zeroscale.report.sections.run_health import RunHealth
from zeroscale.report.views import size_law
from zeroscale.report.views.fit_file import SURFACES
from zeroscale.report.views.loss_curves import Curve
from zeroscale.report.views.size_law import Law
from zeroscale.report.views.study import RunView, StudyView

Fact = dict[str, Any]
LEDGER = {"place": "results.csv, column val/loss", "metric": "val/loss"}


def verdict(study: StudyView, shown: Law) -> str:
    """What the study shows, in a sentence."""
    return scaling_laws.verdict(study) or size_law.verdict(shown)


def facts(study: StudyView, shown: Law, behaved: list[RunHealth]) -> list[Fact]:
    """The few numbers of the first screen; `from` says where one comes from."""
    found = [_done(study), *_lowest(shown)]
    over_data = scaling_laws.facts(study)
    if over_data:
        lead = scaling_laws.leading(scaling_laws.laws_of(study)) or ""
        keys = "exponents, N_opt" if lead in SURFACES else "parameters, a"
        over_data[0] |= {"from": number_sources.of_fit(study, lead, keys)}
        found += over_data
    else:
        found += _exponent(study, shown) + _held_out(study, shown)
    return [*found, _worst(behaved)] if len(behaved) > 1 else found


def _done(study: StudyView) -> Fact:
    done = sum(run.done for run in study.runs)
    return {"label": "runs done", "value": f"{done} of {len(study.runs)}", "note": _others(study.runs)}


def _others(runs: list[RunView]) -> str:
    states = [run.state for run in runs if not run.done]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _lowest(shown: Law) -> list[Fact]:
    if not shown.points:
        return []
    run, params, loss = min(shown.points, key=lambda point: point[2])
    note = f"{shown.label(run)}, {format.scaled(params)} parameters"
    return [{"label": "lowest loss", "value": f"{loss:.3f}", "note": note, "from": {"run": run, **LEDGER}}]


def _exponent(study: StudyView, shown: Law) -> list[Fact]:
    if "alpha" not in shown.parameters:
        return []
    value, low, high = shown.parameters["alpha"]
    known = format.interval(low, high, 2)
    note = f"95{format.SPACE}%: {known}" if known else "no interval"
    origin = number_sources.of_fit(study, size_law.LOSS, "parameters, alpha")
    return [{"label": "exponent α", "value": format.figure(value, 2), "note": note, "from": origin}]


def _held_out(study: StudyView, shown: Law) -> list[Fact]:
    held = shown.hold_out
    if not held:
        return []
    said = {True: "inside its interval", False: "outside its interval", None: "no interval"}[held.inside]
    error = f"{100 * (held.predicted / held.measured - 1):+.1f} %".replace("-", format.MINUS)
    note = f"{shown.label(held.run)}: {said}".removeprefix(": ")
    origin = number_sources.of_fit(study, size_law.LOSS, "hold_out")
    return [{"label": "hold-out error", "value": error, "note": note, "from": origin}]


def _worst(behaved: list[RunHealth]) -> Fact:
    """The run to look at first; its remarks are in the table of runs."""
    one = behaved[0]
    said = one.worst or "nothing wrong"
    if one.severity == run_health.NOTHING:
        said = f"nothing wrong; {one.worst}".removesuffix("; ")
    return {"label": "worst-behaved run", "value": one.label, "note": said, "href": "#runs", "name": True}


def faults(study: StudyView, shown: Law, drawn: list[Curve]) -> list[str]:
    """What a reader should know beside the fit's own warnings."""
    found = [
        f"{curve.label}: the training loss was not finite at {format.count(len(curve.not_finite), 'logged step')}, "
        f"first at step {curve.not_finite[0]:,}."
        for curve in drawn
        if curve.not_finite
    ]
    said = " ".join(shown.warnings)
    undone = [f"{run.label} ({run.state})" for run in study.runs if not run.done and run.name not in said]
    if undone:
        found.append(f"Not done, and not in the law: {', '.join(undone)}.")
    return found
