"""`zeroscale compare`: two scored checkpoints on the same examples, from their records alone."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zeroscale.config.commands.compare import CompareConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import compare_table, results, scores
from zeroscale.eval.compare_table import Comparison, MetricComparison
from zeroscale.eval.metrics import bootstrap, paired_test
from zeroscale.runs import resolve
from zeroscale.runs.resolve import ResultsLocation

if TYPE_CHECKING:
    from zeroscale.eval.results import Result
    from zeroscale.eval.tasks.base import Record

# Fields of a result's key that must be the same, and what a reader calls them.
_SAME = {
    "source": "source of the data",
    "limit": "limit",
    "seed": "seed of what is drawn while asking",
    "card_hash": "card (its choices have changed in between)",
    "data_hash": "data (their hashes differ)",
    "version": "version of the harness",
}


def compare(config: CompareConfig) -> int:
    """Prints the paired differences, and writes them where `out` says. Returns the exit code."""
    comparison = compare_results(*_both(config), config)
    print(compare_table.as_text(comparison))
    if config.out:
        paths = compare_table.write(Path(config.out), comparison)
        print(f"\nwritten to {config.out}: {', '.join(path.name for path in paths)}")
    return 0


def compare_results(first: ResultsLocation, second: ResultsLocation, config: CompareConfig) -> Comparison:
    """Paired differences of every metric of the cards, the second less the first, from the records of both.

    Raises:
        ZeroscaleError: a named card cannot be compared, or none can; says why.
    """
    names, given = _cards(first, second, config)
    lines: list[MetricComparison] = []
    faults: list[str] = []
    for name in names:
        try:
            lines += _compare(first, second, *name, config)
        except ZeroscaleError as error:
            faults.append(str(error))
    if faults and (given or not lines):
        raise ZeroscaleError("\n".join(faults))
    return Comparison(first.label, second.label, config.resamples, config.seed, lines, faults)


def _both(config: CompareConfig) -> tuple[ResultsLocation, ResultsLocation]:
    if len(config.runs) != 2:
        raise ZeroscaleError(f"compare takes two: runs=[ONE,OTHER]; given: {', '.join(config.runs)}")
    first, second = (resolve.find_results(run, Path(config.output_dir))[0] for run in config.runs)
    if first.out.resolve() == second.out.resolve():
        raise ZeroscaleError(f"{first.given} and {second.given} are the same results ({first.out}); give two")
    return first, second


def _cards(
    first: ResultsLocation, second: ResultsLocation, config: CompareConfig
) -> tuple[list[tuple[str, str]], bool]:
    """(card, protocol) of all that is to be compared, and whether the user named them.

    Raises:
        ZeroscaleError: a card that was named is not scored for one of the two; says the command that does it.
    """
    ours, theirs = results.names(first.out), results.names(second.out)
    if config.cards is None:
        shared = [name for name in ours if name in theirs and name[1] in (config.protocol, "corpus")]
        if not shared:
            unscored = [location for location, scored in ((first, ours), (second, theirs)) if not scored]
            hint = "; ".join(location.command(["core"], config.protocol, "data_dir=DIR") for location in unscored)
            has = "; ".join(
                f"{location.label} has {', '.join('.'.join(name) for name in scored) or 'none'}"
                for location, scored in ((first, ours), (second, theirs))
            )
            raise ZeroscaleError(f"no card has been scored for both: {has}" + (f". Score with: {hint}" if hint else ""))
        return shared, False
    named = _named(config.cards)
    names: list[tuple[str, str]] = [(name, "corpus" if name == scores.HELD_OUT else config.protocol) for name in named]
    faults = []
    for location, scored, reference in ((first, ours, second), (second, theirs, first)):
        absent = [card for card, protocol in names if (card, protocol) not in scored]
        if absent:
            options = _same_way(reference, absent, config.protocol)
            faults.append(
                f"{location.label} has not been scored on {', '.join(absent)}. Score it with: "
                f"{location.command(absent, config.protocol, options)}"
            )
    if faults:
        raise ZeroscaleError("\n".join(faults))
    return names, True


def _named(cards: Sequence[str]) -> list[str]:
    from zeroscale.eval.cards import registry

    benchmarks = [name for name in cards if name != scores.HELD_OUT]
    held_out = [scores.HELD_OUT] if len(benchmarks) < len(cards) else []
    return [*held_out, *(card.name for card in registry.resolve(benchmarks))]


def _same_way(reference: ResultsLocation, cards: list[str], protocol: str) -> str:
    """The settings with which the other one was scored on these cards, or what has to be filled in."""
    result = next((result for card in cards if (result := results.load(reference.out, card, protocol))), None)
    if result is None:
        return "data_dir=DIR"
    options = ["data_dir=DIR" if result.source == "files" else f"cards_from={result.source}"]
    options += [f"limit={result.key.limit}"] if result.key.limit else []
    options += [f"seed={result.key.seed}"] if result.key.seed else []
    return " ".join(options)


def _compare(
    first: ResultsLocation, second: ResultsLocation, card: str, protocol: str, config: CompareConfig
) -> list[MetricComparison]:
    first_result, second_result = (_read(where, card, protocol) for where in (first, second))
    _refuse_unlike(first, second, first_result, second_result)
    records = results.records_of(first.out, first_result), results.records_of(second.out, second_result)
    ours, theirs, unmatched = _matched(*records)
    if not ours:
        raise ZeroscaleError(f"{card}: {first.label} and {second.label} have no example in common")
    lines = []
    without_model = _without_model(card)
    for first_measured, second_measured in zip(
        scores.compute_metrics(first_result.family, first_result.options, ours),
        scores.compute_metrics(second_result.family, second_result.options, theirs),
        strict=True,
    ):
        assert np.array_equal(first_measured.clusters, second_measured.clusters), "the examples are the same"
        differences = paired_test.differences(
            bootstrap.sum_by_cluster(first_measured.statistics, first_measured.clusters),
            bootstrap.sum_by_cluster(second_measured.statistics, second_measured.clusters),
            first_measured.metric.values,
            config.seed,
            config.resamples,
            scores.bounds_of(first_measured),
        )
        for metric, difference in differences.items():
            if metric in without_model:
                continue  # a baseline made of the text itself is the same for every model
            lines.append(
                MetricComparison(
                    card=card,
                    protocol=protocol,
                    metric=metric,
                    mark=first_result.mark,
                    unit=first_result.unit,
                    n=len(ours),
                    unmatched=unmatched,
                    truncated=(first_result.truncated, second_result.truncated),
                    higher_is_better=first_result.metrics[metric].higher_is_better,
                    **asdict(difference),
                )
            )
    order = list(first_result.metrics)
    return sorted(lines, key=lambda line: order.index(line.metric))


def _without_model(card: str) -> set[str]:
    """Metrics in which no model takes part."""
    from zeroscale.eval.cards import registry as cards_of

    if card not in cards_of.names():
        return set()  # held-out text, a part of a card, or a card of the user's own
    (content,) = cards_of.resolve([card])
    return {entry.metric for entry in content.paper if entry.no_model is not None}


def _read(where: ResultsLocation, card: str, protocol: str) -> "Result":
    result = results.load(where.out, card, protocol)
    if result is None:
        raise ZeroscaleError(
            f"{results.paths(where.out, card, protocol)[0]} cannot be read by this version. Score it again with: "
            f"{where.command([card], protocol, 'data_dir=DIR')}"
        )
    return result


def _refuse_unlike(
    first: ResultsLocation, second: ResultsLocation, first_result: "Result", second_result: "Result"
) -> None:
    faults = []
    for name, called in _SAME.items():
        ours, theirs = getattr(first_result.key, name), getattr(second_result.key, name)
        if ours != theirs:
            faults.append(f"{called}: {_shown(ours)} and {_shown(theirs)}")
    if faults:
        raise ZeroscaleError(
            f"{first_result.card}: {first.label} and {second.label} were not scored alike, so their difference would "
            f"mean nothing: {'; '.join(faults)}. Score both with the same settings"
        )


def _shown(value: object) -> str:
    return "none" if value is None else str(value)[:12]


def _matched(ours: "list[Record]", theirs: "list[Record]") -> "tuple[list[Record], list[Record], int]":
    """The examples that both have, by number and by content, side by side; and how many only one of them has."""
    others = {_identity(row): row for row in theirs}
    pairs = [(row, others[_identity(row)]) for row in ours if _identity(row) in others]
    unmatched = len(ours) + len(theirs) - 2 * len(pairs)
    return [row for row, _ in pairs], [row for _, row in pairs], unmatched


def _identity(row: "Record") -> tuple[int, str]:
    return row["id"], row["content"]
