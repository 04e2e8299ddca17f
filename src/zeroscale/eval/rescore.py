"""Scores computed again from the records alone, without the model."""

from dataclasses import replace
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import results, scores
from zeroscale.eval.results import Result
from zeroscale.eval.scores import MetricInfo


def again(out: Path, card: str, protocol: str, seed: int, bootstrap: int) -> tuple[Result, Result]:
    """Renews a result in `out` → (before, after).

    Raises:
        ZeroscaleError: there is no such result, or its records are gone or not those it was made from.
    """
    before = results.load(out, card, protocol)
    if before is None:
        summary, _ = results.paths(out, card, protocol)
        why = "cannot be read by this version: score the checkpoint again" if summary.exists() else "is not there"
        raise ZeroscaleError(f"{summary} {why}")
    return before, renew(out, before, seed, bootstrap)


def renew(out: Path, before: Result, seed: int, bootstrap: int) -> Result:
    """Computes all metrics and intervals of a result from its records, with this seed and number of resamples, and
    writes the result. The rest of its key (requests, version of the harness) stays as it is.
    """
    records = results.records_of(out, before)
    measured = scores.compute_metrics(before.family, before.options, records)
    metrics = {name: MetricInfo(score.higher_is_better, score.chance) for name, score in before.metrics.items()}
    scored = scores.score(measured, metrics, before.unit, seed, bootstrap)
    after = replace(
        before,
        key=replace(before.key, interval_seed=seed, bootstrap=bootstrap),
        metrics=scored.metrics,
        notes=[*(note for note in before.notes if note not in before.interval_notes), *scored.notes],
        interval_notes=scored.notes,
    )
    if after != before:
        results.rewrite(out, after)
    return after
