"""Plans as a table for the terminal, in units that people read."""

import io
from collections.abc import Sequence

from zeroscale.config.published_rules import RULES
from zeroscale.core.format import compact, duration, money, size
from zeroscale.core.tables import Column, Table
from zeroscale.launch.plan import Plan
from zeroscale.model.memory import Memory


def render(plans: Sequence[Plan], at_once: int = 1) -> str:
    """One row per plan, a total, what the columns mean, and every warning once; for the terminal, without colours.

    Args:
        at_once: runs that are trained at a time; the total of the hours is by the clock.
    """
    from rich.console import Console

    rows = [_row(plan) for plan in plans]
    totals = _totals(plans, at_once)
    # A column that is empty in every row (cost without a price, DDP and FSDP on one device) is left out.
    titles = [title for title in TITLES if any(row.get(title) for row in rows)]
    columns = [Column(title, number=title != "run", total=totals.get(title, "")) for title in titles]
    table = Table.of_texts(columns, [[row.get(title, "") for title in titles] for row in rows])
    text = io.StringIO()
    # A plain stream and as wide as it needs: what `plan` prints is the same in a terminal, a pipe and a file.
    Console(file=text, width=400, color_system=None, force_terminal=False).print(table.rich())
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([*lines, *_notes(plans, at_once), *_rules(plans)]).strip("\n")


def _rules(plans: Sequence[Plan]) -> list[str]:
    """What published rules give for these sizes, beside what is planned: one line a size and rule."""
    lines, outside = [], False
    for rule in RULES:
        lines += ["", f"rule {rule.name}: {rule.formula}", f"  ({rule.source})"]
        for plan in {plan.params: plan for plan in plans}.values():
            advice = rule.advise(plan.params)
            recommended = [f"lr {advice.lr:.2g}"]
            if advice.batch_tokens is not None:
                recommended.append(f"batch {compact(round(advice.batch_tokens))}")
            if advice.warmup_tokens is not None:
                recommended.append(f"warm-up {compact(round(advice.warmup_tokens))} tokens")
            mark = "" if rule.covers(plan.params) else " *"
            outside |= bool(mark)
            lines.append(f"  N = {compact(rule.size(plan.params))}: {', '.join(recommended)}{mark}")
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
    "micro-batch",
    "GiB/device",
    "GiB ddp",
    "GiB fsdp",
    "hours",
    "range",
    "cost",
)


def _row(plan: Plan) -> dict[str, str]:
    several = plan.memory_ddp is not None and plan.memory_fsdp is not None
    return {
        "run": plan.name,
        "params": compact(plan.params.total),
        "non-emb.": compact(plan.params.non_embedding),
        "matmul": compact(plan.params.matmul),
        "tokens": compact(plan.tokens),
        "steps": f"{plan.steps:,}",
        "batch": compact(plan.batch_tokens),
        "lr": "–" if plan.lr is None else f"{plan.lr:.2g}",
        "FLOPs": f"{plan.flops:.2e}",
        "6ND": f"{plan.flops_6nd:.2e}",
        "micro-batch": f"{plan.micro_batch_rows} × {plan.accumulation}",
        "GiB/device": "" if several else _peak(plan.memory),
        "GiB ddp": _peak(plan.memory_ddp) if several else "",
        "GiB fsdp": _peak(plan.memory_fsdp) if several else "",
        "hours": _hours(plan.hours),
        "range": _range(plan.hours_range),
        "cost": "" if plan.cost is None else money(plan.cost),
    }


def _hours_here(plans: Sequence[Plan], at_once: int) -> list[str]:
    """What hours on this machine stand on, or how to get some."""
    here = [plan for plan in plans if plan.hardware is None]
    if not here:
        return []
    together = f"; the total is with {at_once} at a time" if at_once > 1 else ""
    lines = [
        f"hours: on this machine, by {seen}; range: by the fastest and the slowest of them. Start and scoring are not "
        f"counted{together}."
        for seen in _seen(here)
    ]
    if unknown := [plan for plan in here if plan.speed is None]:
        runs = "none" if len(unknown) == len(here) else f"none for {len(unknown)} of {len(here)} runs"
        lines.append(
            f"hours: {runs}, for no run of this size has been trained on this machine. measure=true times a few steps "
            "here; hardware=H100_SXM mfu=0.4 reckons for other hardware."
        )
    return lines


def _seen(plans: Sequence[Plan]) -> list[str]:
    """ "2 to 5 earlier runs of the same size": what the speeds of this machine are taken from."""
    texts = []
    for measured, noun in ((False, "earlier runs of the same size"), (True, "steps measured now")):
        counts = [plan.speed.count for plan in plans if plan.speed is not None and plan.speed.measured == measured]
        if counts:
            number = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
            texts.append(f"{number} {noun.replace('runs', 'run') if number == '1' else noun}")
    return texts


def _peak(memory: Memory | None) -> str:
    return "" if memory is None else size(memory.peak, "GiB")


def _hours(hours: float | None) -> str:
    return duration(None if hours is None else 3600 * hours, "short")


def _range(hours: tuple[float, float] | None) -> str:
    if hours is None:
        return ""
    fewest, most = map(_hours, hours)
    return fewest if fewest == most else f"{fewest} to {most}"


def _totals(plans: Sequence[Plan], at_once: int) -> dict[str, str]:
    hours = [plan.hours for plan in plans if plan.hours is not None]
    ranges = [plan.hours_range for plan in plans if plan.hours_range is not None]
    fewest, most = (sum(ends) / at_once for ends in zip(*ranges, strict=True)) if ranges else (0.0, 0.0)
    costs = [plan.cost for plan in plans if plan.cost is not None]
    totals = {
        "run": f"total of {len(plans)}",
        "tokens": compact(sum(plan.tokens for plan in plans)),
        "steps": f"{sum(plan.steps for plan in plans):,}",
        "FLOPs": f"{sum(plan.flops for plan in plans):.2e}",
        "6ND": f"{sum(plan.flops_6nd for plan in plans):.2e}",
        "hours": _hours(sum(hours) / at_once if plans and len(hours) == len(plans) else None),
        "range": _range((fewest, most)) if ranges and len(ranges) == len(plans) else "",
        "cost": money(sum(costs)) if len(costs) == len(plans) else "",
    }
    for title, memory in (
        ("GiB/device", [plan.memory for plan in plans]),
        ("GiB ddp", [plan.memory_ddp for plan in plans]),
        ("GiB fsdp", [plan.memory_fsdp for plan in plans]),
    ):
        totals[title] = f"≤ {size(max((each.peak for each in memory if each is not None), default=0), 'GiB')}"
    return totals


def _notes(plans: Sequence[Plan], at_once: int) -> list[str]:
    lines = [
        "params: all weights; non-emb.: without embeddings (Kaplan's N); matmul: with the head, without positions.",
        "FLOPs: tokens x (6 matmul + 12 L d T), both passes, full attention; 6ND leaves head and attention out.",
        "micro-batch: rows of one forward pass on one device × passes of a step.",
        "GiB: the most that a device holds at once of weights, gradients, optimizer states, activations and logits.",
    ]
    where = {
        (plan.devices, plan.hardware, plan.mfu, plan.precision): None
        for plan in plans
        if plan.hours is not None and plan.speed is None
    }
    lines += [
        f"hours: on {devices} x {hardware}, {precision}, at {mfu:.0%} of the dense peak; scoring not counted."
        for devices, hardware, mfu, precision in where
    ]
    lines += _hours_here(plans, at_once)
    if any(plan.device == "cpu" for plan in plans):
        lines.append("On a CPU the process itself takes some 0.4 GiB besides, and its allocator keeps gaps.")
    lines += [
        f"cost: at {price:g} for one device and hour."
        for price in dict.fromkeys(plan.price for plan in plans if plan.cost is not None)
    ]
    warned: dict[str, list[str]] = {}
    for plan in plans:
        for warning in plan.warnings:
            warned.setdefault(warning, []).append(plan.name)
    return lines + [f"warning ({', '.join(names)}): {warning}" for warning, names in warned.items()]
