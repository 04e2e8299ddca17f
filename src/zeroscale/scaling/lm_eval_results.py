"""A directory of lm-evaluation-harness' result JSONs as runs to fit: model, step, and every task's numbers.

The harness writes `DIR/<model>/results_<date>.json` with `results` ({task: {"acc,none": 0.31, …}}) and `config` (with
`model_args`, `model_num_parameters`, `model_revision`). It does not know how many tokens a model has seen: that comes
from the step in its revision (`step143000`) times the tokens of a step.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json
from zeroscale.core.json_records import is_finite_number
from zeroscale.core.parsing.plain_values import shown
from zeroscale.scaling.estimators.downstream import LOSSES
from zeroscale.scaling.run_selection import Row

if TYPE_CHECKING:
    from pandas import DataFrame

PATTERN = "results_*.json"


def is_results(directory: Path) -> bool:
    """Whether a directory holds the harness' results, at any depth."""
    return next(directory.rglob(PATTERN), None) is not None


def read_results(directory: Path, columns: Mapping[str, str | None], tokens_per_step: float | None) -> "DataFrame":
    """One row for each (model, step), in the form of a CSV of runs: row, params, tokens, loss, and task/metric.

    Of a model and step with several files the newest result of each task counts (the harness' names end in the date).

    Args:
        columns: `loss` says which number is the loss, as task/metric: "wikitext/word_perplexity" (its logarithm).
        tokens_per_step: of the models' training.

    Raises:
        ZeroscaleError: one message with what is missing, by file.
    """
    import pandas

    rows: dict[tuple[str, int], Row] = {}
    for path in sorted(directory.rglob(PATTERN), key=lambda path: (path.name, str(path))):
        model, step, params, scores = _one(path)
        row = rows.setdefault((model, step), {"row": _label(model, step), "params": params})
        row.update(scores)
    if tokens_per_step is None:
        raise ZeroscaleError(
            f"{directory} holds lm-evaluation-harness results of {len(rows)} checkpoints, which do not say how many "
            "tokens these have seen: give tokens_per_step=2097152 (Pythia's), or make a CSV with params, tokens, loss"
        )
    loss = columns.get("loss") or "loss"
    table = []
    for (_, step), row in sorted(rows.items()):
        if loss not in row:
            raise ZeroscaleError(_no_loss(loss, row))
        change = LOSSES.get(loss.split("/")[1], float)
        value = change(row[loss]) if row[loss] > 0 else math.nan
        if not (math.isfinite(value) and value > 0):
            raise ZeroscaleError(f"{row['row']}: {loss} is {row[loss]:g}, which is no loss above zero")
        table.append({**row, "tokens": step * tokens_per_step, "loss": value})
    return pandas.DataFrame(table)


def _one(path: Path) -> tuple[str, int, float, dict[str, float]]:
    """(model, step, parameters, {task/metric: value}) of one file."""
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
        raise ZeroscaleError(f"{path} has no 'results': it was not written by lm-evaluation-harness")
    config = content.get("config") or {}
    if not isinstance(config, dict):
        raise ZeroscaleError(f"{path}: config is {shown(config)}, not an object")
    arguments = config.get("model_args") or ""
    if isinstance(arguments, dict):
        arguments = ",".join(f"{key}={value}" for key, value in arguments.items())
    if not isinstance(arguments, str):
        raise ZeroscaleError(f"{path}: config.model_args is {shown(arguments)}, not a text or an object")
    options = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    model = str(content.get("model_name") or options.get("pretrained") or path.parent.name)
    revision = str(options.get("revision") or config.get("model_revision") or "")
    step = re.search(r"step[-_]?(\d+)", revision) or re.search(r"step[-_]?(\d+)", model)
    params = config.get("model_num_parameters")
    if step is None or int(step[1]) == 0:
        raise ZeroscaleError(
            f"{path} is of {model}, revision {revision or 'not given'}: the step it was trained to is not in either "
            "(as in revision=step143000), so its tokens are unknown; take the file out"
        )
    if not is_finite_number(params) or params <= 0:
        raise ZeroscaleError(
            f"{path} has no config.model_num_parameters above zero: score {model} again, or take it out"
        )
    scores: dict[str, float] = {}
    for task, metrics in content["results"].items():
        if not isinstance(metrics, dict):
            raise ZeroscaleError(f"{path}: results.{task} is {shown(metrics)}, not an object")
        for name, value in metrics.items():
            # "acc,none": the metric and its filter. The first filter of a metric is the task's own.
            metric = name.split(",")[0]
            if is_finite_number(value) and not metric.endswith("_stderr"):
                scores.setdefault(f"{task}/{metric}", float(value))
    return model, int(step[1]), float(params), scores


def _label(model: str, step: int) -> str:
    name = model.rstrip("/").split("/")[-1]
    return name if f"step{step}" in name or f"step-{step}" in name else f"{name} at step {step}"


def _no_loss(loss: str, row: Row) -> str:
    losses = [name for name in row if "/" in name and name.split("/")[1] in LOSSES]
    suggestion = f"; its results have {', '.join(losses[:6])}: give columns.loss={losses[0]}" if losses else ""
    return f"{row['row']} has no {loss}, so there is nothing to fit a law of loss to{suggestion}"
