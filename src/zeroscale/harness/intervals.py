"""Bootstrap intervals: 95 % percentile intervals over the unit that was sampled, vectorised and seeded.

Every score is a function of sums over units (right answers and questions; log-probability and words; matching
n-grams). So a resample is a row of counts, all resamples are one matrix product, and no score is computed in a loop.
Source: Efron & Tibshirani 1993, chapter 13 (percentile intervals).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LOW, HIGH = 2.5, 97.5
# Drawn indices held at once: 32 MiB.
_CHUNK = 2**22

Values = Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Interval:
    """A score with its 95 % interval; None where there are fewer than two units to draw from."""

    value: float
    low: float | None
    high: float | None
    units: int


def unanimous_share(interval: Interval) -> Interval:
    """The exact interval of a share of 0 or 1, where every resample is the same and the bootstrap's has no width.

    Source: Clopper & Pearson 1934: none of n right leaves [0, 1 - 0.025^(1/n)], all right [0.025^(1/n), 1].
    """
    if interval.low is None or interval.value not in (0.0, 1.0):
        return interval
    tail = (LOW / 100) ** (1 / interval.units)
    low, high = (0.0, 1 - tail) if interval.value == 0.0 else (tail, 1.0)
    return Interval(interval.value, low, high, interval.units)


def by_unit(statistics: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Sums the rows of [n, k] that share a unit → [number of units, k]."""
    _, places = np.unique(units, return_inverse=True)
    sums = np.zeros((int(places.max()) + 1, statistics.shape[1]))
    np.add.at(sums, places, statistics)
    return sums


def resample(statistics: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """Sums [resamples, k] over as many rows as there are, drawn with replacement. Deterministic in the seed."""
    n = len(statistics)
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // n)
    sums = []
    for begin in range(0, resamples, step):
        rows = min(step, resamples - begin)
        drawn = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        sums.append(counts.astype(np.float64) @ statistics)
    return np.concatenate(sums)


def bootstrap(statistics: np.ndarray, values: Values, seed: int, resamples: int) -> dict[str, Interval]:
    """Scores with intervals.

    Args:
        statistics: [units, k], what each unit adds to the sums.
        values: sums [..., k] → each score [...].
    """
    statistics = np.asarray(statistics, dtype=np.float64)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        point = values(statistics.sum(axis=0))
        if len(statistics) < 2 or resamples < 1:
            return {name: Interval(float(value), None, None, len(statistics)) for name, value in point.items()}
        drawn = values(resample(statistics, seed, resamples))
    intervals = {}
    for name, value in point.items():
        low, high = np.percentile(drawn[name], [LOW, HIGH])
        intervals[name] = Interval(float(value), float(low), float(high), len(statistics))
    return intervals
