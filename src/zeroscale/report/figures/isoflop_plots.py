"""IsoFLOP curves as a figure."""

import math

from zeroscale.core import format
from zeroscale.core.format import flops_text, number, power_text
from zeroscale.report.figures.plot import Axis, Layer, Plot, linear_reach, log_reach, spread
from zeroscale.report.views.fit_file import (
    LOSS,
    SIZE,
    Json,
    budget_said,
    describe,
    run_of,
    runs_of,
    value_of,
    with_interval,
)

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
    layers: list[Layer] = []
    for i, one in enumerate(budgets):
        place, c = (i, len(budgets)), float(one["flops"])
        inside = [runs[name] for name in one.get("runs") or [] if name in runs]
        curve = _parabola(one, inside)
        layers += [Layer("line", *curve, ink="ramp", place=place)] if curve else []
        nearest = [row for row in outside if _nearest(row["flops"], budgets) == i]
        layers += [
            Layer(
                "points",
                [row["params"] for row in rows],
                [row["loss"] for row in rows],
                ink="ramp",
                place=place,
                symbol=symbol,  # type: ignore[arg-type]
                hover=[describe(row) + _why(row) for row in rows],
                runs=[run_of(row) for row in rows],
            )
            for rows, symbol in ((inside, "circle"), (nearest, "circle-open"))
            if rows
        ]
        if len(budgets) <= LABELS or i in (0, len(budgets) - 1):
            end = max(inside + nearest, key=lambda row: row["params"], default=None)
            if end is not None:
                layers.append(_label(end, power_text(c)))
        layers += _minimum(one)
    reach = log_reach([row["params"] for row in shown], right=0.28)
    bottom, top = linear_reach([row["loss"] for row in runs.values()] or [row["loss"] for row in outside])
    further = top + FURTHER * (top - bottom)
    off = sum(row["loss"] > further for row in outside)
    return Plot(
        "isoflop",
        "IsoFLOP curves",
        "A colour for each budget, labelled with its FLOPs. Filled: the runs of its parabola; open: runs that it "
        "leaves out. Stars: the minima, with their 95 % intervals in N."
        + (f" {format.count(off, 'run').capitalize()} above the axis." if off else ""),
        f"Loss against parameters for {format.count(len(budgets), 'budget')}: "
        + "; ".join(budget_said(one) for one in budgets),
        Axis(SIZE, reach, show=format.scaled),
        Axis(
            LOSS, (bottom, min(top + FURTHER * (top - bottom), linear_reach([r["loss"] for r in shown])[1])), log=False
        ),
        layers,
    )


def _label(at: Json, text: str) -> Layer:
    return Layer("label", [at["params"]], [at["loss"]], ink="muted", text=text)


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


def _minimum(one: Json) -> list[Layer]:
    n, loss = value_of(one.get("params")), number(one.get("loss"))
    if not one.get("used") or not n or loss is None:
        return []
    low, high = [value_of(one["params"], "low")], [value_of(one["params"], "high")]
    hover = [f"minimum at {with_interval(one['params'])} parameters\n{flops_text(float(one['flops']))}"]
    return [Layer("points", [n], [loss], symbol="star", along="x", low=low, high=high, hover=hover)]
