"""The laws over size and data in words and tables, with every doubt that fit.json holds."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zeroscale.core import format
from zeroscale.core.format import NOTHING, flops_text, number
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.report.views.fit_file import CALLED, CONVENTIONS, COUNTED, SURFACES, Json, value_of
from zeroscale.report.views.size_law import greek


def over_data(laws: Json) -> list[str]:
    """Names of the laws over size and data, in the file's order."""
    return [name for name in laws if name in CALLED]


@dataclass(frozen=True)
class LawTable:
    """A table with its heading and the sentence below it; `name` is for files."""

    name: str
    title: str
    lede: str
    table: Table

    def json(self) -> dict[str, object]:
        """As the page's scripts read it."""
        return {"name": self.name, "title": self.title, "lede": self.lede, "table": self.table.json()}


def tables(fit: Json) -> list[LawTable]:
    """Every table that fit.json can fill."""
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
    return [LawTable(name, title, lede, table) for name, title, lede, table in made if table]


def parameters(laws: Json) -> Table | None:
    names = over_data(laws)
    if not names:
        return None
    symbols = ("E", "A", "B", "alpha", "beta")
    columns = [Column("law"), Column("a", number=True)]
    with_five = any(name in SURFACES for name in names)
    columns += [Column(greek(symbol), number=True) for symbol in symbols] if with_five else []
    columns += [Column(label, number=True) for label in ("runs", "rms residual")]
    rows = []
    for name in names:
        law = laws[name]
        found, exponents = law.get("parameters") or {}, law.get("exponents") or {}
        if name == "kaplan":
            continue  # no frontier, and other letters: its numbers stand with its doubts
        cells = [Cell(name, origin=str(law.get("form") or ""))]
        cells.append(_estimate(exponents.get("N_opt")))
        cells += [_estimate(found.get(symbol)) for symbol in symbols] if with_five else []
        spread = number((law.get("diagnostics") or {}).get("rms_log_residual"))
        count = number(law.get("n_points"))
        cells.append(Cell("–" if count is None else f"{count:,.0f}", count, note=_left(law)))
        cells.append(Cell(NOTHING) if spread is None else Cell(f"{100 * spread:.2g} %", spread))
        rows.append(cells)
    return Table(columns, rows) if rows else None


def _left(law: Json) -> str:
    return f"{len(law['left_out'])} left out" if law.get("left_out") else ""


def _estimate(estimate: Any, show: Callable[[float], str] | None = None, digits: int = 3) -> Cell:
    """A number with its interval under it, in significant digits or as `show` writes it."""
    value = value_of(estimate)
    if value is None:
        return Cell(NOTHING)
    low, high = value_of(estimate, "low"), value_of(estimate, "high")
    text = format.figure(value, digits) if show is None else show(value)
    return Cell(text, value, "", format.interval(low, high, digits, show=show), low, high)


def optimal(laws: Json) -> Table | None:
    by_budget: list[tuple[float, list[Cell]]] = []
    for name in over_data(laws):
        for one in laws[name].get("compute_optimal") or []:
            c = number(one.get("flops"))
            if not c:
                continue
            cells = [Cell(name), Cell(flops_text(c), c)]
            cells += [_estimate(one.get("params"), format.scaled), _estimate(one.get("tokens"), format.scaled)]
            n, d = value_of(one.get("params")), value_of(one.get("tokens"))
            cells.append(Cell(format.figure(d / n), d / n) if n and d else Cell(NOTHING))
            by_budget.append((c, [*cells, _estimate(one.get("loss"), digits=4)]))
    rows = [row for _, row in sorted(by_budget, key=lambda one: one[0])]
    labels = [("law", False), ("budget", True), ("N", True), ("D", True), ("D / N", True), ("loss", True)]
    return Table([Column(label, right) for label, right in labels], rows) if rows else None


def conventions(found: list[Json]) -> Table | None:
    columns = [Column("law"), Column("N"), Column("C"), Column("a", number=True)]
    rows = []
    for one in found:
        convention = str(one.get("convention"))
        exponent = one.get("exponent")
        last = _estimate(exponent) if exponent else Cell(NOTHING, note=str(one.get("note") or ""))
        cells = [
            Cell(str(one.get("law"))),
            Cell(CONVENTIONS.get(convention, convention)),
            Cell(COUNTED.get(str(one.get("flops")), str(one.get("flops")))),
            last,
        ]
        rows.append(cells)
    return Table(columns, rows) if len(rows) > 1 else None


def held_out(laws: Json) -> Table | None:
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
    columns = [Column(label, right) for label, right in [*labels, ("a without it", True)]]
    return Table(columns, rows) if rows else None


def _held_row(name: str, what: str, one: Json, verdict: str) -> list[Cell]:
    error, measured = number(one.get("error")), number(one.get("measured"))
    exponent = number(one.get("exponent"))
    return [
        Cell(name),
        Cell(what),
        Cell(format.scaled(number(one.get("params"))), number(one.get("params"))),
        _estimate({"value": one.get("predicted"), "low": one.get("low"), "high": one.get("high")}, digits=4),
        Cell("–" if measured is None else format.figure(measured, 4), measured, note=verdict),
        Cell("–" if error is None else f"{100 * error:+.2f} %".replace("-", format.MINUS), error),
        Cell("–" if exponent is None else format.figure(exponent), exponent),
    ]


def correlation(laws: Json) -> Table | None:
    name = next((name for name in SURFACES if name in laws), None)
    matrix = (laws[name].get("diagnostics") or {}).get("correlation") if name else None
    if not matrix:
        return None
    names = {"E": "E", "log_A": "ln A", "log_B": "ln B", "alpha": "α", "beta": "β"}
    columns = [Column(str(name)), *(Column(called, number=True) for called in names.values())]
    rows = []
    for one, called in names.items():
        values = [number((matrix.get(one) or {}).get(other)) for other in names]
        shown = [Cell(NOTHING) if v is None else Cell(f"{v:+.2f}".replace("-", format.MINUS), v) for v in values]
        rows.append([Cell(called), *shown])
    return Table(columns, rows)


def benchmarks(fit: Json) -> Table | None:
    rows = []
    for name, law in (fit.get("benchmarks") or {}).items():
        held = law.get("hold_out") or {}
        verdict = {True: "inside", False: "outside"}.get(held.get("inside"), "no interval")
        guess = {"value": held.get("predicted"), "low": held.get("low"), "high": held.get("high")}
        measured = number(held.get("measured"))
        named = [f"{greek(key)} = {_flat(one)}" for key, one in (law.get("parameters") or {}).items()]
        cells = [
            Cell(str(name), origin=str(law.get("form") or "")),
            Cell(f"from {law['loss']}, chance {law.get('chance')}" if "loss" in law else str(law.get("of") or "")),
            Cell("; ".join(named)),
            _estimate(guess),
            Cell("–" if measured is None else format.figure(measured), measured, note=verdict if held else ""),
        ]
        rows.append(cells)
    labels = ("benchmark", "of", "parameters", "largest size, predicted", "measured")
    return Table([Column(label, i > 2) for i, label in enumerate(labels)], rows) if rows else None


def _flat(estimate: Any) -> str:
    cell = _estimate(estimate)
    return cell.text + (f" ({cell.note})" if cell.note else "")


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
