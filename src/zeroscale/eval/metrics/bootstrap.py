"""Bootstrap intervals: 95 % percentile intervals over clusters of examples, vectorised and seeded.

Every score is a function of sums over clusters (right answers and questions; log-probability and words; matching
n-grams). So a resample is a row of counts, all resamples are one matrix product, and no score is computed in a loop.
Source: Efron & Tibshirani 1993, chapter 13 (percentile intervals).

Where all clusters agree, every resample does too, and the bootstrap knows nothing: its interval would have no
width. A score with bounds then gets `unanimous`, any other none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

LOW, HIGH = 2.5, 97.5
# Resamples closer to each other than this (relative) differ by rounding only.
ROUNDING = 1e-12
# Drawn indices held at once: 32 MiB.
CHUNK = 2**22

Values = Callable[[np.ndarray], dict[str, np.ndarray]]
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Interval:
    """A score with its 95 % interval; None where there are fewer than two clusters, or nothing to tell its width by."""

    value: float
    low: float | None
    high: float | None
    clusters: int
    method: Literal["bootstrap", "unanimous", "none"] = "bootstrap"


def degenerate_interval(value: float, clusters: int, bounds: Bounds) -> tuple[float, float]:
    """(low, high) for the mean of a bounded score that was `value` in every one of `clusters` clusters.

    Had a share q of all clusters another score, none of n would show it with probability (1 - q)^n; so q is at most
    1 - 0.025^(1/n) at this level, and at worst those clusters lie at a bound. For a share of 0 or 1 this is the exact
    interval of Clopper & Pearson 1934 (the "rule of three" of Hanley & Lippman-Hand 1983 is its approximation); for
    other bounded means it is as sure, and wider than need be. For BLEU it takes the segments to be equally long.
    """
    share = 1 - (LOW / 100) ** (1 / clusters)
    low, high = bounds
    return value - share * (value - low), value + share * (high - value)


def percentile_interval(value: float, drawn: np.ndarray, clusters: int, bounds: Bounds | None) -> Interval:
    """The interval of a score from its resamples [resamples]."""
    low, high = (float(edge) for edge in np.percentile(drawn, [LOW, HIGH]))
    if np.isfinite(low) and high - low <= ROUNDING * max(abs(low), abs(high)):
        if bounds is None:
            return Interval(value, None, None, clusters, "none")
        return Interval(value, *degenerate_interval(value, clusters, bounds), clusters, "unanimous")
    return Interval(value, low, high, clusters)


def sum_by_cluster(statistics: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Sums the rows of [n, k] that share a cluster → [clusters, k], in order of the clusters' numbers."""
    _, places = np.unique(clusters, return_inverse=True)
    sums = np.zeros((int(places.max()) + 1, statistics.shape[1]))
    np.add.at(sums, places, statistics)
    return sums


def resample(statistics: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """Sums [resamples, k] over as many rows as there are, drawn with replacement. Deterministic in the seed."""
    n = len(statistics)
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // n)
    sums = []
    for begin in range(0, resamples, step):
        rows = min(step, resamples - begin)
        drawn = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        sums.append(counts.astype(np.float64) @ statistics)
    return np.concatenate(sums)


def bootstrap(
    statistics: np.ndarray, values: Values, seed: int, resamples: int, bounds: Bounds | None = None
) -> dict[str, Interval]:
    """Scores with intervals.

    Args:
        statistics: [clusters, k], what each cluster adds to the sums.
        values: sums [..., k] → each score [...].
        bounds: the least and the greatest value that a score can have, where it has such.
    """
    statistics = np.asarray(statistics, dtype=np.float64)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        point = {name: float(value) for name, value in values(statistics.sum(axis=0)).items()}
        if len(statistics) < 2 or resamples < 1:
            return {name: Interval(value, None, None, len(statistics), "none") for name, value in point.items()}
        drawn = values(resample(statistics, seed, resamples))
        return {name: percentile_interval(value, drawn[name], len(statistics), bounds) for name, value in point.items()}
