"""What the laws say of the best size and the best number of tokens for a budget, and how their exponents compare."""

from typing import Any, Literal

from zeroscale.core import format
from zeroscale.core.format import number, power_text
from zeroscale.report.figures.plot import Axis, Layer, Plot, linear_reach, log_reach
from zeroscale.report.views.fit_file import (
    CALLED,
    COMPUTE,
    CONVENTIONS,
    COUNTED,
    SURFACES,
    Json,
    band,
    budget_said,
    path_of,
    value_of,
)

What = Literal["params", "tokens"]
# The figure's name and title, the y axis, the letters of N_opt ∝ C^a, and the key of its exponent in fit.json.
_SHOWN: dict[What, tuple[str, str, str, str, str, str]] = {
    "params": ("optimal_size", "Compute-optimal size", "optimal parameters, N", "N_opt", "a", "N_opt"),
    "tokens": ("optimal_tokens", "Compute-optimal data", "optimal training tokens, D", "D_opt", "b", "D_opt"),
}


def optima(laws: Json, what: What = "params") -> Plot | None:
    """N_opt or D_opt over C: the isoFLOP minima, and every law's line; the first law's with its band."""
    lines = {name: path for name in ("isoflop", *SURFACES, "envelope") if (path := path_of(laws.get(name), what))}
    if not lines:
        return None
    name, title, axis, letter, power, key = _SHOWN[what]
    first = next(iter(lines))
    layers = band(lines[first], CALLED[first])
    for law, dash in zip([law for law in lines if law != first], ("dash", "dot", "dashdot"), strict=False):
        c, best, *_ = zip(*lines[law], strict=True)
        ink: Any = "muted" if law != "vpnls" else "text"
        layers.append(Layer("line", list(c), list(best), ink=ink, dash=dash, name=CALLED[law]))  # type: ignore[arg-type]
    used = [one for one in _budgets(laws.get("isoflop")) if one.get("used") and _ends(one, what)[0]]
    ends = [_ends(one, what) for one in used]
    if used:
        x, y = [float(one["flops"]) for one in used], [float(value or 0.0) for value, _, _ in ends]
        known = any(low is not None for _, low, _ in ends)
        low, high = ([one[end] for one in ends] if known else [] for end in (1, 2))
        hover = [budget_said(one) for one in used]
        layers.append(Layer("points", x, y, symbol="star", low=low, high=high, hover=hover))
    heights = [row[1] for path in lines.values() for row in path] + [value for value, _, _ in ends if value]
    told = "; ".join(f"{CALLED[law]}: {power} = {exponent(laws[law], key)}" for law in lines)
    return Plot(
        name,
        title,
        f"{letter} ∝ C^{{{power}}}. {told}. Shaded: the 95 % interval of the first."
        + (" Stars: the isoFLOP minima." if used else ""),
        f"{title} against compute. {told}",
        Axis(COMPUTE, log_reach([row[0] for row in lines[first]], 0.0), show=power_text),
        Axis(axis, log_reach(heights), show=format.scaled),
        layers,
    )


def _budgets(law: Json | None) -> list[Json]:
    found = ((law or {}).get("diagnostics") or {}).get("budgets") or []
    return [one for one in found if number(one.get("flops")) and value_of(one.get("params"))]


def _ends(budget: Json, what: What) -> tuple[float | None, float | None, float | None]:
    """A minimum with its interval. Its tokens come without: they are the budget's FLOPs over what N costs."""
    if what == "tokens":
        return number(budget.get("tokens")), None, None
    value, low, high = (value_of(budget["params"], end) for end in ("value", "low", "high"))
    return value, low, high


def exponent(law: Json, of: str = "N_opt") -> str:
    """a of N_opt ∝ C^a, or b of D_opt, with its interval, in words."""
    found = (law.get("exponents") or {}).get(of) or {}
    value, low, high = (value_of(found, end) for end in ("value", "low", "high"))
    if value is None:
        return "unknown"
    known = format.interval(low, high)
    return format.figure(value) + (f" ({known})" if known else "")


def by_convention(fit: Json) -> Plot | None:
    """a with its interval, a line for each law and each way to count N and C: how far the choice alone moves it."""
    rows = [row for row in fit.get("by_convention") or [] if value_of(row.get("exponent")) is not None]
    if len(rows) < 2:
        return None
    labels = [
        f"{row.get('law')}: N {CONVENTIONS.get(str(row.get('convention')), row.get('convention'))}, "
        f"C {COUNTED.get(str(row.get('flops')), row.get('flops'))}"
        for row in rows
    ]
    heights = [float(len(rows) - i) for i in range(len(rows))]
    values = [float(value_of(row["exponent"]) or 0.0) for row in rows]
    low, high = ([value_of(row["exponent"], end) for row in rows] for end in ("low", "high"))
    hover = [f"{label}\na = {_with_interval(row['exponent'])}" for label, row in zip(labels, rows, strict=True)]
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


def _with_interval(estimate: Any) -> str:
    value, low, high = (value_of(estimate, end) for end in ("value", "low", "high"))
    known = format.interval(low, high)
    return format.figure(value or 0.0) + (f" ({known})" if known else "")
