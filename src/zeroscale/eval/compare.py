"""`zeroscale compare`: two scored checkpoints on the same examples, from their records alone."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

# Fields of a result's key that must be the same, and what a reader calls them.
_SAME = {
    "source": "source of the data",
    "limit": "limit",
    "seed": "seed of what is drawn while asking",
    "card_hash": "card (its choices have changed in between)",
    "data_hash": "data (their hashes differ)",
    "version": "version of the harness",
}


def compare(wanted: CompareConfig) -> int:
    """Prints the paired differences, and writes them where `out` says. Returns the exit code."""
    comparison = compare_results(*_both(wanted), wanted)
    print(compare_table.as_text(comparison))
    if wanted.out:
        paths = compare_table.write(Path(wanted.out), comparison)
        print(f"\nwritten to {wanted.out}: {', '.join(path.name for path in paths)}")
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


def _both(wanted: CompareConfig) -> tuple[ResultsLocation, ResultsLocation]:
    if len(wanted.runs) != 2:
        raise ZeroscaleError(f"compare takes two: runs=[ONE,OTHER]; given: {', '.join(wanted.runs)}")
    first, second = (resolve.find_results(run, Path(wanted.output_dir))[0] for run in wanted.runs)
    if first.out.resolve() == second.out.resolve():
        raise ZeroscaleError(f"{first.given} and {second.given} are the same results ({first.out}); give two")
    return first, second


def _cards(
    first: ResultsLocation, second: ResultsLocation, wanted: CompareConfig
) -> tuple[list[tuple[str, str]], bool]:
    """(card, protocol) of all that is to be compared, and whether the user named them.

    Raises:
        ZeroscaleError: a card that was named is not scored for one of the two; says the command that does it.
    """
    ours, theirs = results.names(first.out), results.names(second.out)
    if wanted.cards is None:
        shared = [name for name in ours if name in theirs and name[1] in (wanted.protocol, "corpus")]
        if not shared:
            missing = [(one, there) for one, there in ((first, ours), (second, theirs)) if not there]
            hint = "; ".join(one.command(["core"], wanted.protocol, "data_dir=DIR") for one, _ in missing)
            has = "; ".join(
                f"{one.label} has {', '.join('.'.join(name) for name in there) or 'none'}"
                for one, there in ((first, ours), (second, theirs))
            )
            raise ZeroscaleError(f"no card has been scored for both: {has}" + (f". Score with: {hint}" if hint else ""))
        return shared, False
    named = _named(wanted.cards)
    names = [(name, "corpus" if name == scores.HELD_OUT else wanted.protocol) for name in named]
    lacks = []
    for one, there, other in ((first, ours, second), (second, theirs, first)):
        absent = [card for card, protocol in names if (card, protocol) not in there]
        if absent:
            more = _same_way(other, absent, wanted.protocol)
            lacks.append(
                f"{one.label} has not been scored on {', '.join(absent)}. Score it with: "
                f"{one.command(absent, wanted.protocol, more)}"
            )
    if lacks:
        raise ZeroscaleError("\n".join(lacks))
    return names, True


def _named(cards: Sequence[str]) -> list[str]:
    from zeroscale.eval.cards import registry

    asked = [name for name in cards if name != scores.HELD_OUT]
    held_out = [scores.HELD_OUT] if len(asked) < len(cards) else []
    return [*held_out, *(one.name for one in registry.resolve(asked))]


def _same_way(other: ResultsLocation, cards: list[str], protocol: str) -> str:
    """The settings with which the other one was scored on these cards, or what has to be filled in."""
    there = next((found for card in cards if (found := results.load(other.out, card, protocol))), None)
    if there is None:
        return "data_dir=DIR"
    words = ["data_dir=DIR" if there.source == "files" else f"cards_from={there.source}"]
    words += [f"limit={there.key.limit}"] if there.key.limit else []
    words += [f"seed={there.key.seed}"] if there.key.seed else []
    return " ".join(words)


def _compare(
    first: ResultsLocation, second: ResultsLocation, card: str, protocol: str, wanted: CompareConfig
) -> list[MetricComparison]:
    one, two = (_read(where, card, protocol) for where in (first, second))
    _refuse_unlike(first, second, one, two)
    ours, theirs, unmatched = _matched(results.records_of(first.out, one), results.records_of(second.out, two))
    if not ours:
        raise ZeroscaleError(f"{card}: {first.label} and {second.label} have no example in common")
    lines = []
    without_model = _without_model(card)
    for mine, other in zip(
        scores.compute_metrics(one.family, one.options, ours),
        scores.compute_metrics(two.family, two.options, theirs),
        strict=True,
    ):
        assert np.array_equal(mine.clusters, other.clusters), "the same examples have the same units"
        found = paired_test.differences(
            bootstrap.sum_by_cluster(mine.statistics, mine.clusters),
            bootstrap.sum_by_cluster(other.statistics, other.clusters),
            mine.metric.values,
            wanted.seed,
            wanted.resamples,
            scores.bounds_of(mine),
        )
        for metric, difference in found.items():
            if metric in without_model:
                continue  # a baseline made of the text itself is the same for every model
            about = one.metrics[metric]
            common = {"card": card, "protocol": protocol, "metric": metric, "mark": one.mark, "unit": one.unit}
            counts = {"n": len(ours), "unmatched": unmatched, "truncated": (one.truncated, two.truncated)}
            lines.append(
                MetricComparison(**common, **counts, higher_is_better=about.higher_is_better, **asdict(difference))
            )
    order = list(one.metrics)
    return sorted(lines, key=lambda line: order.index(line.metric))


def _without_model(card: str) -> set[str]:
    """Metrics in which no model takes part."""
    from zeroscale.eval.cards import registry as cards_of

    if card not in cards_of.names():
        return set()  # held-out text, a part of a card, or a card of the user's own
    (content,) = cards_of.resolve([card])
    return {entry.metric for entry in content.paper if entry.no_model is not None}


def _read(where: ResultsLocation, card: str, protocol: str) -> "Result":
    found = results.load(where.out, card, protocol)
    if found is None:
        raise ZeroscaleError(
            f"{results.paths(where.out, card, protocol)[0]} cannot be read by this version. Score it again with: "
            f"{where.command([card], protocol, 'data_dir=DIR')}"
        )
    return found


def _refuse_unlike(first: ResultsLocation, second: ResultsLocation, one: "Result", two: "Result") -> None:
    faults = []
    for name, called in _SAME.items():
        ours, theirs = getattr(one.key, name), getattr(two.key, name)
        if ours != theirs:
            faults.append(f"{called}: {_shown(ours)} and {_shown(theirs)}")
    if faults:
        raise ZeroscaleError(
            f"{one.card}: {first.label} and {second.label} were not scored alike, so their difference would mean "
            f"nothing: {'; '.join(faults)}. Score both with the same settings"
        )


def _shown(value: object) -> str:
    return "none" if value is None else str(value)[:12]


def _matched(
    ours: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """The examples that both have, by number and by content, side by side; and how many only one of them has."""
    others = {_identity(row): row for row in theirs}
    pairs = [(row, others[_identity(row)]) for row in ours if _identity(row) in others]
    unmatched = len(ours) + len(theirs) - 2 * len(pairs)
    return [row for row, _ in pairs], [row for _, row in pairs], unmatched


def _identity(row: dict[str, Any]) -> tuple[int, str]:
    return row["id"], row["content"]
