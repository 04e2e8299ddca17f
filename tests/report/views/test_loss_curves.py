"""Curves are thinned without losing what matters, and smoothed without lag or drift."""

import numpy as np
from support import study_fixture

from zeroscale.report.views import loss_curves
from zeroscale.report.views.study import read_study


def test_thinning_keeps_the_ends_and_every_spike():
    values = np.linspace(9, 3, 10_000)
    values[[17, 4_321, 9_990]] = 50.0, -7.0, 40.0
    keep = loss_curves.thin(values, 500)
    assert keep[0] == 0 and keep[-1] == 9_999
    assert {17, 4_321, 9_990} <= set(keep)
    assert len(keep) <= 500
    assert keep == sorted(set(keep))


def test_short_curves_are_left_alone():
    assert loss_curves.thin(np.arange(7.0), 500) == list(range(7))


def test_a_stretch_of_nan_does_not_stop_thinning():
    values = np.full(2_000, np.nan)
    values[:900] = 5.0
    assert loss_curves.thin(values, 100)[-1] == 1_999


def test_smoothing_keeps_a_constant_and_passes_over_nan():
    values = np.array([4.0, 4.0, np.nan, 4.0, np.inf, 4.0])
    assert np.allclose(loss_curves.smooth(values, 10), 4.0)


def test_runs_are_smoothed_together_as_each_by_itself():
    draw = np.random.default_rng(3)
    runs = [draw.normal(5, 1, size=60) for _ in range(20)] + [draw.normal(5, 1, size=7), np.array([])]
    for share in loss_curves.SPANS.values():
        together = loss_curves.smooth_all(runs, share)
        for one, values in zip(together, runs, strict=True):
            np.testing.assert_allclose(one, loss_curves.smooth(values, max(1.0, len(values) * share)), rtol=1e-12)


def test_smoothing_lowers_noise_and_does_not_lag_behind_the_first_fall():
    steps = np.arange(1, 1_001)
    truth = 3 + 6 * steps**-0.5
    noisy = truth + np.random.default_rng(0).normal(0, 0.1, 1_000)
    smooth = loss_curves.smooth(noisy, 20)
    assert np.abs(smooth - truth)[200:].mean() < 0.4 * np.abs(noisy - truth)[200:].mean()
    assert np.abs(smooth - truth)[:30].max() < 0.6


def test_many_runs_share_one_budget_of_points(tmp_path):
    names = {f"run-{i}": 10_000 * (i + 1) for i in range(60)}
    folder = study_fixture.write_study(tmp_path / "many", names, fit=False, failed=False, scored=False)
    drawn = loss_curves.curves(read_study(folder).runs)
    assert sum(len(curve.train) for curve in drawn) <= loss_curves.POINTS_IN_ALL
    assert all(curve.n_logged == 500 for curve in drawn)


def test_steps_that_were_not_finite_are_named(study):
    drawn = {curve.run: curve for curve in loss_curves.curves(read_study(study).runs)}
    assert drawn["pocket-xl"].not_finite == [2]
    assert drawn["pocket-xl"].train == [8.4, None]
    assert drawn["pocket-m"].not_finite == []
