"""Plans as a table for the terminal, in units that people read."""

import io
from collections.abc import Sequence

from zeroscale.scaling.plan import Plan
from zeroscale.scaling.rules import RULES
from zeroscale.scaling.units import count, duration, gibibytes


def render_plans(plans: Sequence[Plan]) -> str:
    """One row per plan, a total, what the columns mean, and every warning once."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    sheet = Table(box=SIMPLE_HEAD, show_footer=True, pad_edge=False)
    for title, total in zip(TITLES, _totals(plans), strict=True):
        sheet.add_column(title, total, justify="left" if title == "run" else "right", no_wrap=True)
    for plan in plans:
        sheet.add_row(*_row(plan))
    text = io.StringIO()
    # A plain stream and as wide as it needs: what `plan` prints is the same in a terminal, a pipe and a file.
    Console(file=text, width=400, color_system=None, force_terminal=False).print(sheet)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([*lines, *_notes(plans), *_rules(plans)]).strip("\n")


def _rules(plans: Sequence[Plan]) -> list[str]:
    """What published rules give for these sizes, beside what is planned: one line a size and rule."""
    lines, outside = [], False
    for rule in RULES:
        lines += ["", f"rule {rule.name}: {rule.formula}", f"  ({rule.source})"]
        for plan in {plan.params: plan for plan in plans}.values():
            advice = rule.advise(plan.params)
            found = [f"lr {advice.lr:.2g}"]
            if advice.batch_tokens is not None:
                found.append(f"batch {count(round(advice.batch_tokens))}")
            if advice.warmup_tokens is not None:
                found.append(f"warm-up {count(round(advice.warmup_tokens))} tokens")
            mark = "" if rule.covers(plan.params) else " *"
            outside |= bool(mark)
            lines.append(f"  N = {count(rule.size(plan.params))}: {', '.join(found)}{mark}")
    return [*lines, "  * outside the sizes that the rule was found on"] if outside else lines


TITLES = (
    "run",
    "params",
    "non-emb.",
    "matmul",
    "tokens",
    "steps",
    "batch",
    "lr",
    "FLOPs",
    "6ND",
    "GiB/device",
    "hours",
)


def _row(plan: Plan) -> tuple[str, ...]:
    return (
        plan.name,
        count(plan.params.total),
        count(plan.params.non_embedding),
        count(plan.params.matmul),
        count(plan.tokens),
        f"{plan.steps:,}",
        count(plan.batch_tokens),
        "–" if plan.lr is None else f"{plan.lr:.2g}",
        f"{plan.flops:.2e}",
        f"{plan.flops_6nd:.2e}",
        gibibytes(plan.memory.total),
        duration(plan.hours),
    )


def _totals(plans: Sequence[Plan]) -> tuple[str, ...]:
    hours = [plan.hours for plan in plans]
    return (
        f"total of {len(plans)}",
        *("",) * 3,
        count(sum(plan.tokens for plan in plans)),
        f"{sum(plan.steps for plan in plans):,}",
        *("",) * 2,
        f"{sum(plan.flops for plan in plans):.2e}",
        f"{sum(plan.flops_6nd for plan in plans):.2e}",
        f"≤ {gibibytes(max((plan.memory.total for plan in plans), default=0))}",
        duration(None if not hours or None in hours else sum(hours)),
    )


def _notes(plans: Sequence[Plan]) -> list[str]:
    lines = [
        "params: all weights; non-emb.: without embeddings (Kaplan's N); matmul: with the head, without positions.",
        "FLOPs: tokens x (6 matmul + 12 L d T), both passes, full attention; 6ND leaves head and attention out.",
        "GiB/device: an estimate of weights + gradients + AdamW moments + activations.",
    ]
    where = {(plan.devices, plan.hardware, plan.mfu, plan.precision): None for plan in plans if plan.hours is not None}
    lines += [
        f"hours: on {devices} x {hardware}, {precision}, at {mfu:.0%} of the dense peak; scoring not counted."
        for devices, hardware, mfu, precision in where
    ]
    if plans and all(plan.hardware is None for plan in plans):
        lines.append("hours: none without hardware; name it, such as hardware=H100_SXM mfu=0.4.")
    warned: dict[str, list[str]] = {}
    for plan in plans:
        for warning in plan.warnings:
            warned.setdefault(warning, []).append(plan.name)
    return lines + [f"warning ({', '.join(names)}): {warning}" for warning, names in warned.items()]
