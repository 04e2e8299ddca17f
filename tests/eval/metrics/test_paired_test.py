"""Paired differences: beside scipy's own tests, and what must hold whatever the score."""

import time

import numpy as np
import pytest
from scipy import stats

from zeroscale.eval.metrics import paired_test, statistics


def mean(sums: np.ndarray) -> dict[str, np.ndarray]:
    return {"mean": sums[..., 0] / sums[..., 1]}


def with_ones(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones(len(values))], axis=1)


def compare(first: np.ndarray, second: np.ndarray, resamples: int = 10_000, **options) -> paired_test.Difference:
    return paired_test.differences(with_ones(first), with_ones(second), mean, 0, resamples, **options)["mean"]


@pytest.fixture(scope="module")
def skewed() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    first = rng.gamma(2.0, size=60)
    return first, first + rng.exponential(0.3, size=60) - 0.2


def by_mean(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    return second.mean(axis=axis) - first.mean(axis=axis)


def test_the_p_value_is_that_of_scipys_permutation_test(skewed):
    ours = compare(*skewed)
    theirs = stats.permutation_test(skewed, by_mean, permutation_type="samples", n_resamples=20_000, rng=1)
    assert ours.difference == pytest.approx(theirs.statistic)
    assert not ours.exact and ours.p == pytest.approx(theirs.pvalue, abs=4 * np.sqrt(0.25 / 10_000))


def test_with_few_units_it_counts_every_exchange_as_scipy_does(skewed):
    few = tuple(values[:9] for values in skewed)
    ours = compare(*few)
    theirs = stats.permutation_test(few, by_mean, permutation_type="samples", n_resamples=np.inf)
    assert ours.exact and ours.p == pytest.approx(theirs.pvalue, abs=1e-12)


def test_of_right_and_wrong_it_is_the_exact_test_of_mcnemar():
    first = np.repeat([0.0, 1.0, 0.0, 1.0], [3, 9, 300, 200])
    second = np.repeat([1.0, 0.0, 0.0, 1.0], [3, 9, 300, 200])
    ours = compare(first, second)
    assert ours.exact and ours.differing == 12 and ours.units == 512
    assert ours.p == pytest.approx(stats.binomtest(3, 12).pvalue, abs=1e-12)


def test_the_interval_is_close_to_scipys_paired_bootstrap(skewed):
    ours = compare(*skewed)
    theirs = stats.bootstrap(skewed, by_mean, paired=True, method="percentile", n_resamples=20_000, rng=1)
    width = ours.high - ours.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.08 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.08 * width)


def test_the_interval_ends_where_scipys_permutation_test_begins_to_reject(skewed):
    few = tuple(values[:13] for values in skewed)
    ours = compare(*few)
    assert ours.exact and ours.method == "inverted"

    def p_of(shift: float) -> float:
        shifted = few[0] + shift, few[1]
        return stats.permutation_test(shifted, by_mean, permutation_type="samples", n_resamples=np.inf).pvalue

    step = 1e-6 * (ours.high - ours.low)
    assert p_of(ours.low - step) < 0.05 <= p_of(ours.low + step)
    assert p_of(ours.high + step) < 0.05 <= p_of(ours.high - step)


def one_verdict(ours: paired_test.Difference) -> bool:
    return (ours.p < 0.05) == (not ours.low <= 0 <= ours.high)


@pytest.mark.parametrize("units", [6, 7, 12, 50])
def test_zero_is_outside_the_interval_where_p_is_below_five_percent_and_only_there(units):
    rng = np.random.default_rng(units)
    for _ in range(60):
        first = (rng.random(units) < 0.5).astype(float)
        second = np.where(rng.random(units) < 0.3, rng.random(units) < 0.9, first)
        assert one_verdict(compare(first, second, resamples=200, bounds=(0.0, 1.0)))
        assert one_verdict(compare(rng.normal(size=units), rng.normal(size=units) + 0.8, resamples=200))


@pytest.mark.parametrize("units", [2, 5, 6, 10, 100])
@pytest.mark.parametrize("by", [1.0, 0.1, 0.0])
def test_units_that_differ_alike_have_one_verdict_too(units, by):
    ours = compare(np.zeros(units), np.full(units, by), bounds=(0.0, 1.0))
    assert ours.method == "unanimous" and one_verdict(ours)
    if by == 1.0:
        assert ours.p == pytest.approx(2.0 ** (1 - units), abs=1e-4)


def test_five_units_are_too_few_for_an_interval_without_bounds():
    rng = np.random.default_rng(0)
    ours = compare(rng.normal(size=5), rng.normal(size=5) + 9)
    assert (ours.low, ours.high, ours.method) == (None, None, "none") and ours.p == 2 / 32


def test_pairing_finds_what_two_single_intervals_hide():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=400)
    ours = compare(hard, hard + 0.1 + 0.05 * rng.normal(size=400))
    assert ours.p < 0.001 and 0.09 < ours.low < ours.high < 0.11
    assert hard.std() / np.sqrt(400) * 1.96 > 0.09


def test_alike_models_are_told_apart_as_often_as_the_level_says():
    rng = np.random.default_rng(3)
    found = [compare(*rng.normal(size=(2, 40)), resamples=400).p <= 0.05 for _ in range(400)]
    assert 0.02 < np.mean(found) < 0.09


def binary(rng: np.random.Generator, effect: float) -> tuple[np.ndarray, np.ndarray]:
    first = (rng.random(100) < 0.5).astype(float)
    second = np.where(rng.random(100) < 0.2, rng.random(100) < 0.5 + effect / 0.2, first)
    return with_ones(first), with_ones(second)


def normal(rng: np.random.Generator, effect: float) -> tuple[np.ndarray, np.ndarray]:
    return with_ones(rng.normal(size=20)), with_ones(rng.normal(size=20) + effect)


def documents(rng: np.random.Generator, effect: float, number: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Losses of documents of 50 to 1,000 words that are hard for both models alike."""
    words, hard = rng.integers(50, 1000, number).astype(float), rng.normal(3, 0.5, number)
    first, second = hard + rng.normal(0, 0.1, number), hard + rng.normal(-effect, 0.1, number)
    return np.stack([first * words, words], axis=1), np.stack([second * words, words], axis=1)


def perplexity(sums: np.ndarray) -> dict[str, np.ndarray]:
    return {"perplexity": np.exp(sums[..., 0] / sums[..., 1])}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "values", "effect"),
    [
        (binary, mean, 0.0),
        (binary, mean, 0.06),
        (normal, mean, 0.0),
        (normal, mean, 0.5),
        (documents, perplexity, 0.0),
        (documents, perplexity, 0.05),
        (documents, perplexity, 0.7),
    ],
)
def test_the_interval_holds_the_truth_and_the_test_keeps_its_level(draw, values, effect):
    rng = np.random.default_rng(11)
    truth = effect
    if values is perplexity:
        first, second = (sums.sum(axis=0) for sums in documents(rng, effect, 400_000))
        truth = perplexity(second)["perplexity"] - perplexity(first)["perplexity"]
    held, rejected = [], []
    for _ in range(1000):
        (ours,) = paired_test.differences(*draw(rng, effect), values, 0, 400).values()
        held.append(ours.low <= truth <= ours.high)
        rejected.append(ours.p < 0.05)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)
    if effect == 0:
        assert np.mean(rejected) == pytest.approx(0.05, abs=0.03)


def test_exchanging_the_models_turns_the_difference_round(skewed):
    one, two = compare(*skewed), compare(*skewed[::-1])
    assert (two.difference, two.low, two.high) == pytest.approx((-one.difference, -one.high, -one.low))
    assert two.p == pytest.approx(one.p, abs=0.02)


def test_a_score_that_is_no_mean_is_compared_as_a_whole():
    rng = np.random.default_rng(5)
    wanted = [" ".join(rng.choice(list("abcdefgh"), 12)) for _ in range(40)]
    broken = [" ".join(word if rng.random() < 0.8 else "x" for word in text.split()) for text in wanted]
    first, _ = statistics.bleu_statistics(broken, [[text] for text in wanted])
    second, _ = statistics.bleu_statistics(wanted, [[text] for text in wanted])
    ours = paired_test.differences(first, second, lambda sums: {"bleu": statistics.bleu(sums)}, 0, 2000)["bleu"]
    assert ours.second == pytest.approx(100) and ours.first < 80
    assert ours.low <= ours.difference <= ours.high and ours.p == pytest.approx(1 / 2001)


def test_outcomes_that_are_all_the_same_leave_a_bound_or_nothing():
    zeros = np.zeros(30)
    bounded = compare(zeros, zeros, bounds=(0.0, 1.0))
    share = 1 - 0.025 ** (1 / 30)
    assert (bounded.difference, bounded.p, bounded.differing) == (0.0, 1.0, 0)
    assert (bounded.low, bounded.high) == pytest.approx((-share, share)) and bounded.method == "unanimous"
    free = compare(zeros + 3, zeros + 5)
    assert (free.low, free.high, free.method) == (None, None, "none") and free.difference == 2.0


def test_one_unit_and_infinite_scores_have_no_interval():
    single = compare(np.array([0.2]), np.array([0.4]))
    assert (single.low, single.high) == (None, None) and single.p == 1.0

    def overflow(sums: np.ndarray) -> dict[str, np.ndarray]:
        return {"perplexity": np.exp(-sums[..., 0] / sums[..., 1])}

    ours = paired_test.differences(with_ones(np.full(5, -800.0)), with_ones(np.full(5, -1.0)), overflow, 0, 100)
    assert ours["perplexity"].difference is None and ours["perplexity"].p is None


def test_five_thousand_examples_take_seconds_and_the_seed_decides():
    rng = np.random.default_rng(1)
    first, second = rng.random((2, 5000))
    started = time.process_time()
    ours = compare(first, second)
    assert time.process_time() - started < 10
    assert compare(first, second) == ours
