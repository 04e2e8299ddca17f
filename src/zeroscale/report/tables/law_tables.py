"""The laws over size and data in words and tables, with every doubt that fit.json holds."""

import re
from typing import Any

from zeroscale.core import format
from zeroscale.core.format import flops_text, number
from zeroscale.report.tables.study_tables import Entry, entry
from zeroscale.report.views.fit_file import CALLED, CONVENTIONS, COUNTED, SURFACES, Json, value_of
from zeroscale.report.views.size_law import greek


def over_data(laws: Json) -> list[str]:
    """Names of the laws over size and data, in the file's order."""
    return [name for name in laws if name in CALLED]


def tables(fit: Json) -> list[dict[str, Any]]:
    """{name, title, lede, table} of everything that is there; `name` is for files."""
    laws = fit.get("laws") or {}
    made = [
        ("parameters", "Parameters", "With 95 % intervals. a: N_opt ∝ C^{a}.", parameters(laws)),
        ("budgets", "What to train with a budget", "Compute-optimal size and data, by each law.", optimal(laws)),
        (
            "conventions",
            "How the exponent moves with what is counted",
            "a of N_opt ∝ C^{a} on the same runs, for each count of N and of C.",
            conventions(fit.get("by_convention") or []),
        ),
        (
            "held_out",
            "Predicted before it was seen",
            "The largest size from the smaller ones, and each size left out in turn.",
            held_out(laws),
        ),
        (
            "correlation",
            "Correlation of the parameters",
            "Over the resampled fits. Near ±1 the runs hold a combination of two numbers rather than each.",
            correlation(laws),
        ),
        (
            "benchmarks",
            "Benchmarks",
            "The two steps from size to loss, and from loss to accuracy.",
            benchmarks(fit),
        ),
    ]
    return [{"name": name, "title": title, "lede": lede, "table": table} for name, title, lede, table in made if table]


def parameters(laws: Json) -> dict[str, Any] | None:
    names = over_data(laws)
    if not names:
        return None
    symbols = ("E", "A", "B", "alpha", "beta")
    columns: list[dict[str, Any]] = [{"label": "law"}, {"label": "a", "number": True}]
    with_five = any(name in SURFACES for name in names)
    columns += [{"label": greek(symbol), "number": True} for symbol in symbols] if with_five else []
    columns += [{"label": label, "number": True} for label in ("runs", "rms residual")]
    rows = []
    for name in names:
        law = laws[name]
        found, exponents = law.get("parameters") or {}, law.get("exponents") or {}
        if name == "kaplan":
            continue  # no frontier, and other letters: its numbers stand with its doubts
        cells = [entry(name, origin=str(law.get("form") or ""))]
        cells.append(_estimate(exponents.get("N_opt")))
        cells += [_estimate(found.get(symbol)) for symbol in symbols] if with_five else []
        spread = number((law.get("diagnostics") or {}).get("rms_log_residual"))
        count = number(law.get("n_points"))
        cells.append(entry("–" if count is None else f"{count:,.0f}", count, note=_left(law)))
        cells.append(entry("–") if spread is None else entry(f"{100 * spread:.2g} %", spread))
        rows.append({"cells": cells})
    return {"columns": columns, "rows": rows} if rows else None


def _left(law: Json) -> str:
    return f"{len(law['left_out'])} left out" if law.get("left_out") else ""


def _estimate(found: Any, show: Any = None, digits: int = 3) -> Entry:
    """A number with its interval under it, in significant digits or as `show` says it."""
    value = value_of(found)
    if value is None:
        return entry("–")
    low, high = value_of(found, "low"), value_of(found, "high")
    if show is None:
        return entry(format.figure(value, digits), value, note=format.interval(low, high, digits), ends=(low, high))
    return entry(show(value), value, note=format.interval(low, high, show=show), ends=(low, high))


def optimal(laws: Json) -> dict[str, Any] | None:
    rows = []
    for name in over_data(laws):
        for one in laws[name].get("compute_optimal") or []:
            c = number(one.get("flops"))
            if not c:
                continue
            cells = [entry(name), entry(flops_text(c), c)]
            cells += [_estimate(one.get("params"), format.scaled), _estimate(one.get("tokens"), format.scaled)]
            n, d = value_of(one.get("params")), value_of(one.get("tokens"))
            cells.append(entry(format.figure(d / n), d / n) if n and d else entry("–"))
            rows.append({"cells": [*cells, _estimate(one.get("loss"), digits=4)]})
    rows.sort(key=lambda row: row["cells"][1]["sort"])
    labels = [("law", False), ("budget", True), ("N", True), ("D", True), ("D / N", True), ("loss", True)]
    return {"columns": [{"label": label, "number": right} for label, right in labels], "rows": rows} if rows else None


def conventions(found: list[Json]) -> dict[str, Any] | None:
    columns = [{"label": "law"}, {"label": "N"}, {"label": "C"}, {"label": "a", "number": True}]
    rows = []
    for one in found:
        convention = str(one.get("convention"))
        exponent = one.get("exponent")
        last = _estimate(exponent) if exponent else entry("–", note=str(one.get("note") or ""))
        cells = [
            entry(str(one.get("law"))),
            entry(CONVENTIONS.get(convention, convention)),
            entry(COUNTED.get(str(one.get("flops")), str(one.get("flops")))),
            last,
        ]
        rows.append({"cells": cells})
    return {"columns": columns, "rows": rows} if len(rows) > 1 else None


def held_out(laws: Json) -> dict[str, Any] | None:
    rows = []
    for name in (name for name in SURFACES if name in laws):
        held = laws[name].get("hold_out")
        if held:
            verdict = {True: "inside", False: "outside"}.get(held.get("inside"), "no interval")
            rows.append(_held_row(name, "the largest, from the smaller ones", held, verdict))
    first = next((name for name in SURFACES if name in laws), None)
    if first:
        rows += [_held_row(first, "left out", one, "") for one in laws[first].get("leave_one_out") or []]
    labels = [("law", False), ("what", False), ("N", True), ("predicted", True), ("measured", True), ("error", True)]
    columns = [{"label": label, "number": right} for label, right in [*labels, ("a without it", True)]]
    return {"columns": columns, "rows": rows} if rows else None


def _held_row(name: str, what: str, one: Json, verdict: str) -> dict[str, Any]:
    error, measured = number(one.get("error")), number(one.get("measured"))
    exponent = number(one.get("exponent"))
    return {
        "cells": [
            entry(name),
            entry(what),
            entry(format.scaled(number(one.get("params"))), number(one.get("params"))),
            _estimate({"value": one.get("predicted"), "low": one.get("low"), "high": one.get("high")}, digits=4),
            entry("–" if measured is None else format.figure(measured, 4), measured, note=verdict),
            entry("–" if error is None else f"{100 * error:+.2f} %".replace("-", format.MINUS), error),
            entry("–" if exponent is None else format.figure(exponent), exponent),
        ]
    }


def correlation(laws: Json) -> dict[str, Any] | None:
    name = next((name for name in SURFACES if name in laws), None)
    matrix = (laws[name].get("diagnostics") or {}).get("correlation") if name else None
    if not matrix:
        return None
    names = {"E": "E", "log_A": "ln A", "log_B": "ln B", "alpha": "α", "beta": "β"}
    columns = [{"label": str(name)}, *({"label": called, "number": True} for called in names.values())]
    rows = []
    for one, called in names.items():
        values = [number((matrix.get(one) or {}).get(other)) for other in names]
        shown = [entry("–") if v is None else entry(f"{v:+.2f}".replace("-", format.MINUS), v) for v in values]
        rows.append({"cells": [entry(called), *shown]})
    return {"columns": columns, "rows": rows}


def benchmarks(fit: Json) -> dict[str, Any] | None:
    rows = []
    for name, law in (fit.get("benchmarks") or {}).items():
        held = law.get("hold_out") or {}
        verdict = {True: "inside", False: "outside"}.get(held.get("inside"), "no interval")
        guess = {"value": held.get("predicted"), "low": held.get("low"), "high": held.get("high")}
        measured = number(held.get("measured"))
        named = [f"{greek(key)} = {_flat(one)}" for key, one in (law.get("parameters") or {}).items()]
        cells = [
            entry(str(name), origin=str(law.get("form") or "")),
            entry(f"from {law['loss']}, chance {law.get('chance')}" if "loss" in law else str(law.get("of") or "")),
            entry("; ".join(named)),
            _estimate(guess),
            entry("–" if measured is None else format.figure(measured), measured, note=verdict if held else ""),
        ]
        rows.append({"cells": cells})
    labels = ("benchmark", "of", "parameters", "largest size, predicted", "measured")
    return (
        {"columns": [{"label": label, "number": i > 2} for i, label in enumerate(labels)], "rows": rows}
        if rows
        else None
    )


def _flat(found: Any) -> str:
    shown = _estimate(found)
    return shown["text"] + (f" ({shown['note']})" if shown.get("note") else "")


def doubts(fit: Json) -> list[dict[str, Any]]:
    """Per law what it does not promise: {law, form, how, warnings, left_out}."""
    found = []
    for name, law in (fit.get("laws") or {}).items():
        intervals, more = law.get("intervals") or {}, law.get("diagnostics") or {}
        how = [f"Intervals: {intervals['method']}."] if intervals.get("method") else ["No intervals."]
        starts, reached = number(more.get("starts")) or 0, number(more.get("starts_at_optimum"))
        if starts > 1 and reached is not None:
            how.append(f"{reached:,.0f} of {starts:,.0f} starts reached the best optimum.")
        if law.get("objective_form") and number(law.get("objective")) is not None:
            how.append(f"Objective {law['objective']:.4g}: {law['objective_form']}.")
        if name in ("kaplan", "isoflop", "envelope"):
            how.append("; ".join(f"{key} = {_flat(one)}" for key, one in (law.get("parameters") or {}).items()) + ".")
        for key in ("L(N)", "L(D)"):
            if law.get(key):
                own = "; ".join(f"{name} = {_flat(one)}" for name, one in law[key]["parameters"].items())
                how.append(f"{law[key]['form']}: {own} ({law[key]['rule']}).")
        rules: dict[str, list[str]] = {}
        for one in law.get("left_out") or []:
            rules.setdefault(str(one.get("rule")), []).append(str(one.get("cell")))
        found.append(
            {
                "law": CALLED.get(name, f"{name} over size alone"),
                "form": re.sub(r"\^(\w+)", r"^{\1}", greek(str(law.get("form") or ""))),
                "how": " ".join(how),
                "warnings": [str(warning) for warning in law.get("warnings") or []],
                "left_out": [f"{', '.join(cells)}: {rule}" for rule, cells in rules.items()],
            }
        )
    return found
