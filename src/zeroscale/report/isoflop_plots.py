"""IsoFLOP curves, and the compute-optimal sizes that come of them, as figures."""

import math

from zeroscale.report import words
from zeroscale.report.law_record import (
    CALLED,
    COMPUTE,
    LOSS,
    SIZE,
    SURFACES,
    Json,
    banded,
    path_of,
    runs_of,
    said,
    value_of,
)
from zeroscale.report.plots import Axis, Mark, Plot, flops_text, linear_reach, log_reach, power_text, spread
from zeroscale.report.record import number

# More labels than these would lie over each other.
LABELS = 8
# Runs that no parabola rests on may be far above: the axis shows this share more than the others need.
FURTHER = 0.4


def isoflop(law: Json) -> Plot | None:
    """Loss over N, a colour for each budget: its runs, its parabola, and the minimum with its interval."""
    budgets = [one for one in (law.get("diagnostics") or {}).get("budgets") or [] if number(one.get("flops"))]
    runs = {str(row.get("name") or row.get("cell")): row for row in runs_of(law)}
    outside = runs_of({"points": law.get("left_out")})
    shown = [row for row in runs.values()] + outside
    if not budgets or not shown:
        return None
    marks: list[Mark] = []
    for i, one in enumerate(budgets):
        place, c = (i, len(budgets)), float(one["flops"])
        inside = [runs[name] for name in one.get("runs") or [] if name in runs]
        curve = _parabola(one, inside)
        marks += [Mark("line", *curve, ink="ramp", place=place)] if curve else []
        nearest = [row for row in outside if _nearest(row["flops"], budgets) == i]
        marks += [
            Mark(
                "points",
                [row["params"] for row in rows],
                [row["loss"] for row in rows],
                ink="ramp",
                place=place,
                symbol=symbol,  # type: ignore[arg-type]
                hover=[said(row) + _why(row) for row in rows],
            )
            for rows, symbol in ((inside, "circle"), (nearest, "circle-open"))
            if rows
        ]
        if len(budgets) <= LABELS or i in (0, len(budgets) - 1):
            end = max(inside + nearest, key=lambda row: row["params"], default=None)
            if end is not None:
                marks.append(_label(end, power_text(c)))
        marks += _minimum(one)
    reach = log_reach([row["params"] for row in shown], right=0.28)
    bottom, top = linear_reach([row["loss"] for row in runs.values()] or [row["loss"] for row in outside])
    further = top + FURTHER * (top - bottom)
    off = sum(row["loss"] > further for row in outside)
    return Plot(
        "isoflop",
        "IsoFLOP curves",
        "A colour for each budget, labelled with its FLOPs. Filled: the runs of its parabola; open: runs that it "
        "leaves out. Stars: the minima, with their 95 % intervals in N."
        + (f" {words.count(off, 'run').capitalize()} above the axis." if off else ""),
        f"Loss against parameters for {words.count(len(budgets), 'budget')}: "
        + "; ".join(_budget_said(one) for one in budgets),
        Axis(SIZE, reach, show=words.scaled),
        Axis(
            LOSS, (bottom, min(top + FURTHER * (top - bottom), linear_reach([r["loss"] for r in shown])[1])), log=False
        ),
        marks,
    )


def _label(at: Json, text: str) -> Mark:
    return Mark("label", [at["params"]], [at["loss"]], ink="muted", text=text)


def _nearest(flops: float, budgets: list[Json]) -> int:
    return min(range(len(budgets)), key=lambda i: abs(math.log(flops / float(budgets[i]["flops"]))))


def _why(row: Json) -> str:
    return f"\nleft out: {row['rule']}" if row.get("rule") else ""


def _parabola(one: Json, inside: list[Json]) -> tuple[list[float], list[float]] | None:
    """Where a budget's parabola runs, over its own runs: L = L_min + c (ln N - ln N_opt)^2."""
    middle, lowest, bend = value_of(one.get("params")), number(one.get("loss")), number(one.get("curvature"))
    sizes = [row["params"] for row in inside]
    if not middle or lowest is None or bend is None or bend <= 0 or len(set(sizes)) < 2:
        return None
    ends = [*sizes, middle] if one.get("used") else sizes
    x = spread(min(ends), max(ends))
    return x, [lowest + bend * math.log(n / middle) ** 2 for n in x]


def _minimum(one: Json) -> list[Mark]:
    n, loss = value_of(one.get("params")), number(one.get("loss"))
    if not one.get("used") or not n or loss is None:
        return []
    ends = {"low": [value_of(one["params"], "low")], "high": [value_of(one["params"], "high")]}
    hover = [f"minimum at {_ranged(one['params'])} parameters\n{flops_text(float(one['flops']))}"]
    return [Mark("points", [n], [loss], symbol="star", along="x", hover=hover, **ends)]


def _ranged(estimate: Json) -> str:
    """ "1.2 M (0.9 M to 1.5 M)"."""
    value, low, high = (value_of(estimate, end) for end in ("value", "low", "high"))
    known = f" ({words.scaled(low)} to {words.scaled(high)})" if low is not None and high is not None else ""
    return words.scaled(value) + known


def _budget_said(one: Json) -> str:
    what = _ranged(one["params"]) if one.get("used") else f"not used, {one.get('reason')}"
    return f"{flops_text(float(one['flops']))}: {what}"


def optima(laws: Json) -> Plot | None:
    """N_opt over C: the isoFLOP minima, and every law's line; the first law's with its band."""
    lines = {name: path for name in ("isoflop", *SURFACES, "envelope") if (path := path_of(laws.get(name), "params"))}
    if not lines:
        return None
    first = next(iter(lines))
    marks = banded(lines[first], CALLED[first])
    for name, dash in zip([name for name in lines if name != first], ("dash", "dot", "dashdot"), strict=False):
        ink = "muted" if name != "vpnls" else "text"
        c, n, *_ = zip(*lines[name], strict=True)
        marks.append(Mark("line", list(c), list(n), ink=ink, dash=dash, name=CALLED[name]))  # type: ignore[arg-type]
    used = [one for one in _budgets(laws.get("isoflop")) if one.get("used")]
    if used:
        marks.append(
            Mark(
                "points",
                [float(one["flops"]) for one in used],
                [float(one["params"]["value"]) for one in used],
                symbol="star",
                low=[value_of(one["params"], "low") for one in used],
                high=[value_of(one["params"], "high") for one in used],
                hover=[_budget_said(one) for one in used],
            )
        )
    heights = [row[1] for path in lines.values() for row in path] + [float(one["params"]["value"]) for one in used]
    told = "; ".join(f"{CALLED[name]}: a = {exponent(laws[name])}" for name in lines)
    return Plot(
        "optimal_size",
        "Compute-optimal size",
        f"N_opt ∝ C^{{a}}. {told}. Shaded: the 95 % interval of the first."
        + (" Stars: the isoFLOP minima." if used else ""),
        f"Compute-optimal parameters against compute. {told}",
        Axis(COMPUTE, log_reach([row[0] for row in lines[first]], 0.0), show=power_text),
        Axis("optimal parameters, N", log_reach(heights), show=words.scaled),
        marks,
    )


def _budgets(law: Json | None) -> list[Json]:
    found = ((law or {}).get("diagnostics") or {}).get("budgets") or []
    return [one for one in found if number(one.get("flops")) and value_of(one.get("params"))]


def exponent(law: Json) -> str:
    """a of N_opt ∝ C^a with its interval, in words."""
    found = (law.get("exponents") or {}).get("N_opt") or {}
    value, low, high = (value_of(found, end) for end in ("value", "low", "high"))
    if value is None:
        return "unknown"
    known = words.interval(low, high)
    return words.figure(value) + (f" ({known})" if known else "")
