"""The law with its doubts: when it has an irreducible term, what its intervals hold, and what it warns of."""

import numpy
import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import PowerLaw, fit_power_law

PLAIN = PowerLaw(0.1, 0.1 * numpy.log(1e12))
FLOORED = PowerLaw(0.3, 0.3 * numpy.log(1e7), 1.7)


def noisy(law, params, noise, seed=0):
    return law(params) * numpy.exp(noise * numpy.random.default_rng(seed).standard_normal(len(params)))


def said(fit, words):
    return [warning for warning in fit.warnings if words in warning]


def test_kaplans_constants_come_back_without_a_floor():
    # Kaplan et al. 2020, equation 1.1.
    params = numpy.geomspace(1e5, 1e9, 8)
    fit = fit_power_law(params, (8.8e13 / params) ** 0.076, bootstrap=200)
    assert fit.form == "L(N) = (N_c/N)^alpha"
    assert fit.parameters["alpha"].value == pytest.approx(0.076, rel=1e-6)
    assert fit.parameters["N_c"].value == pytest.approx(8.8e13, rel=1e-6)
    assert not fit.irreducible


def test_a_floor_comes_back_where_five_sizes_show_it():
    params = numpy.geomspace(1e6, 1e9, 5)
    fit = fit_power_law(params, FLOORED(params), bootstrap=200)
    assert fit.form == "L(N) = E + (N_c/N)^alpha"
    for name, truth in {"alpha": 0.3, "N_c": 1e7, "E": 1.7}.items():
        assert fit.parameters[name].value == pytest.approx(truth, rel=1e-6)
    assert fit.warnings == ()
    assert fit.hold_out.form == "L(N) = (N_c/N)^alpha"  # four sizes are left, which carry no floor


def test_four_sizes_carry_no_floor_and_say_so():
    params = numpy.geomspace(1e6, 1e9, 4)
    fit = fit_power_law(params, FLOORED(params), bootstrap=200)
    assert not fit.irreducible
    assert said(fit, "Four sizes cannot carry an irreducible term: the law goes without E")
    asked = fit_power_law(params, FLOORED(params), bootstrap=200, irreducible=True)
    assert asked.parameters["E"].value == pytest.approx(1.7, rel=1e-6)
    assert said(asked, "because it was asked for")


def test_a_floor_that_noise_hides_is_not_claimed():
    params = numpy.geomspace(1e6, 1e7, 6)
    fit = fit_power_law(params, noisy(PLAIN, params, 0.01), bootstrap=500)
    assert not fit.irreducible
    assert fit.tried_irreducible.low < 1e-2
    assert said(fit, "do not tell the irreducible term from zero")


def test_clean_wide_data_raise_no_warning_at_all():
    params = numpy.geomspace(1e6, 1e9, 7)
    assert fit_power_law(params, noisy(FLOORED, params, 1e-4), bootstrap=500).warnings == ()


@pytest.mark.parametrize(("reach", "warned"), [(5, True), (9.9, True), (10.1, False), (100, False)])
def test_a_narrow_range_is_warned_of(reach, warned):
    params = numpy.geomspace(1e6, 1e6 * reach, 6)
    fit = fit_power_law(params, FLOORED(params), bootstrap=200, hold_out=False)
    assert bool(said(fit, "span only a factor")) == warned


def test_a_larger_size_that_is_worse_is_named():
    params = numpy.geomspace(1e6, 1e9, 6)
    loss = FLOORED(params)
    assert not said(fit_power_law(params, loss, bootstrap=200), "not monotone")
    loss[3] = loss[2] + 0.1
    warning = said(fit_power_law(params, loss, bootstrap=200), "not monotone")[0]
    assert "at N = 15.8M to" in warning
    assert "at 63.1M" in warning


def test_losses_that_do_not_depend_on_size_are_called_so():
    params = numpy.geomspace(1e6, 1e9, 6)
    fit = fit_power_law(params, 3 * numpy.exp(0.01 * numpy.array([1, -1, 1, -1, 1, -1])), bootstrap=500)
    assert said(fit, "includes zero")
    assert fit.parameters["N_c"].low is None


def test_a_prediction_that_fails_is_said():
    params = numpy.geomspace(1e6, 1e9, 6)
    loss = noisy(PLAIN, params, 1e-4)
    loss[-1] *= 1.1
    fit = fit_power_law(params, loss, bootstrap=500)
    assert fit.hold_out.inside is False
    assert fit.hold_out.error == pytest.approx(-0.09, abs=0.01)
    assert said(fit, "Hold-out failed")


def test_the_hold_out_predicts_the_largest_size_from_the_rest():
    params = numpy.geomspace(1e6, 1e9, 6)
    fit = fit_power_law(params, noisy(PLAIN, params, 0.005), bootstrap=1000)
    rest = fit_power_law(params[:-1], noisy(PLAIN, params, 0.005)[:-1], bootstrap=1000, hold_out=False)
    held = fit.hold_out
    assert held.params == pytest.approx(1e9)
    assert held.predicted == pytest.approx(float(rest.predict(1e9)))
    assert held.low < held.predicted < held.high
    assert held.inside is True
    assert held.n_points == 5


def test_two_sizes_give_a_line_without_an_interval():
    fit = fit_power_law([1e6, 1e8], [4.0, 3.0], bootstrap=200)
    assert fit.predict([1e6, 1e8]) == pytest.approx([4.0, 3.0])
    assert fit.parameters["alpha"].low is None
    assert fit.band([1e7]) is None
    assert fit.hold_out is None
    assert said(fit, "Two sizes fix the law exactly")


def test_measured_uncertainty_counts_where_residuals_say_less():
    params = numpy.geomspace(1e6, 1e9, 4)
    loss = PLAIN(params)
    exact = fit_power_law(params, loss, bootstrap=500)
    unsure = fit_power_law(params, loss, loss_sd=0.01 * loss, bootstrap=500)
    assert exact.parameters["alpha"].high - exact.parameters["alpha"].low < 1e-9
    # A straight line over ln N: the slope's standard deviation is sd / sqrt(sum of squared deviations).
    sd = 0.01 / numpy.sqrt(((numpy.log(params) - numpy.log(params).mean()) ** 2).sum())
    width = unsure.parameters["alpha"].high - unsure.parameters["alpha"].low
    assert width == pytest.approx(2 * 1.96 * sd, rel=0.25)
    assert "measured uncertainty" in unsure.method


@pytest.mark.parametrize("sizes", [4, 6, 12])
def test_intervals_hold_the_truth_about_as_often_as_they_say(sizes):
    params = numpy.geomspace(1e5, 1e9, sizes)
    hits = 0
    for study in range(60):
        fit = fit_power_law(
            params, noisy(PLAIN, params, 0.005, study), bootstrap=300, seed=study, irreducible=False, hold_out=False
        )
        alpha = fit.parameters["alpha"]
        hits += alpha.low <= PLAIN.alpha <= alpha.high
    assert hits >= 52  # of 60; 57 are expected, fewer than 52 come by chance once in fifty


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "sizes", "noise"),
    [(PLAIN, 4, 0.01), (PLAIN, 6, 0.01), (PLAIN, 10, 0.01), (FLOORED, 6, 0.003), (FLOORED, 10, 0.003)],
)
def test_every_interval_covers_at_least_nine_times_in_ten(law, sizes, noise):
    params = numpy.geomspace(1e5, 1e9, sizes)
    truth = {"alpha": law.alpha, "N_c": numpy.exp(law.log_N_c), "E": law.irreducible}
    names = ["alpha", "N_c", "E"] if law.irreducible else ["alpha", "N_c"]
    hits, held = dict.fromkeys(names, 0), 0
    for study in range(200):
        fit = fit_power_law(
            params,
            noisy(law, params, noise, study),
            irreducible=bool(law.irreducible),
            bootstrap=1000,
            seed=study,
            hold_out=sizes > 4,
        )
        held += sizes <= 4 or bool(fit.hold_out.inside)
        for name in names:
            hits[name] += fit.parameters[name].low <= truth[name] <= fit.parameters[name].high
    assert min(hits.values()) >= 180
    assert held >= 180


def test_the_same_seed_gives_the_same_intervals():
    params = numpy.geomspace(1e6, 1e9, 5)
    loss = noisy(PLAIN, params, 0.01)
    first, again, other = (fit_power_law(params, loss, bootstrap=300, seed=seed) for seed in (1, 1, 2))
    assert first.parameters == again.parameters
    assert first.parameters["alpha"].low != other.parameters["alpha"].low


@pytest.mark.parametrize(
    ("params", "loss", "says"),
    [
        ([1e6], [4.0], "at least two sizes"),
        ([1e6, 1e6], [4.0, 4.1], "at least two sizes"),
        ([1e6, 0], [4.0, 4.1], r"params\[1\] is 0"),
        ([1e6, 1e7], [4.0, float("nan")], r"loss\[1\] is nan"),
        ([1e6, 1e7, 1e8], [4.0, 3.9], "3 params and 2 losses"),
    ],
)
def test_bad_arrays_are_refused(params, loss, says):
    with pytest.raises(ZeroscaleError, match=says):
        fit_power_law(params, loss)


def test_a_law_without_resampled_fits_is_refused():
    with pytest.raises(ZeroscaleError, match="bootstrap=0: at least 1 resampled fit is needed"):
        fit_power_law([1e6, 1e7, 1e8, 1e9, 1e10], [5.1, 4.2, 3.5, 3.0, 2.6], bootstrap=0)
