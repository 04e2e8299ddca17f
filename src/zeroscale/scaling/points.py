"""Which runs a law rests on, and which it leaves out by what rule: nothing is dropped in silence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroscale.errors import ZeroscaleError
from zeroscale.scaling.cells import Cell

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMN_OF = {"non_embedding": "params_non_embedding", "total": "params", "matmul": "params_matmul"}
Z95 = 1.959964
NOT_DONE = "the run is not done"
NO_LOSS = "no val/loss at its last checkpoint"
EARLIER = "not the last checkpoint of its run"
TWIN = "same size, tokens and seed as {}, which has the lower loss"
SHORTER = "the same size was trained on more tokens in another run"


@dataclass(frozen=True)
class Selection:
    """`runs` are the single runs used; `sizes` are what is fitted: their means over seeds, smallest size first.

    A run: {cell, model, seed, params (N by the convention), params_non_embedding, tokens, flops, loss, loss_low,
    loss_high}; a size: {cells, seeds, params, tokens, loss, loss_sd}; left out: {cell, steps, rule[, state]}.
    """

    runs: list[dict[str, Any]]
    sizes: list[dict[str, Any]]
    left_out: list[dict[str, Any]]


def select(frame: "DataFrame", convention: str, cells: Sequence[Cell] = ()) -> Selection:
    """Takes the last checkpoint of each finished run; of one size the runs with the most tokens; means over seeds.

    Args:
        frame: what `ledger.read` gives.
        convention: which count is N, for a ledger; a CSV of runs has one count only.
        cells: of the study, so that those without a row are named too.

    Raises:
        ZeroscaleError: no run is left, or an unknown convention.
    """
    if convention not in COLUMN_OF:
        raise ZeroscaleError(f"convention={convention} is unknown: use {', '.join(COLUMN_OF)}")
    left_out: list[dict[str, Any]] = []
    if "val/loss" in frame.columns:
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        runs = _finished(rows, COLUMN_OF[convention], cells, left_out)
    else:
        runs = [_from_csv(row) for row in frame.to_dict("records")]
    runs = _longest(_without_twins(runs, left_out), left_out)
    if not runs:
        reasons = "; ".join(f"{entry['cell']}: {entry['rule']}" for entry in left_out)
        raise ZeroscaleError(f"no run can be fitted ({reasons}): finish at least two sizes")
    runs.sort(key=lambda run: (run["params"], run["cell"]))
    return Selection(runs, _sizes(runs), left_out)


def _finished(
    rows: list[dict[str, Any]], column: str, cells: Sequence[Cell], left_out: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    by_cell: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_cell.setdefault(row["cell"], []).append(row)
    for cell in cells:
        if cell.name not in by_cell and cell.state != "done":
            left_out.append({"cell": cell.name, "steps": [], "rule": NOT_DONE, "state": cell.state})
    runs = []
    for name, checkpoints in by_cell.items():
        checkpoints.sort(key=lambda row: row["step"])
        *earlier, last = checkpoints
        steps = [int(row["step"]) for row in checkpoints]
        if last["status"] != "done":
            left_out.append({"cell": name, "steps": steps, "rule": NOT_DONE, "state": last["status"]})
        elif last["val/loss"] is None:
            left_out.append({"cell": name, "steps": steps, "rule": NO_LOSS})
        else:
            if earlier:
                left_out.append({"cell": name, "steps": steps[:-1], "rule": EARLIER})
            runs.append(_from_ledger(last, column))
    return runs


def _from_ledger(row: dict[str, Any], column: str) -> dict[str, Any]:
    if row[column] is None or row["tokens"] is None:
        raise ZeroscaleError(
            f"{row['cell']} has no {column} or no tokens: its manifest.json is missing; train it again"
        )
    return {
        "cell": row["cell"],
        "model": row.get("model"),
        "seed": None if row["seed"] is None else int(row["seed"]),
        "params": int(row[column]),
        "params_non_embedding": int(row["params_non_embedding"]),
        "tokens": int(row["tokens"]),
        "flops": row["flops"],
        "loss": row["val/loss"],
        "loss_low": row.get("held_out/loss/low"),
        "loss_high": row.get("held_out/loss/high"),
    }


def _from_csv(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell": f"row {row['row']}",
        "model": None,
        "seed": None if row.get("seed") is None else int(row["seed"]),
        "params": row["params"],
        # The CSV has one count of parameters, by whatever convention it was made.
        "params_non_embedding": None,
        "tokens": row["tokens"],
        "flops": row.get("flops"),
        "loss": row["loss"],
        "loss_low": None,
        "loss_high": None,
    }


def _without_twins(runs: list[dict[str, Any]], left_out: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of runs that differ in other settings than size, tokens and seed (a learning-rate sweep), the best counts."""
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for run in sorted(runs, key=lambda run: run["loss"]):
        key = (run["params"], run["tokens"], run["seed"])
        if key in best:
            rule = TWIN.format(best[key]["cell"])
            left_out.append({"cell": run["cell"], "steps": [], "rule": rule, "twin": True})
        best.setdefault(key, run)
    return list(best.values())


def _longest(runs: list[dict[str, Any]], left_out: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """L(N) is a law of size: where one size was trained on several numbers of tokens, the largest counts."""
    most: dict[float, float] = {}
    for run in runs:
        most[run["params"]] = max(run["tokens"], most.get(run["params"], 0))
    kept = []
    for run in runs:
        if run["tokens"] == most[run["params"]]:
            kept.append(run)
        else:
            left_out.append({"cell": run["cell"], "steps": [], "rule": SHORTER})
    return kept


def _sizes(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[float, list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault(run["params"], []).append(run)
    sizes = []
    for params, group in sorted(groups.items()):
        losses = [run["loss"] for run in group]
        sizes.append(
            {
                "cells": [run["cell"] for run in group],
                "seeds": [run["seed"] for run in group],
                "params": params,
                "tokens": group[0]["tokens"],
                "loss": math.fsum(losses) / len(losses),
                "loss_sd": _sd(group, losses),
            }
        )
    return sizes


def _sd(group: list[dict[str, Any]], losses: list[float]) -> float | None:
    """Standard deviation of the mean in nats: seeds' own scatter / sqrt(k), and held-out text's interval / (2 z).

    The models are scored on the same text, so that part of the error is common to them; it is counted in full.
    """
    mean = math.fsum(losses) / len(losses)
    squares = math.fsum((loss - mean) ** 2 for loss in losses)
    seeds = squares / (len(losses) - 1) / len(losses) if len(losses) > 1 else 0.0
    widths = [run["loss_high"] - run["loss_low"] for run in group if run["loss_low"] is not None and run["loss_high"]]
    text = (math.fsum(widths) / len(widths) / (2 * Z95)) ** 2 if widths else 0.0
    return math.sqrt(seeds + text) or None
