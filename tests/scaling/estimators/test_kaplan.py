"""Kaplan's laws and the curve from loss to accuracy: made of published numbers, found again."""

import numpy
import pytest
from scipy.optimize import approx_fprime, curve_fit

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import KaplanLaw, fit_kaplan, fit_loss_to_accuracy
from zeroscale.scaling.estimators.kaplan import _Objective

# Kaplan et al. 2020, table 2, as facts/scaling.yaml gives it.
KAPLAN = KaplanLaw(0.076, 0.103, numpy.log(6.4e13), numpy.log(1.8e13))


def grid(sizes=6, token_counts=6):
    n, d = numpy.meshgrid(numpy.geomspace(1e6, 1e9, sizes), numpy.geomspace(2e7, 2e10, token_counts))
    return n.ravel(), d.ravel()


def test_the_law_is_the_published_formula():
    n, d = 1e8, 1e10
    formula = ((6.4e13 / n) ** (0.076 / 0.103) + 1.8e13 / d) ** 0.103
    assert KAPLAN(n, d) == pytest.approx(formula, rel=1e-12)


def test_a_noise_free_law_is_recovered():
    n, d = grid()
    fit = fit_kaplan(n, d, KAPLAN(n, d), bootstrap=0)
    assert fit.converged
    for name, value in (("alpha_N", 0.076), ("alpha_D", 0.103), ("N_c", 6.4e13), ("D_c", 1.8e13)):
        assert fit.parameters[name].value == pytest.approx(value, rel=1e-6), name
    assert fit.reached > fit.starts / 2


def test_the_laws_of_one_variable_rest_on_the_runs_they_should():
    n, d = grid()
    loss = (8.8e13 / n) ** 0.076  # L(N) of facts/scaling.yaml, whatever the data
    fit = fit_kaplan(n, d, loss, bootstrap=200)
    assert fit.by_size.parameters["alpha_N"].value == pytest.approx(0.076, rel=1e-6)
    assert fit.by_size.parameters["N_c"].value == pytest.approx(8.8e13, rel=1e-4)
    assert {d[run] for run in fit.by_size.runs} == {d.max()}
    assert {n[run] for run in fit.by_data.runs} == {n.max()}


def test_noise_gives_intervals_that_hold_the_truth():
    n, d = grid()
    fit = fit_kaplan(
        n, d, KAPLAN(n, d) * numpy.exp(0.005 * numpy.random.default_rng(0).standard_normal(36)), bootstrap=500
    )
    for name, value in (("alpha_N", 0.076), ("alpha_D", 0.103), ("N_c", 6.4e13), ("D_c", 1.8e13)):
        estimate = fit.parameters[name]
        assert estimate.low < value < estimate.high, name
    assert any("no irreducible loss" in warning for warning in fit.warnings)


def test_the_gradient_is_that_of_the_objective():
    n, d = grid(3, 3)
    objective = _Objective(n, d, 1.01 * KAPLAN(n, d), 1e-3)
    for start in objective.starts()[::37]:
        slopes = approx_fprime(start, lambda theta: objective(theta[None], None)[0][0], 1e-7)
        assert objective(start[None], None)[1][0] == pytest.approx(slopes, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("n", "d", "says"),
    [([1e7] * 6, [1e9, 2e9, 4e9, 8e9, 1e10, 2e10], "1 sizes"), ([1e7, 1e8], [1e9, 1e10], "there are 2 runs")],
)
def test_too_few_runs_are_refused(n, d, says):
    with pytest.raises(ZeroscaleError, match=says):
        fit_kaplan(n, d, [3.0] * len(n))


def sigmoid(loss, k, middle, chance=0.25, ceiling=1.0):
    return chance + (ceiling - chance) / (1 + numpy.exp(k * (loss - middle)))


def test_the_curve_from_loss_to_accuracy_is_recovered():
    loss = numpy.linspace(2.0, 4.0, 12)
    fit = fit_loss_to_accuracy(loss, sigmoid(loss, 3.0, 2.7), chance=0.25)
    assert (fit.k, fit.L_0) == pytest.approx((3.0, 2.7), rel=1e-6)
    assert fit.predict(100.0) == pytest.approx(0.25)  # the floor is chance
    assert fit.predict(0.0) == pytest.approx(1.0, abs=1e-3)
    low, high = fit.parameters["k"].low, fit.parameters["k"].high
    assert low - 1e-9 <= 3.0 <= high + 1e-9  # without noise its width is rounding


def test_scipy_fits_the_same_curve():
    loss = numpy.linspace(2.0, 4.0, 15)
    score = numpy.clip(sigmoid(loss, 3.0, 2.7) + 0.01 * numpy.random.default_rng(1).standard_normal(15), 0, 1)
    fit = fit_loss_to_accuracy(loss, score, chance=0.25)
    theirs, _ = curve_fit(sigmoid, loss, score, p0=[1.0, 3.0])
    assert (fit.k, fit.L_0) == pytest.approx(tuple(theirs), rel=1e-5)
    assert fit.parameters["L_0"].low < 2.7 < fit.parameters["L_0"].high
    low, high = fit.band([2.5, 3.5])
    assert (low < sigmoid(numpy.array([2.5, 3.5]), 3.0, 2.7)).all()
    assert (high > sigmoid(numpy.array([2.5, 3.5]), 3.0, 2.7)).all()
    wider = fit.band([2.5], numpy.random.default_rng(2).normal(2.5, 0.2, (500, 1)))
    assert wider[1] - wider[0] > high[0] - low[0]


def test_a_ceiling_is_fitted_only_where_it_is_asked_for():
    loss = numpy.linspace(1.0, 4.0, 20)
    score = sigmoid(loss, 4.0, 2.5, ceiling=0.85)
    assert fit_loss_to_accuracy(loss, score, chance=0.25, bootstrap=0).ceiling == 1.0
    fit = fit_loss_to_accuracy(loss, score, chance=0.25, fit_ceiling=True, bootstrap=100)
    assert fit.parameters["ceiling"].value == pytest.approx(0.85, rel=1e-5)


def test_models_at_chance_are_warned_of():
    fit = fit_loss_to_accuracy([3.0, 3.5, 4.0, 4.5], [0.26, 0.25, 0.24, 0.25], chance=0.25, bootstrap=100)
    assert any("above chance" in warning for warning in fit.warnings)


@pytest.mark.parametrize(
    ("loss", "score", "chance", "says"),
    [
        ([3.0, 2.5, 2.0], [43.0, 50.0, 60.0], 0.25, r"accuracy\[0\] is 43: it must be a share"),
        ([3.0, 2.5, 2.0], [0.4, 0.5, 0.6], 1.0, "chance=1 is impossible"),
        ([3.0, 2.5], [0.4, 0.5], 0.25, "three different losses"),
        ([3.0, 2.5, 2.0], [0.4, 0.5], 0.25, "each model needs both"),
        ([3.0, -2.5, 2.0], [0.4, 0.5, 0.6], 0.25, r"loss\[1\] is -2.5"),
    ],
)
def test_bad_scores_are_refused(loss, score, chance, says):
    with pytest.raises(ZeroscaleError, match=says):
        fit_loss_to_accuracy(loss, score, chance=chance)
