"""The law as the report shows it: fit.json where there is one, else the bare points of the ledger.

Fitting is `zeroscale.scaling.fit`'s work; nothing is fitted here.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from zeroscale.core import format
from zeroscale.core.format import number
from zeroscale.report.views.study import StudyView

LOSS = "val/loss"
AXES = {
    "params_non_embedding": "parameters without embeddings, N",
    "params": "parameters with embeddings, N",
    "params_matmul": "parameters in matrix products, N",
}


@dataclass(frozen=True)
class HoldOut:
    """The largest size, predicted from the smaller ones before looking at it."""

    run: str
    params: float
    predicted: float
    low: float | None
    high: float | None
    measured: float

    @property
    def inside(self) -> bool | None:
        """Whether the measured loss lies in the prediction's interval; None where there is no interval."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.measured <= self.high


@dataclass(frozen=True)
class Law:
    """Points (run, N, loss in nats per token), and the fit where there is one. `axis` says which N it is."""

    points: list[tuple[str, float, float]]
    axis: str = AXES["params_non_embedding"]
    form: str | None = None
    parameters: dict[str, tuple[float, float | None, float | None]] = field(default_factory=dict)
    band: list[tuple[float, float | None, float, float | None]] = field(default_factory=list)
    hold_out: HoldOut | None = None
    method: str | None = None
    warnings: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def label(self, run: str) -> str:
        """What a reader calls the run."""
        return self.labels.get(run, run)

    @property
    def shown_form(self) -> str | None:
        """The law in letters: `L(N) = (N_c/N)^{α}`."""
        return None if self.form is None else re.sub(r"\^(\w+)", r"^{\1}", greek(self.form))

    @property
    def undecided(self) -> bool:
        """Whether the exponent's interval includes zero: then the data do not show that loss depends on size."""
        _, low, high = self.parameters.get("alpha", (0.0, None, None))
        return low is not None and high is not None and low <= 0 <= high


def greek(text: str) -> str:
    """`alpha` and `beta` as letters."""
    return re.sub(r"\b(alpha|beta)\b", lambda name: {"alpha": "α", "beta": "β"}[name[0]], text)


def read_law(study: StudyView) -> Law:
    """L(N) of the validation loss from fit.json, on the runs that it rests on; without one, every finished run."""
    measured = [
        (run.name, run.params, float(run.row[LOSS]))
        for run in study.runs
        if run.done and run.params and number(run.row.get(LOSS)) is not None
    ]
    labels = {run.name: run.label for run in study.runs}
    laws = (study.fit or {}).get("laws")
    fitted = laws.get(LOSS) if isinstance(laws, dict) else None
    if not isinstance(fitted, dict):
        return Law(measured, warnings=_missing(study), labels=labels)
    points = _points(fitted.get("points"), {run.name for run in study.runs})
    intervals = fitted.get("intervals") or {}
    return Law(
        points=points,
        axis=AXES.get(str(fitted.get("variable")), AXES["params_non_embedding"]),
        form=str(fitted["form"]) if fitted.get("form") else None,
        parameters=_parameters(fitted.get("parameters")),
        band=_band(fitted.get("band")),
        hold_out=_hold_out(fitted.get("hold_out"), points),
        method=intervals.get("method"),
        warnings=_stale(study, points, measured) + [str(warning) for warning in fitted.get("warnings") or []],
        labels=labels,
    )


def _points(raw: Any, runs: set[str]) -> list[tuple[str, float, float]]:
    points = []
    for point in raw or []:
        params = number(point.get("params", point.get("params_non_embedding")))
        loss = number(point.get("loss"))
        if point.get("cell") in runs and params and loss:
            points.append((str(point["cell"]), params, loss))
    return sorted(points, key=lambda point: point[1])


def _missing(study: StudyView) -> list[str]:
    if study.fit is not None:
        return ["fit.json holds no law of the validation loss."]
    return [f"No law is fitted yet. Make it with: zeroscale fit runs={study.shown_path}"]


def _stale(
    study: StudyView, points: list[tuple[str, float, float]], measured: list[tuple[str, float, float]]
) -> list[str]:
    """Whether fit.json was made before a run was finished or trained again."""
    losses = {run: loss for run, _, loss in points}
    weighed = {str(entry.get("cell")) for entry in (study.fit or {}).get("left_out") or []} | set(losses)
    labels = {run.name: run.label for run in study.runs}
    new = [labels[run] for run, _, _ in measured if run not in weighed]
    changed = [labels[run] for run, _, loss in measured if abs(losses.get(run, loss) - loss) > 1e-6]
    if not new and not changed:
        return []
    reasons = [f"it does not know {', '.join(new)}"] if new else []
    reasons += [f"the loss is another now for {', '.join(changed)}"] if changed else []
    return [
        f"fit.json is older than the study: {'; '.join(reasons)}. Fit again with: zeroscale fit runs={study.shown_path}"
    ]


def _parameters(raw: Any) -> dict[str, tuple[float, float | None, float | None]]:
    result = {}
    for name, entry in (raw or {}).items():
        entry = entry if isinstance(entry, dict) else {"value": entry}
        value = number(entry.get("value"))
        if value is not None:
            result[str(name)] = (value, number(entry.get("low")), number(entry.get("high")))
    return result


def _band(raw: Any) -> list[tuple[float, float | None, float, float | None]]:
    rows = []
    for point in raw or []:
        params, value = number(point.get("params")), number(point.get("value"))
        if params is not None and value is not None:
            rows.append((params, number(point.get("low")), value, number(point.get("high"))))
    return sorted(rows, key=lambda row: row[0])


def _hold_out(raw: Any, points: list[tuple[str, float, float]]) -> HoldOut | None:
    if not isinstance(raw, dict):
        return None
    params, measured = number(raw.get("params")), number(raw.get("measured"))
    predicted = number(raw.get("predicted"))
    if params is None or measured is None or predicted is None:
        return None
    run = str(raw.get("cell") or next((name for name, n, _ in points if n == params), ""))
    return HoldOut(run, params, predicted, number(raw.get("low")), number(raw.get("high")), measured)


def verdict(law: Law) -> str:
    """One sentence that answers whether the law holds; `^{…}` marks a superscript."""
    if not law.points:
        return "No run of this study has finished with a validation loss yet."
    sizes = sorted({params for _, params, _ in law.points})
    best = {n: min(loss for _, params, loss in law.points if params == n) for n in sizes}
    losses = [best[n] for n in sizes]
    name = format.count(len(sizes), "size").capitalize()
    if len(sizes) == 1:
        return f"{name}, {format.scaled(sizes[0])} parameters: validation loss {format.figure(losses[0])}."
    span = f"{name}, {format.scaled(sizes[0])} to {format.scaled(sizes[-1])} parameters"
    change = f"from {format.figure(losses[0])} to {format.figure(losses[-1])}"
    falls = all(after < before for before, after in pairwise(losses))
    if not falls:
        worse = [format.scaled(n) for n, (a, b) in zip(sizes[1:], pairwise(losses), strict=True) if b >= a]
        text = (
            f"{span}: validation loss goes {change}, but not with every size: "
            f"{', '.join(worse)} is no better than the size below."
        )
        return f"{text} The data do not show a power law{_undecided(law)}." if law.undecided else text
    if law.undecided:
        return f"{span}: validation loss falls {change} nats, but the data do not show a power law{_undecided(law)}."
    return f"{span}: validation loss falls {change} nats{_as_power(law)}."


POWER = f"N^{{{format.MINUS}α}}"  # L ∼ N^−α throughout: alpha itself is positive where loss falls
BARE = f"L{format.SPACE}∼{format.SPACE}{POWER}"


def _undecided(law: Law) -> str:
    alpha, low, high = law.parameters["alpha"]
    known = f"its 95{format.SPACE}% interval, {format.interval(low, high, 2)}, includes zero"
    return f": the exponent α of {BARE} is {format.figure(alpha, 2)}, and {known}"


def _as_power(law: Law) -> str:
    if "alpha" not in law.parameters:
        return ""
    alpha, low, high = law.parameters["alpha"]
    irreducible = law.parameters.get("E", (0.0, None, None))[0]
    shape = f"L {format.MINUS} {format.figure(irreducible)} ∼ {POWER}" if irreducible > 0 else BARE
    known = format.interval(low, high, 2)
    interval = f" (95{format.SPACE}% interval {known})" if known else ""
    return f", as {shape} with α = {format.figure(alpha, 2)}{interval}"


def hold_out_sentence(law: Law) -> str | None:
    """What the smaller sizes said about the largest, and what it did."""
    held = law.hold_out
    if held is None:
        return None
    name = law.label(held.run) or f"the largest size ({format.scaled(held.params)} parameters)"
    text = f"Predicted from the smaller sizes, {name} should reach {format.figure(held.predicted)}"
    if held.inside is not None:
        text += f" ({format.interval(held.low, held.high)})"
    text += f"; it reached {format.figure(held.measured)}"
    text += {True: ", inside the interval", False: ", outside the interval", None: ""}[held.inside]
    error = 100 * (held.predicted / held.measured - 1)
    size = f"{format.figure(abs(error), 2)}{format.SPACE}%"
    return f"{text}: the prediction was {size} too {'high' if error > 0 else 'low'}."
