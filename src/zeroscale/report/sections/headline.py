"""The first screen: one sentence, a handful of numbers with their intervals, and what to read with care."""

from zeroscale.core import format
from zeroscale.report.sections import number_sources, run_health, scaling_laws
from zeroscale.report.sections.run_health import RunHealth
from zeroscale.report.views import size_law
from zeroscale.report.views.loss_curves import Curve
from zeroscale.report.views.size_law import Law
from zeroscale.report.views.study import StudyView
from zeroscale.scaling.registry import SURFACES

Fact = dict[str, object]
"""One number of the first screen, as the page shows it: {label, value, note, from?, href?, name?}."""
LEDGER = {"place": "results.csv, column val/loss", "metric": "val/loss"}


def verdict(study: StudyView, law: Law) -> str:
    """What the study shows, in a sentence."""
    return scaling_laws.verdict(study) or size_law.verdict(law)


def facts(study: StudyView, law: Law, health: list[RunHealth]) -> list[Fact]:
    """The few numbers of the first screen; `from` says where one comes from."""
    rows: list[Fact] = [_done(study), *_lowest(law)]
    over_data: list[Fact] = [{**fact} for fact in scaling_laws.facts(study)]
    if over_data:
        lead = scaling_laws.leading(scaling_laws.laws_of(study)) or ""
        keys = "exponents, N_opt" if lead in SURFACES else "parameters, a"
        over_data[0] |= {"from": number_sources.of_fit(study, lead, keys)}
        rows += over_data
    else:
        rows += _exponent(study, law) + _held_out(study, law)
    return [*rows, _worst(health)] if len(health) > 1 else rows


def _done(study: StudyView) -> Fact:
    done = sum(run.done for run in study.runs)
    return {"label": "runs done", "value": f"{done} of {study.total}", "note": _states(study)}


def _states(study: StudyView) -> str:
    states = [run.state for run in study.runs if not run.done]
    states += ["damaged"] * study.damaged + ["missing"] * study.missing
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _lowest(law: Law) -> list[Fact]:
    if not law.points:
        return []
    params, loss, runs = min(size_law.by_size(law.points), key=lambda size: size[1])
    size = f"{format.scaled(params)} parameters"
    if len(runs) > 1:
        return [{"label": "lowest mean loss", "value": f"{loss:.3f}", "note": f"{size}, {len(runs)} runs"}]
    note, origin = f"{law.label(runs[0])}, {size}", {"run": runs[0], **LEDGER}
    return [{"label": "lowest loss", "value": f"{loss:.3f}", "note": note, "from": origin}]


def _exponent(study: StudyView, law: Law) -> list[Fact]:
    if "alpha" not in law.parameters:
        return []
    value, low, high = law.parameters["alpha"]
    interval = format.interval(low, high, 2)
    note = f"95{format.SPACE}%: {interval}" if interval else "no interval"
    origin = number_sources.of_fit(study, size_law.LOSS, "parameters, alpha")
    return [{"label": "exponent α", "value": format.figure(value, 2), "note": note, "from": origin}]


def _held_out(study: StudyView, law: Law) -> list[Fact]:
    held = law.hold_out
    if not held:
        return []
    outcome = {True: "inside its interval", False: "outside its interval", None: "no interval"}[held.inside]
    error = f"{100 * (held.predicted / held.measured - 1):+.1f} %".replace("-", format.MINUS)
    note = f"{law.label(held.run)}: {outcome}".removeprefix(": ")
    origin = number_sources.of_fit(study, size_law.LOSS, "hold_out")
    return [{"label": "hold-out error", "value": error, "note": note, "from": origin}]


def _worst(health: list[RunHealth]) -> Fact:
    """The run to look at first; its remarks are in the table of runs."""
    worst = health[0]
    note = worst.worst or "nothing wrong"
    if worst.severity == run_health.Severity.NOTHING:
        note = f"nothing wrong; {worst.worst}".removesuffix("; ")
    return {"label": "worst-behaved run", "value": worst.label, "note": note, "href": "#runs", "name": True}


def faults(study: StudyView, law: Law, curves: list[Curve]) -> list[str]:
    """What a reader should know beside the fit's own warnings."""
    texts = [
        f"{curve.label}: the training loss was not finite at {format.count(len(curve.not_finite), 'logged step')}, "
        f"first at step {curve.not_finite[0]:,}."
        for curve in curves
        if curve.not_finite
    ]
    warnings = " ".join(law.warnings)
    unfinished = [f"{run.label} ({run.state})" for run in study.runs if not run.done and run.name not in warnings]
    if unfinished:
        texts.append(f"Not done, and not in the law: {', '.join(unfinished)}.")
    return [*texts, *study.left_out]
