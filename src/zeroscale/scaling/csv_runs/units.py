"""What in a CSV of runs looks like a wrong unit: millions of parameters, perplexities, petaFLOP/s-days."""

import math
from collections.abc import Sequence

from zeroscale.scaling.run_selection import Row

# FLOPs that are this many times 6 N D or more, or this share of it or less, are counted in another unit.
FLOPS_HIGH, FLOPS_LOW = 1000.0, 0.01
# The smallest language models that anybody fits have some ten thousand weights; "124" means millions.
FEW_PARAMS, FEW_TOKENS = 5000, 1e5
# Rows that are told of one by one.
SHOWN_ROWS = 3

# A fault in words, and the rows that have it where they are few: those may be left out.
UnitFault = tuple[str, list[int]]


def unit_faults(table: Sequence[Row]) -> list[UnitFault]:
    """What looks wrong, one after another."""
    if not table:
        return []
    faults: list[UnitFault] = []
    small = [row for row in table if row["params"] < FEW_PARAMS]
    for row in small[:SHOWN_ROWS]:
        text = f"params is {row['params']:g}, which looks like millions or billions: write 124000000, not 124"
        faults.append((f"row {row['row']}, {text}", _if_few([row], small, table)))
    if len(small) > SHOWN_ROWS:
        more = small[SHOWN_ROWS:]
        faults.append((f"and so are params in {len(more)} more rows", _if_few(more, small, table)))
    largest = max(table, key=lambda row: float(row["tokens"]))
    if largest["tokens"] < FEW_TOKENS:
        text = f"tokens is at most {largest['tokens']:g} (row {largest['row']}), which looks like millions or billions"
        faults.append((f"{text}: write 2500000000, not 2.5", []))
    elif not small:
        faults += _disproportion(table)
    losses = sorted(row["loss"] for row in table)
    if losses[len(losses) // 2] > 12:
        text = f"loss is {losses[len(losses) // 2]:.3g} in the middle row by size, which looks like a perplexity"
        faults.append((f"{text}: give its natural logarithm, in nats per token", []))
    return faults


def _disproportion(table: Sequence[Row]) -> list[UnitFault]:
    faults: list[UnitFault] = []
    ratios = sorted(row["tokens"] / row["params"] for row in table)
    if ratios[len(ratios) // 2] > 1e5:
        text = f"half of the rows have over {ratios[len(ratios) // 2]:.2g} tokens for each parameter: params looks like"
        faults.append((f"{text} thousands or millions; write 124000000, not 124000", []))
    times = [row.get("flops", math.nan) / (6 * row["params"] * row["tokens"]) for row in table]
    odd = [(row, per) for row, per in zip(table, times, strict=True) if per > FLOPS_HIGH or per < FLOPS_LOW]
    if odd:
        row, per = odd[0]
        text = f"row {row['row']}, flops is {row['flops']:g}, {per:.2g} times 6 x params x tokens: give FLOPs"
        rows = [row for row, _ in odd]
        faults.append(
            (f"{text}petaFLOP/s-day is 8.64e19 of them), or leave the column out", _if_few(rows, rows, table))
        )
    return faults


def _if_few(rows: Sequence[Row], alike: Sequence[Row], table: Sequence[Row]) -> list[int]:
    return [row["row"] for row in rows] if 2 * len(alike) <= len(table) else []
