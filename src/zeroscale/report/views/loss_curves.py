"""Training curves made small enough to draw: smoothed over steps, thinned to what a screen can show.

Both kinds of figure (the page's and the PNG's) draw these same points.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from zeroscale.core.format import number
from zeroscale.report.views.study import RunView

AXES = ("tokens", "flops", "seconds")
POINTS_PER_TRACE = 500
POINTS_IN_ALL = 24_000
FEWEST_POINTS = 40
FEWEST_TOGETHER = 16
"""Runs of one length that are smoothed by one array operation for each step, not one after the other."""
# A smoothed loss's span, as a share of the logged steps.
SPANS = {"light": 1 / 200, "medium": 1 / 50, "heavy": 1 / 10}


@dataclass(frozen=True)
class Curve:
    """One run's curves: `train`, `smooth` and `smooths` share `train_x`, `validation` has `validation_x`.

    x by axis, losses in nats; `smooths` by span (`SPANS`), of which `smooth` is the medium one.
    """

    run: str
    label: str
    train_x: dict[str, list[float | None]]
    train: list[float | None]
    smooth: list[float | None]
    validation_x: dict[str, list[float | None]]
    validation: list[float | None]
    n_logged: int
    not_finite: list[int]
    smooths: dict[str, list[float | None]] = field(default_factory=dict)


def curves(runs: list[RunView]) -> list[Curve]:
    """A curve per run, in their order; the more runs, the fewer points each (never under 40)."""
    budget = max(FEWEST_POINTS, min(POINTS_PER_TRACE, POINTS_IN_ALL // max(1, len(runs))))
    losses = [np.array([_float(row["train/loss"]) for row in run.metrics if "train/loss" in row]) for run in runs]
    smoothed = {name: smooth_all(losses, share) for name, share in SPANS.items()}
    return [
        _curve(run, budget, losses[index], {name: smoothed[name][index] for name in SPANS})
        for index, run in enumerate(runs)
    ]


def _curve(run: RunView, budget: int, losses: np.ndarray, smoothed: dict[str, np.ndarray]) -> Curve:
    train = [row for row in run.metrics if "train/loss" in row]
    validation = [row for row in run.metrics if "val/loss" in row and number(row["val/loss"]) is not None]
    keep = thin(losses, budget)
    keep_validation = thin(np.array([_float(row["val/loss"]) for row in validation]), budget)
    smooths = {name: [_short(values[i]) for i in keep] for name, values in smoothed.items()}
    return Curve(
        run=run.name,
        label=run.label,
        train_x={axis: [number(train[i].get(axis)) for i in keep] for axis in AXES},
        train=[_short(losses[i]) for i in keep],
        smooth=smooths["medium"],
        validation_x={axis: [number(validation[i].get(axis)) for i in keep_validation] for axis in AXES},
        validation=[number(validation[i]["val/loss"]) for i in keep_validation],
        n_logged=len(train),
        not_finite=[int(number(row.get("step")) or 0) for row in train if number(row.get("train/loss")) is None],
        smooths=smooths,
    )


def _float(value: object) -> float:
    result = number(value)
    return float("nan") if result is None else result


def _short(value: float) -> float | None:
    """Five significant digits: what a hover shows, half the bytes."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def smooth(values: np.ndarray, span: float) -> np.ndarray:
    """Exponential moving average over the last `span` logged steps; over fewer near the start, a tenth of those passed.

    A fixed span would lag behind the steep first fall and draw it later than it was. Values that are not finite are
    passed over.
    """
    result = []
    mean, seen = math.nan, 0
    for value in values.tolist():  # plain numbers: a hundred runs have 100,000 of them
        if math.isfinite(value):
            mean = mean + (value - mean) / max(1.0, min(span, 1.0 + seen / 10)) if seen else value
            seen += 1
        result.append(mean)
    return np.array(result)


def smooth_all(runs: list[np.ndarray], share: float) -> list[np.ndarray]:
    """`smooth` of many runs, each over that share of its steps: runs of one length together."""
    lengths: dict[int, list[int]] = {}
    for index, values in enumerate(runs):
        lengths.setdefault(len(values), []).append(index)
    result = list(runs)
    for length, places in lengths.items():
        span = max(1.0, length * share)
        rows = np.array([runs[place] for place in places])
        if len(places) < FEWEST_TOGETHER or not np.isfinite(rows).all():
            smoothed = [smooth(runs[place], span) for place in places]
        else:
            smoothed = list(_smooth_rows(rows, span))
        for place, values in zip(places, smoothed, strict=True):
            result[place] = values
    return result


def _smooth_rows(rows: np.ndarray, span: float) -> np.ndarray:
    """`smooth` of finite values [runs, steps], in the same operations."""
    result = rows.copy()
    for seen in range(1, rows.shape[1]):
        mean = result[:, seen - 1]
        result[:, seen] = mean + (rows[:, seen] - mean) / max(1.0, min(span, 1.0 + seen / 10))
    return result


def thin(values: np.ndarray, limit: int) -> list[int]:
    """At most `limit` indices, the first and the last among them: the highest and the lowest point of each bin.

    Bins grow towards the end (they are even in the square root of the step), because losses move most at the start
    and the axis is often logarithmic. Keeping extremes keeps spikes, which an even stride would hide.
    """
    n = len(values)
    if n <= limit:
        return list(range(n))
    edges = np.unique(np.round(np.linspace(0, 1, max(2, limit // 2)) ** 2 * (n - 2)).astype(int) + 1)
    keep = {0, n - 1}
    for start, end in pairwise(edges):
        part = values[start:end]
        if np.isfinite(part).any():
            keep.update((start + int(np.nanargmin(part)), start + int(np.nanargmax(part))))
        else:
            keep.add(int(start))
    return sorted(keep)
