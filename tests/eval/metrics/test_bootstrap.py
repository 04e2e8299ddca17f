"""Bootstrap intervals: they cover, they repeat, they are fast, they draw the right unit."""

import time

import numpy as np
import pytest

from zeroscale.eval.metrics import bootstrap


def mean(sums: np.ndarray) -> dict[str, np.ndarray]:
    return {"mean": sums[..., 0] / sums[..., 1]}


def with_ones(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones(len(values))], axis=1)


def test_intervals_cover_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    trials = 400
    hits = 0
    for trial in range(trials):
        sample = with_ones((rng.random(200) < 0.3).astype(float))
        interval = bootstrap.bootstrap(sample, mean, trial, 500)["mean"]
        hits += interval.low <= 0.3 <= interval.high
    # 0.95 ± 4 standard errors of 400 trials, less a little for the percentile interval's known bias.
    assert 0.90 <= hits / trials <= 0.99


def test_width_agrees_with_the_normal_approximation() -> None:
    values = np.random.default_rng(1).normal(size=2000)
    interval = bootstrap.bootstrap(with_ones(values), mean, 0, 4000)["mean"]
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.08)


def test_same_seed_same_interval() -> None:
    values = with_ones(np.random.default_rng(2).random(50))
    first, again, other = (bootstrap.bootstrap(values, mean, seed, 200)["mean"] for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_correlated_rows_of_a_unit_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    units = np.repeat(np.arange(40), 25)
    values = with_ones(rng.normal(size=40)[units] + 0.1 * rng.normal(size=1000))
    alone = bootstrap.bootstrap(values, mean, 0, 1000)["mean"]
    grouped = bootstrap.bootstrap(bootstrap.sum_by_cluster(values, units), mean, 0, 1000)["mean"]
    assert grouped.value == pytest.approx(alone.value)
    assert grouped.clusters == 40
    assert (grouped.high - grouped.low) > 3 * (alone.high - alone.low)


def test_one_unit_has_no_interval() -> None:
    interval = bootstrap.bootstrap(with_ones(np.array([0.5])), mean, 0, 100)["mean"]
    assert (interval.value, interval.low, interval.high) == (0.5, None, None)


def test_a_thousand_resamples_of_five_thousand_examples_take_well_below_a_second() -> None:
    values = np.random.default_rng(4).random((5000, 10))
    started = time.process_time()
    bootstrap.bootstrap(values, mean, 0, 1000)
    assert time.process_time() - started < 0.8


@pytest.mark.parametrize("right", [0, 14])
def test_where_all_units_agree_a_share_gets_the_exact_interval(right: int) -> None:
    # scipy.stats.binomtest(0, 14).proportion_ci("exact"), and of 14 right of 14.
    from scipy.stats import binomtest

    exact = binomtest(right, 14).proportion_ci(method="exact")
    same = with_ones(np.full(14, right / 14))
    interval = bootstrap.bootstrap(same, mean, 0, 200, bounds=(0.0, 1.0))["mean"]
    assert interval.method == "unanimous"
    assert (interval.low, interval.high) == pytest.approx((exact.low, exact.high))


def test_a_bounded_mean_that_is_the_same_everywhere_is_bounded_not_certain() -> None:
    # F1 of 0.1 in every unit: sums of 0.1 differ in their last bits, which is no width.
    interval = bootstrap.bootstrap(with_ones(np.full(30, 0.1)), mean, 0, 500, bounds=(0.0, 1.0))["mean"]
    share = 1 - 0.025 ** (1 / 30)
    assert (interval.low, interval.high) == pytest.approx((0.1 - share * 0.1, 0.1 + share * 0.9))
    assert interval.low < 0.1 < interval.high < 1


def test_the_bound_holds_as_often_as_it_says() -> None:
    # A rare example worth 1 among zeros: what none of n shows must not be excluded more than 1 time in 40.
    rng = np.random.default_rng(0)
    for truth in (0.002, 0.01, 0.03):
        samples = (rng.random((2000, 100)) < truth).astype(float)
        unanimous = samples[~samples.any(axis=1)]
        missed = sum(bootstrap.degenerate_interval(0.0, 100, (0.0, 1.0))[1] < truth for _ in unanimous)
        assert missed / len(samples) <= 0.03


def test_without_bounds_there_is_no_interval_rather_than_one_without_width() -> None:
    interval = bootstrap.bootstrap(with_ones(np.full(30, 3.3)), mean, 0, 200)["mean"]
    assert (interval.value, interval.low, interval.high, interval.method) == (pytest.approx(3.3), None, None, "none")


def test_bounds_change_nothing_where_units_differ() -> None:
    values = with_ones(np.random.default_rng(5).random(50))
    assert bootstrap.bootstrap(values, mean, 0, 200) == bootstrap.bootstrap(values, mean, 0, 200, bounds=(0.0, 1.0))
