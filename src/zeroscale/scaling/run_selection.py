"""Which runs a law rests on, and which it leaves out by what rule: nothing is dropped in silence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs.run import Run

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMN_OF = {"non_embedding": "params_non_embedding", "total": "params", "matmul": "params_matmul"}
Z95 = 1.959964
NOT_DONE = "the run is not done"
NO_LOSS = "no val/loss at its last checkpoint"
NO_LOSS_HERE = "no val/loss at this checkpoint"
EARLIER = "not the last checkpoint of its run"
TWIN = "same size, tokens and seed as {}, which has the lower loss"
SHORTER = "the same size was trained on more tokens in another run"
BY_NAME = "left out by leave_out"
OUTSIDE = "its {0} is outside keep.{0} ({1} to {2})"
KEPT_BY = ("params", "tokens", "loss", "flops")


@dataclass(frozen=True)
class Selection:
    """`runs` are the single runs used; `sizes` are what is fitted: their means over seeds, smallest size first.

    A run: {cell, model, seed, params (N by the convention), params_non_embedding, tokens, flops, loss, loss_low,
    loss_high}; a size: {cells, seeds, params, tokens, loss, loss_sd}; left out: {cell, steps, rule[, state]}.
    """

    runs: list[dict[str, Any]]
    sizes: list[dict[str, Any]]
    left_out: list[dict[str, Any]]


def select_runs(
    frame: "DataFrame",
    convention: str,
    cells: Sequence[Run] = (),
    *,
    checkpoints: str = "last",
    keep: Mapping[str, Any] | None = None,
    leave_out: Sequence[str] = (),
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(runs, left out): finished runs that no rule leaves out; of twins the better one.

    Args:
        frame: what `ledger.read` gives.
        convention: which count is N, for a ledger; a CSV of runs has one count only.
        cells: of the study, so that those without a row are named too.
        checkpoints: "last" of each run, or "all" of them (for training curves).
        keep: {"loss": (low, high), …}: values outside are left out; None is an open end.
        leave_out: names of cells, or of a CSV's rows as "row 17".

    Raises:
        ZeroscaleError: no run is left, an unknown convention, or a name in `leave_out` that no run has.
    """
    if convention not in COLUMN_OF:
        raise ZeroscaleError(f"convention={convention} is unknown: use {', '.join(COLUMN_OF)}")
    left_out: list[dict[str, Any]] = []
    if "val/loss" in frame.columns:
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        runs = _finished(rows, COLUMN_OF[convention], cells, left_out, checkpoints)
    else:
        runs = [_from_csv(row) for row in frame.to_dict("records")]
    runs = _within(_not_named(runs, left_out, leave_out), left_out, keep or {})
    runs = _drop_duplicates(runs, left_out)
    if not runs:
        reasons = "; ".join(f"{entry['cell']}: {entry['rule']}" for entry in left_out)
        raise ZeroscaleError(f"no run can be fitted ({reasons}): finish at least two sizes")
    runs.sort(key=lambda run: (run["params"], run["cell"], run["tokens"]))
    return runs, left_out


def select_longest(runs: Sequence[dict[str, Any]], left_out: Sequence[dict[str, Any]]) -> Selection:
    """What a law over size alone rests on: of one size the runs with the most tokens, and their means over seeds."""
    left = list(left_out)
    longest = _longest(list(runs), left)
    return Selection(longest, _sizes(longest), left)


def _finished(
    rows: list[dict[str, Any]],
    column: str,
    cells: Sequence[Run],
    left_out: list[dict[str, Any]],
    wanted: str,
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
        elif wanted == "all":
            bare = [int(row["step"]) for row in checkpoints if row["val/loss"] is None]
            if bare:
                left_out.append({"cell": name, "steps": bare, "rule": NO_LOSS_HERE})
            runs += [_from_ledger(row, column) for row in checkpoints if row["val/loss"] is not None]
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
        "row": row,
    }


def _from_csv(row: dict[str, Any]) -> dict[str, Any]:
    seed, flops = row.get("seed"), row.get("flops")
    return {
        # A line of a CSV, or a checkpoint by name.
        "cell": row["row"] if isinstance(row["row"], str) else f"row {row['row']}",
        "model": None,
        "seed": None if seed is None or math.isnan(seed) else int(seed),
        "params": row["params"],
        # The CSV has one count of parameters, by whatever convention it was made.
        "params_non_embedding": None,
        "tokens": row["tokens"],
        "flops": None if flops is None or math.isnan(flops) else flops,
        "loss": row["loss"],
        "loss_low": None,
        "loss_high": None,
        "row": row,
    }


def _not_named(
    runs: list[dict[str, Any]], left_out: list[dict[str, Any]], names: Sequence[str]
) -> list[dict[str, Any]]:
    known = {run["cell"] for run in runs} | {entry["cell"] for entry in left_out}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ZeroscaleError(
            f"leave_out names {', '.join(unknown)}, which is no run here: give names of cells, or of a CSV's rows as "
            "'row 17' (the header is row 1)"
        )
    kept = [run for run in runs if run["cell"] not in names]
    left_out += [{"cell": run["cell"], "steps": [], "rule": BY_NAME} for run in runs if run["cell"] in names]
    return kept


def _within(
    runs: list[dict[str, Any]], left_out: list[dict[str, Any]], keep: Mapping[str, Any]
) -> list[dict[str, Any]]:
    kept = []
    for run in runs:
        rule = None
        for name, ends in keep.items():
            low, high = ends or (None, None)
            value = run[name]
            if value is None and (low, high) != (None, None):
                raise ZeroscaleError(f"keep.{name} cannot be applied: {run['cell']} has no {name}")
            if (low is not None and value < low) or (high is not None and value > high):
                said = ("any" if end is None else f"{end:g}" for end in (low, high))
                rule = OUTSIDE.format(name, *said)
                break
        if rule is None:
            kept.append(run)
        else:
            left_out.append({"cell": run["cell"], "steps": [], "rule": rule})
    return kept


def _drop_duplicates(runs: list[dict[str, Any]], left_out: list[dict[str, Any]]) -> list[dict[str, Any]]:
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
