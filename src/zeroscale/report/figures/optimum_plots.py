"""What the laws say of the best size and the best number of tokens for a budget, and how their exponents compare."""

from typing import Literal

from zeroscale.core import format
from zeroscale.core.format import number, power_text
from zeroscale.report.figures.plot import Axis, Layer, Plot, linear_reach, log_reach
from zeroscale.report.views.fit_file import (
    COMPUTE,
    CONVENTIONS,
    FLOPS_COUNTS,
    LAW_LABELS,
    Ends,
    Laws,
    Path,
    band,
    describe_budget,
    ends_of,
    frontier_path,
    value_of,
)
from zeroscale.scaling.fit_schema import DataLaw, FitFile, IsoflopCurve
from zeroscale.scaling.laws.estimate import Estimate
from zeroscale.scaling.registry import SURFACES

Quantity = Literal["params", "tokens"]
# The figure's name and title, the y axis, the letters of N_opt ∝ C^a, and the key of its exponent in fit.json.
_TEXTS: dict[Quantity, tuple[str, str, str, str, str, str]] = {
    "params": ("optimal_size", "Compute-optimal size", "optimal parameters, N", "N_opt", "a", "N_opt"),
    "tokens": ("optimal_tokens", "Compute-optimal data", "optimal training tokens, D", "D_opt", "b", "D_opt"),
}


def optima(laws: Laws, quantity: Quantity = "params") -> Plot | None:
    """N_opt or D_opt over C: the isoFLOP minima, and every law's line; the first law's with its band."""
    paths = {name: frontier_path(laws.get(name), quantity) for name in ("isoflop", *SURFACES, "envelope")}
    lines = {name: path for name, path in paths.items() if path}
    if not lines:
        return None
    name, title, axis, letter, power, key = _TEXTS[quantity]
    minima = _minima(laws.get("isoflop"), quantity)
    layers = [*_law_lines(lines), *minima]
    heights = [value for path in lines.values() for _, value, _, _ in path] + [y for layer in minima for y in layer.y]
    exponents = "; ".join(f"{LAW_LABELS[law]}: {power} = {exponent(laws[law], key)}" for law in lines)
    return Plot(
        name,
        title,
        f"{letter} ∝ C^{{{power}}}. {exponents}. Shaded: the 95 % interval of the first."
        + (" Stars: the isoFLOP minima." if minima else ""),
        f"{title} against compute. {exponents}",
        Axis(COMPUTE, log_reach([c for c, *_ in next(iter(lines.values()))], 0.0), show=power_text),
        Axis(axis, log_reach(heights), show=format.scaled),
        layers,
    )


def _law_lines(lines: dict[str, Path]) -> list[Layer]:
    """The first law's line with its band, the others' in dashes."""
    first, *others = lines
    layers = band(lines[first], LAW_LABELS[first])
    dashes: tuple[Literal["dash", "dot", "dashdot"], ...] = ("dash", "dot", "dashdot")
    for law, dash in zip(others, dashes, strict=False):
        c, best, *_ = zip(*lines[law], strict=True)
        ink: Literal["text", "muted"] = "muted" if law != "vpnls" else "text"
        layers.append(Layer("line", list(c), list(best), ink=ink, dash=dash, name=LAW_LABELS[law]))
    return layers


def _minima(law: DataLaw | None, quantity: Quantity) -> list[Layer]:
    """The minima of the isoFLOP curves that the line rests on."""
    curves = law.diagnostics.budgets if law and law.diagnostics else ()
    used = [curve for curve in curves if curve.flops and curve.used and value_of(curve.params)]
    minima = [(curve, ends) for curve in used if (ends := _ends(curve, quantity))[0]]
    if not minima:
        return []
    x, y = [float(curve.flops or 0.0) for curve, _ in minima], [value or 0.0 for _, (value, _, _) in minima]
    low, high = [low for _, (_, low, _) in minima], [high for _, (_, _, high) in minima]
    if all(end is None for end in low):
        low, high = [], []
    hover = [describe_budget(curve) for curve, _ in minima]
    return [Layer("points", x, y, symbol="star", low=low, high=high, hover=hover)]


def _ends(curve: IsoflopCurve, quantity: Quantity) -> Ends:
    """A minimum with its interval. Its tokens come without: they are the budget's FLOPs over what N costs."""
    return (number(curve.tokens), None, None) if quantity == "tokens" else ends_of(curve.params)


def exponent(law: DataLaw, of: str = "N_opt") -> str:
    """a of N_opt ∝ C^a, or b of D_opt, with its interval, in words."""
    return _with_interval(law.exponents.get(of))


def by_convention(fit: FitFile | None) -> Plot | None:
    """a with its interval, a line for each law and each way to count N and C: how far the choice alone moves it."""
    rows = [row for row in (fit.by_convention if fit else ()) if value_of(row.exponent) is not None]
    if len(rows) < 2:
        return None
    labels = [
        f"{row.law}: N {CONVENTIONS.get(str(row.convention), row.convention)}, "
        f"C {FLOPS_COUNTS.get(str(row.flops), row.flops)}"
        for row in rows
    ]
    heights = [float(len(rows) - i) for i in range(len(rows))]
    values = [value_of(row.exponent) or 0.0 for row in rows]
    low, high = ([ends_of(row.exponent)[end] for row in rows] for end in (1, 2))
    hover = [f"{label}\na = {_with_interval(row.exponent)}" for label, row in zip(labels, rows, strict=True)]
    points = Layer("points", values, heights, low=low, high=high, along="x", hover=hover)
    # An interval may be wide beyond all measure: it runs off the figure, the table has its ends.
    middle, reach = sorted(values)[len(values) // 2], linear_reach(values, 0.5)
    widest = max(0.15, 3 * (reach[1] - reach[0]))
    ends = [end for end in [*low, *high] if end is not None and abs(end - middle) < widest]
    return Plot(
        "conventions",
        "The exponent by convention",
        "a of N_opt ∝ C^{a} on the same runs, with its 95 % interval, for each law and each way to count N and C.",
        f"The exponent goes from {format.figure(min(values))} to {format.figure(max(values))} with what is counted.",
        Axis("exponent a", linear_reach([*values, *ends]), log=False),
        Axis(
            "",
            (0.4, len(rows) + 0.6),
            log=False,
            show=lambda height: labels[len(rows) - round(height)],
            at=tuple(reversed(heights)),
        ),
        [points],
    )


def _with_interval(estimate: Estimate | None) -> str:
    value, low, high = ends_of(estimate)
    if value is None:
        return "unknown"
    interval = format.interval(low, high)
    return format.figure(value) + (f" ({interval})" if interval else "")
