"""From records to scores with intervals: metrics, bootstrap, and the score of each example alone.

Knows no model and no file: `eval.evaluate`, `eval.rescore`, `eval.compare` and the clean subsets of
`eval.contamination` all compute scores here. What a result is, and how it lies on disk, is `eval.results`' business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from zeroscale.eval import tasks
from zeroscale.eval.metrics import bootstrap
from zeroscale.eval.results import Score

if TYPE_CHECKING:
    from zeroscale.eval.metrics.bootstrap import Bounds
    from zeroscale.eval.metrics.metrics import Measured
    from zeroscale.eval.tasks.base import Record

HELD_OUT = "held_out"


@dataclass(frozen=True)
class MetricInfo:
    """What is known of a metric apart from its value."""

    higher_is_better: bool
    chance: float | None


@dataclass(frozen=True)
class MetricScores:
    """Scores with intervals, and a note for each interval that is none of the bootstrap's."""

    metrics: dict[str, Score]
    notes: list[str]


def compute_metrics(task_type: str, options: Mapping[str, object], records: "Sequence[Record]") -> "list[Measured]":
    """All metrics of a task type (or of held-out text), computed from its records."""
    if task_type == HELD_OUT:
        return _held_out(records)
    task = tasks.task_type(task_type)
    return task.measure(records, task.Options.model_validate(dict(options)))


def _held_out(records: "Sequence[Record]") -> "list[Measured]":
    from zeroscale.eval.metrics.metrics import BitsPerByte, Loss, Perplexity

    logprobs = [-record["nll"] for record in records]
    return [
        Loss("loss").measure(logprobs, [record["tokens"] for record in records]),
        Perplexity("word_perplexity").measure(logprobs, [record["words"] for record in records]),
        BitsPerByte("bits_per_byte").measure(logprobs, [record["bytes"] for record in records]),
    ]


def score(
    measured: "Sequence[Measured]", metrics: Mapping[str, MetricInfo], cluster: str, seed: int, resamples: int
) -> MetricScores:
    """Every score with its interval, in the order of `metrics`; `cluster`: what the bootstrap draws, in the plural."""
    scores: dict[str, Score] = {}
    unanimous: dict[int, list[str]] = {}
    without: dict[int, list[str]] = {}
    fewest = None
    for part in measured:
        statistics = bootstrap.sum_by_cluster(part.statistics, part.clusters)
        clusters, counting = len(statistics), int(statistics.any(axis=1).sum())
        intervals = bootstrap.bootstrap(statistics, part.metric.values, seed, resamples, bounds_of(part))
        for name, interval in intervals.items():
            # The value is the metric's own; the interval's sums over clusters may differ from it in the last digit.
            interval = replace(interval, value=part.scores[name])
            info = metrics[name]
            scores[name] = Score.of(interval, len(part.statistics), info.higher_is_better, info.chance)
            if interval.method == "unanimous":
                unanimous.setdefault(clusters, []).append(name)
            elif interval.method == "none" and clusters > 1:
                without.setdefault(counting, []).append(name)
        fewest = clusters if fewest is None else min(fewest, clusters)
    notes = [f"no interval: it takes at least two {cluster}"] if (fewest or 0) < 2 else []
    notes += [
        f"interval of {', '.join(names)}: the same in all {clusters} {cluster}, so the exact bound on what they leave "
        "open (Clopper & Pearson 1934)"
        for clusters, names in unanimous.items()
    ]
    notes += [
        f"no interval of {', '.join(names)}: "
        + (
            f"the same in all {counting} {cluster} that count, and without bounds"
            if counting > 1
            else f"few {cluster} count"
        )
        for counting, names in without.items()
    ]
    return MetricScores({name: scores[name] for name in metrics if name in scores}, notes)


def bounds_of(part: "Measured") -> "Bounds | None":
    """The least and the greatest value that the metric can have, where it has such."""
    return getattr(part.metric, "bounds", None)


def with_scores(records: "Sequence[Record]", measured: "Sequence[Measured]") -> "list[Record]":
    """The records with the score of each one alone, as `score_<metric>`."""
    rows = [dict(record) for record in records]
    for part in measured:
        if len(part.statistics) != len(rows):
            continue
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            alone = part.metric.values(part.statistics)
        for name, values in alone.items():
            for row, value in zip(rows, values.tolist(), strict=True):
                row[f"score_{name}"] = value if np.isfinite(value) else None
    return rows
