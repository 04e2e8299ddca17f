"""From records to scores with intervals. Knows no model: scoring, rescoring and comparing all go through here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroscale.eval import tasks
from zeroscale.eval.metrics import bootstrap
from zeroscale.eval.results import Score

if TYPE_CHECKING:
    from zeroscale.eval.metrics.bootstrap import Bounds
    from zeroscale.eval.metrics.metrics import Measured

HELD_OUT = "held_out"
Outcome = dict[str, Any]


@dataclass(frozen=True)
class MetricInfo:
    """What a score is, beside its value."""

    higher_is_better: bool
    chance: float | None


@dataclass(frozen=True)
class MetricScores:
    """Scores with intervals, and a note for each interval that is none of the bootstrap's."""

    metrics: dict[str, Score]
    notes: list[str]


def compute_metrics(family: str, options: Mapping[str, Any], outcomes: Sequence[Outcome]) -> "list[Measured]":
    """What a family's metrics say of its records."""
    if family == HELD_OUT:
        return _held_out(outcomes)
    task = tasks.family(family)
    return task.measure(outcomes, task.Options.model_validate(dict(options)))


def _held_out(outcomes: Sequence[Outcome]) -> "list[Measured]":
    from zeroscale.eval.metrics.metrics import BitsPerByte, Loss, Perplexity

    logprobs = [-row["nll"] for row in outcomes]
    return [
        Loss("loss").measure(logprobs, [row["tokens"] for row in outcomes]),
        Perplexity("word_perplexity").measure(logprobs, [row["words"] for row in outcomes]),
        BitsPerByte("bits_per_byte").measure(logprobs, [row["bytes"] for row in outcomes]),
    ]


def score(
    measured: "Sequence[Measured]", about: Mapping[str, MetricInfo], unit: str, seed: int, resamples: int
) -> MetricScores:
    """Every score with its interval, in the order of `about`; `unit` is what the bootstrap draws, in the plural."""
    scores: dict[str, Score] = {}
    unanimous: dict[int, list[str]] = {}
    without: dict[int, list[str]] = {}
    fewest = None
    for part in measured:
        statistics = bootstrap.sum_by_cluster(part.statistics, part.units)
        units, counting = len(statistics), int(statistics.any(axis=1).sum())
        drawn = bootstrap.bootstrap(statistics, part.metric.values, seed, resamples, bounds_of(part))
        for name, interval in drawn.items():
            # The value is the metric's own; the interval's sums over units may differ from it in the last digit.
            interval = replace(interval, value=part.scores[name])
            facts = about[name]
            scores[name] = Score.of(interval, len(part.statistics), facts.higher_is_better, facts.chance)
            if interval.method == "unanimous":
                unanimous.setdefault(units, []).append(name)
            elif interval.method == "none" and units > 1:
                without.setdefault(counting, []).append(name)
        fewest = units if fewest is None else min(fewest, units)
    notes = [f"no interval: it takes at least two {unit}"] if (fewest or 0) < 2 else []
    notes += [
        f"interval of {', '.join(names)}: the same in all {units} {unit}, so the exact bound on what they leave open "
        "(Clopper & Pearson 1934)"
        for units, names in unanimous.items()
    ]
    notes += [
        f"no interval of {', '.join(names)}: "
        + (f"the same in all {counting} {unit} that count, and without bounds" if counting > 1 else f"few {unit} count")
        for counting, names in without.items()
    ]
    return MetricScores({name: scores[name] for name in about if name in scores}, notes)


def bounds_of(part: "Measured") -> "Bounds | None":
    """The least and the greatest value that the metric can have, where it has such."""
    return getattr(part.metric, "bounds", None)


def with_scores(outcomes: Sequence[Outcome], measured: "Sequence[Measured]") -> list[Outcome]:
    """The records with each example's own score as `score_<metric>`: what the metric says of this one example alone."""
    rows = [dict(row) for row in outcomes]
    for part in measured:
        if len(part.statistics) != len(rows):
            continue
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            alone = part.metric.values(part.statistics)
        for name, values in alone.items():
            for row, value in zip(rows, values.tolist(), strict=True):
                row[f"score_{name}"] = value if np.isfinite(value) else None
    return rows
