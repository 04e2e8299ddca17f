"""The laws over size and data in words and tables, with every doubt that fit.json holds."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from zeroscale.core import format
from zeroscale.core.format import NOTHING, flops_text, number
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.report.views.fit_file import CONVENTIONS, FLOPS_COUNTS, LAW_LABELS, ends_of, value_of
from zeroscale.report.views.size_law import greek
from zeroscale.scaling.fit_schema import ConventionExponent, DataLaw, FitFile, HoldOut, SizeLaw
from zeroscale.scaling.laws.estimate import Estimate
from zeroscale.scaling.registry import SURFACES

Laws = Mapping[str, SizeLaw | DataLaw]


class Doubt(TypedDict):
    """What a law does not promise, as laws.js shows it."""

    law: str
    form: str
    how: str
    warnings: list[str]
    left_out: list[str]


def over_data(laws: Laws) -> dict[str, DataLaw]:
    """The laws over size and data, in the file's order."""
    return {name: law for name, law in laws.items() if isinstance(law, DataLaw) and name in LAW_LABELS}


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


def tables(fit: FitFile | None) -> list[LawTable]:
    """Every table that fit.json can fill."""
    if fit is None:
        return []
    laws = over_data(fit.laws)
    made = [
        ("parameters", "Parameters", "With 95 % intervals. a: N_opt ∝ C^{a}.", parameters(laws)),
        ("budgets", "What to train with a budget", "Compute-optimal size and data, by each law.", optimal(laws)),
        (
            "conventions",
            "How the exponent moves with what is counted",
            "a of N_opt ∝ C^{a} on the same runs, for each count of N and of C.",
            conventions(fit.by_convention),
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


def parameters(laws: Mapping[str, DataLaw]) -> Table | None:
    if not laws:
        return None
    symbols = ("E", "A", "B", "alpha", "beta")
    columns = [Column("law"), Column("a", number=True)]
    with_five = any(name in SURFACES for name in laws)
    columns += [Column(greek(symbol), number=True) for symbol in symbols] if with_five else []
    columns += [Column(label, number=True) for label in ("runs", "rms residual")]
    rows = []
    for name, law in laws.items():
        if name == "kaplan":
            continue  # no frontier, and other letters: its numbers stand with its doubts
        cells = [Cell(name, origin=law.form or "")]
        cells.append(_estimate(law.exponents.get("N_opt")))
        cells += [_estimate(law.parameters.get(symbol)) for symbol in symbols] if with_five else []
        rms = law.diagnostics.rms_log_residual if law.diagnostics else None
        count = number(law.n_points)
        cells.append(Cell("–" if count is None else f"{count:,.0f}", count, note=_left(law)))
        cells.append(Cell(NOTHING) if rms is None else Cell(f"{100 * rms:.2g} %", rms))
        rows.append(cells)
    return Table(columns, rows) if rows else None


def _left(law: DataLaw) -> str:
    return f"{len(law.left_out)} left out" if law.left_out else ""


def _estimate(estimate: Estimate | None, show: Callable[[float], str] | None = None, digits: int = 3) -> Cell:
    """A number with its interval under it, in significant digits or as `show` writes it."""
    value, low, high = ends_of(estimate)
    if value is None:
        return Cell(NOTHING)
    text = format.figure(value, digits) if show is None else show(value)
    return Cell(text, value, "", format.interval(low, high, digits, show=show), low, high)


def optimal(laws: Mapping[str, DataLaw]) -> Table | None:
    by_budget: list[tuple[float, list[Cell]]] = []
    for name, law in laws.items():
        for optimum in law.compute_optimal:
            c = number(optimum.flops)
            if not c:
                continue
            cells = [Cell(name), Cell(flops_text(c), c)]
            cells += [_estimate(optimum.params, format.scaled), _estimate(optimum.tokens, format.scaled)]
            n, d = value_of(optimum.params), value_of(optimum.tokens)
            cells.append(Cell(format.figure(d / n), d / n) if n and d else Cell(NOTHING))
            by_budget.append((c, [*cells, _estimate(optimum.loss, digits=4)]))
    rows = [row for _, row in sorted(by_budget, key=lambda entry: entry[0])]
    labels = [("law", False), ("budget", True), ("N", True), ("D", True), ("D / N", True), ("loss", True)]
    return Table([Column(label, right) for label, right in labels], rows) if rows else None


def conventions(entries: Sequence[ConventionExponent]) -> Table | None:
    columns = [Column("law"), Column("N"), Column("C"), Column("a", number=True)]
    rows = []
    for entry in entries:
        convention, flops = str(entry.convention), str(entry.flops)
        exponent = _estimate(entry.exponent) if entry.exponent else Cell(NOTHING, note=entry.note or "")
        cells = [
            Cell(str(entry.law)),
            Cell(CONVENTIONS.get(convention, convention)),
            Cell(FLOPS_COUNTS.get(flops, flops)),
            exponent,
        ]
        rows.append(cells)
    return Table(columns, rows) if len(rows) > 1 else None


def held_out(laws: Mapping[str, DataLaw]) -> Table | None:
    rows = []
    surfaces = [name for name in SURFACES if name in laws]
    for name in surfaces:
        held = laws[name].hold_out
        if held:
            rows.append(_held_row(name, "the largest, from the smaller ones", held, _verdict(held)))
    for name in surfaces[:1]:
        rows += [_held_row(name, "left out", held, "") for held in laws[name].leave_one_out]
    labels = [("law", False), ("what", False), ("N", True), ("predicted", True), ("measured", True), ("error", True)]
    columns = [Column(label, right) for label, right in [*labels, ("a without it", True)]]
    return Table(columns, rows) if rows else None


def _verdict(held: HoldOut) -> str:
    return {True: "inside", False: "outside", None: "no interval"}[held.inside]


def _held_row(name: str, what: str, held: HoldOut, verdict: str) -> list[Cell]:
    error, measured, exponent = number(held.error), number(held.measured), number(held.exponent)
    return [
        Cell(name),
        Cell(what),
        Cell(format.scaled(number(held.params)), number(held.params)),
        _estimate(Estimate(held.predicted, held.low, held.high), digits=4),
        Cell("–" if measured is None else format.figure(measured, 4), measured, note=verdict),
        Cell("–" if error is None else f"{100 * error:+.2f} %".replace("-", format.MINUS), error),
        Cell("–" if exponent is None else format.figure(exponent), exponent),
    ]


def correlation(laws: Mapping[str, DataLaw]) -> Table | None:
    name = next((name for name in SURFACES if name in laws), None)
    diagnostics = laws[name].diagnostics if name else None
    matrix = diagnostics.correlation if diagnostics else None
    if not matrix:
        return None
    names = {"E": "E", "log_A": "ln A", "log_B": "ln B", "alpha": "α", "beta": "β"}
    columns = [Column(str(name)), *(Column(label, number=True) for label in names.values())]
    rows = []
    for key, label in names.items():
        values = [number((matrix.get(key) or {}).get(other)) for other in names]
        cells = [Cell(NOTHING) if v is None else Cell(f"{v:+.2f}".replace("-", format.MINUS), v) for v in values]
        rows.append([Cell(label), *cells])
    return Table(columns, rows)


def benchmarks(fit: FitFile) -> Table | None:
    rows = []
    for name, law in fit.benchmarks.items():
        held = law.hold_out
        measured = number(held.measured) if held else None
        cells = [
            Cell(name, origin=law.form or ""),
            Cell(f"from {law.loss}, chance {law.chance}" if law.loss is not None else law.of or ""),
            Cell("; ".join(f"{greek(key)} = {_flat(estimate)}" for key, estimate in law.parameters.items())),
            _estimate(Estimate(held.predicted, held.low, held.high) if held else None),
            Cell("–" if measured is None else format.figure(measured), measured, note=_verdict(held) if held else ""),
        ]
        rows.append(cells)
    labels = ("benchmark", "of", "parameters", "largest size, predicted", "measured")
    return Table([Column(label, i > 2) for i, label in enumerate(labels)], rows) if rows else None


def _flat(estimate: Estimate | None) -> str:
    cell = _estimate(estimate)
    return cell.text + (f" ({cell.note})" if cell.note else "")


def doubts(fit: FitFile) -> list[Doubt]:
    """Of each law what it does not promise."""
    return [_doubt(name, law) for name, law in fit.laws.items()]


def _doubt(name: str, law: SizeLaw | DataLaw) -> Doubt:
    rules: dict[str, list[str]] = {}
    for run in law.left_out if isinstance(law, DataLaw) else ():
        rules.setdefault(str(run.rule), []).append(str(run.cell))
    return {
        "law": LAW_LABELS.get(name, f"{name} over size alone"),
        "form": re.sub(r"\^(\w+)", r"^{\1}", greek(law.form or "")),
        "how": " ".join(_method(name, law)),
        "warnings": list(law.warnings),
        "left_out": [f"{', '.join(cells)}: {rule}" for rule, cells in rules.items()],
    }


def _method(name: str, law: SizeLaw | DataLaw) -> list[str]:
    """Sentences on how a law and its intervals were fitted."""
    method = law.intervals.method if law.intervals else None
    sentences = [f"Intervals: {method}." if method else "No intervals."]
    diagnostics = law.diagnostics if isinstance(law, DataLaw) else None
    if diagnostics and (diagnostics.starts or 0) > 1 and diagnostics.starts_at_optimum is not None:
        reached, starts = diagnostics.starts_at_optimum, diagnostics.starts
        sentences.append(f"{reached:,.0f} of {starts:,.0f} starts reached the best optimum.")
    if law.objective_form and law.objective is not None:
        sentences.append(f"Objective {law.objective:.4g}: {law.objective_form}.")
    if name in ("kaplan", "isoflop", "envelope"):
        sentences.append(_parameters_text(law.parameters) + ".")
    for part in (law.by_size, law.by_data) if isinstance(law, DataLaw) else ():
        if part:
            sentences.append(f"{part.form}: {_parameters_text(part.parameters)} ({part.rule}).")
    return sentences


def _parameters_text(parameters: Mapping[str, Estimate]) -> str:
    return "; ".join(f"{name} = {_flat(estimate)}" for name, estimate in parameters.items())
