"""Approach 3: the law behind the runs is found from the published grid, as SciPy finds it, with honest intervals."""

import numpy
import pytest
from scipy.optimize import approx_fprime, minimize

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import Surface, fit_chinchilla, fit_vpnls
from zeroscale.scaling.numerics.batched_bfgs import batched_bfgs as descend
from zeroscale.scaling.numerics.chinchilla_objective import GRID, ChinchillaObjective

# Hoffmann et al. 2022, approach 3, rounded as in the paper.
CHINCHILLA = Surface.of(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
NAMES = ("E", "A", "B", "alpha", "beta")


def grid(sizes=6, token_counts=6):
    n, d = numpy.meshgrid(numpy.geomspace(5e7, 1e10, sizes), numpy.geomspace(1e9, 3e11, token_counts))
    return n.ravel(), d.ravel()


def noisy(law, n, d, scale, seed):
    return law(n, d) * numpy.exp(scale * numpy.random.default_rng(seed).standard_normal(len(n)))


def surface(E, alpha, beta, share=0.7):
    """A law whose two terms are of the size of real ones at 1e9 parameters and 1e11 tokens."""
    return Surface.of(E=E, A=share * 1e9**alpha, B=0.5 * 1e11**beta, alpha=alpha, beta=beta)


# The others are among the slow proofs.
QUICK = [(0.5, 0.2, "isoflop"), (1.0, 0.34, "grid"), (2.0, 0.6, "isoflop")]
SURFACES = [
    pytest.param(E, alpha, beta, design, marks=[] if (E, alpha, design) in QUICK else pytest.mark.slow)
    for E in (0.5, 1.0, 2.0)
    for alpha, beta in ((0.2, 0.2), (0.2, 0.6), (0.34, 0.28), (0.6, 0.2), (0.6, 0.6))
    for design in ("grid", "isoflop")
]


@pytest.mark.parametrize(("E", "alpha", "beta", "design"), SURFACES)
def test_a_noise_free_law_is_recovered_to_a_millionth(E, alpha, beta, design):
    law = surface(E, alpha, beta)
    n, d = grid()
    if design == "isoflop":
        flops = numpy.repeat(numpy.geomspace(6e18, 3e21, 5), 7)
        n = law.optimal_params(flops) * numpy.tile(numpy.geomspace(0.25, 4, 7), 5)
        d = flops / (6 * n)
    fit = fit_chinchilla(n, d, law(n, d), bootstrap=0, hold_out=False)
    assert fit.converged
    for name in NAMES:
        assert getattr(fit.law, name) == pytest.approx(getattr(law, name), rel=1e-6), name


@pytest.mark.parametrize("fitter", [fit_chinchilla, fit_vpnls])
@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.3), (0.6, 0.5)])
def test_where_there_is_no_irreducible_loss_none_is_found(fitter, alpha, beta):
    n, d = grid()
    law = surface(0.0, alpha, beta)
    fit = fitter(n, d, law(n, d), bootstrap=0, hold_out=False)
    assert 0 <= fit.law.E < 1e-6
    assert fit.law.alpha == pytest.approx(alpha, rel=1e-6)


def test_the_grid_is_the_published_one():
    n, d = grid()
    runs = ChinchillaObjective(n, d, CHINCHILLA(n, d))
    starts = runs.starts()
    assert len(starts) == 4500
    # Hoffmann et al. 2022, appendix D.3, as facts/scaling.yaml gives it.
    assert GRID["alpha"] == GRID["beta"] == (0.0, 0.5, 1.0, 1.5, 2.0)
    assert GRID["e"] == (-1.0, -0.5, 0.0, 0.5, 1.0)
    assert GRID["a"] == GRID["b"] == (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
    law = runs.law(starts)
    assert sorted(set(numpy.round(law.log_A, 9))) == list(GRID["a"])


def test_objective_and_gradient_are_those_of_the_formula():
    n, d = grid(4, 4)
    runs = ChinchillaObjective(n, d, noisy(CHINCHILLA, n, d, 0.02, 0))
    weights = numpy.random.default_rng(1).integers(0, 4, (1, len(n))).astype(float)

    def formula(theta):
        a, b, e, alpha, beta = theta
        law = numpy.logaddexp(numpy.logaddexp(a - alpha * numpy.log(n), b - beta * numpy.log(d)), e)
        size = numpy.abs(law - numpy.log(runs.loss))
        return (weights[0] * numpy.where(size <= 1e-3, size**2 / 2, 1e-3 * (size - 5e-4))).sum()

    for theta in ([6.0, 6.0, 0.5, 0.34, 0.28], [5.0, 10.0, -1.0, 0.5, 1.0], [20.0, 0.0, 1.0, 1.0, 0.0]):
        own = numpy.array([theta])
        own[:, 0] -= own[:, 3] * runs.middle[0]
        own[:, 1] -= own[:, 4] * runs.middle[1]
        value, gradient = runs.value_and_gradient(own, weights)
        assert value[0] == pytest.approx(formula(theta), rel=1e-12)
        slopes = approx_fprime(own[0], lambda point: runs.value_and_gradient(point[None], weights)[0][0], 1e-7)
        assert gradient[0] == pytest.approx(slopes, rel=1e-3, abs=1e-6)


def test_scipy_finds_no_lower_optimum():
    n, d = grid()
    loss = noisy(CHINCHILLA, n, d, 0.01, 3)
    fit = fit_chinchilla(n, d, loss, bootstrap=0, hold_out=False)

    def objective(theta):
        a, b, e, alpha, beta = theta
        law = numpy.logaddexp(numpy.logaddexp(a - alpha * numpy.log(n), b - beta * numpy.log(d)), e)
        size = numpy.abs(law - numpy.log(loss))
        return numpy.where(size <= 1e-3, size**2 / 2, 1e-3 * (size - 5e-4)).sum()

    start = [fit.law.log_A, fit.law.log_B, numpy.log(fit.law.E), fit.law.alpha, fit.law.beta]
    assert objective(start) == pytest.approx(fit.objective, rel=1e-9)
    options = {"maxiter": 20000, "maxfev": 20000, "xatol": 1e-12, "fatol": 1e-16}
    best = min(
        minimize(objective, point, method="Nelder-Mead", options=options).fun
        for point in (start, [6.0, 6.0, 0.5, 0.34, 0.28], [10.0, 10.0, 0.0, 0.5, 0.5])
    )
    assert fit.objective <= best * (1 + 1e-9)
    assert fit.converged
    assert fit.share_of_starts > 0.1


def test_a_resampled_law_is_the_law_of_the_resampled_runs():
    n, d = grid()
    loss = noisy(CHINCHILLA, n, d, 0.01, 4)
    runs = ChinchillaObjective(n, d, loss)
    weights = numpy.random.default_rng(5).multinomial(len(n), numpy.full(len(n), 1 / len(n)), 2).astype(float)
    fit = fit_chinchilla(n, d, loss, bootstrap=0, hold_out=False)
    near = descend(runs.value_and_gradient, numpy.repeat(runs.theta(fit.law), 2, axis=0), weights)
    for row, weight in enumerate(weights):
        drawn = numpy.repeat(numpy.arange(len(n)), weight.astype(int))
        anew = fit_chinchilla(n[drawn], d[drawn], loss[drawn], bootstrap=0, hold_out=False)
        assert near.value[row] == pytest.approx(anew.objective, rel=1e-5)


def test_intervals_correlations_and_hold_outs_come_with_the_law():
    n, d = grid()
    fit = fit_chinchilla(n, d, noisy(CHINCHILLA, n, d, 0.005, 6), bootstrap=500)
    for name in NAMES:
        estimate = fit.parameters[name]
        assert estimate.low < getattr(CHINCHILLA, name) < estimate.high
        assert estimate.low <= estimate.value <= estimate.high
    a = fit.exponents["N_opt"]
    assert a.low < 0.28 / 0.62 < a.high
    assert a.value + fit.exponents["D_opt"].value == pytest.approx(1)
    correlation = fit.draws.correlation()
    assert correlation["alpha"]["alpha"] == pytest.approx(1)
    assert correlation["log_A"]["alpha"] > 0.9  # a larger exponent needs a larger A
    assert fit.hold_out.params == pytest.approx(1e10)
    assert fit.hold_out.inside and abs(fit.hold_out.error) < 0.02
    assert [one.params for one in fit.leave_one_out] == pytest.approx(numpy.geomspace(5e7, 1e10, 6))
    low, high = fit.draws.band(numpy.array([1e11]), numpy.array([1e12]))
    assert low < CHINCHILLA(1e11, 1e12) < high


def test_the_optimum_for_a_budget_is_where_no_other_split_is_better():
    best = CHINCHILLA.optimal_params(5.76e23), CHINCHILLA.optimal_tokens(5.76e23)
    assert 6 * best[0] * best[1] == pytest.approx(5.76e23)
    tried = best[0] * numpy.geomspace(0.1, 10, 2001)
    losses = CHINCHILLA(tried, 5.76e23 / (6 * tried))
    assert tried[losses.argmin()] == pytest.approx(best[0], rel=2e-3)
    # facts/scaling.yaml: N_opt = G (C/6)^a.
    G = (0.34 * 406.4 / (0.28 * 410.7)) ** (1 / 0.62)
    assert best[0] == pytest.approx(G * (5.76e23 / 6) ** (0.28 / 0.62), rel=1e-9)


def test_exact_flops_bend_the_optimum():
    from zeroscale.scaling import PerToken

    cost = PerToken(numpy.log(30.0), 0.9)
    n = CHINCHILLA.optimal_params(1e21, cost)
    tried = n * numpy.geomspace(0.1, 10, 2001)
    losses = CHINCHILLA(tried, 1e21 / (30 * tried**0.9))
    assert tried[losses.argmin()] == pytest.approx(n, rel=5e-3)
    assert CHINCHILLA.exponent(cost) == pytest.approx(0.28 / (0.34 + 0.9 * 0.28))


def test_seeds_give_an_interval_of_their_own():
    n, d = grid(5, 5)
    n, d, seed = numpy.tile(n, 3), numpy.tile(d, 3), numpy.repeat([0, 1, 2], 25)
    fit = fit_chinchilla(n, d, noisy(CHINCHILLA, n, d, 0.01, 7), seed=seed, bootstrap=300, hold_out=False)
    runs, seeds = fit.draws, fit.over_seeds
    assert "seeds" in seeds.method and "runs" in runs.method
    assert 0 < seeds.laws.alpha.std() < 2 * runs.laws.alpha.std()
    alone = fit_chinchilla(*grid(5, 5), CHINCHILLA(*grid(5, 5)), seed=numpy.zeros(25), bootstrap=100, hold_out=False)
    assert alone.over_seeds is None


def test_the_same_seed_gives_the_same_intervals_on_any_number_of_threads(monkeypatch):
    n, d = grid()
    loss = noisy(CHINCHILLA, n, d, 0.01, 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = fit_chinchilla(n, d, loss, bootstrap=600, random_seed=1, hold_out=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    other = fit_chinchilla(n, d, loss, bootstrap=600, random_seed=1, hold_out=False)
    assert one.parameters == other.parameters
    third = fit_chinchilla(n, d, loss, bootstrap=600, random_seed=2, hold_out=False)
    assert third.parameters["E"].low != one.parameters["E"].low


def warns(fit, text):
    return any(text in warning for warning in fit.warnings)


def test_few_sizes_are_warned_of():
    n, d = grid(2, 6)
    fit = fit_chinchilla(n, d, CHINCHILLA(n, d), bootstrap=0)
    assert warns(fit, "Two sizes x six token counts: fewer than three x three")
    assert fit.hold_out is None


def test_tokens_that_follow_size_are_warned_of():
    n = numpy.geomspace(1e7, 1e10, 12)
    fit = fit_chinchilla(n, 20 * n, noisy(CHINCHILLA, n, 20 * n, 0.002, 9), bootstrap=200, hold_out=False)
    assert warns(fit, "Tokens follow parameters")


def test_a_loss_below_the_irreducible_one_is_named():
    n, d = grid()
    loss = CHINCHILLA(n, d)
    loss[17] = 0.9
    names = [f"row {i + 2}" for i in range(len(n))]
    fit = fit_chinchilla(n, d, loss, bootstrap=0, hold_out=False, names=names)
    assert warns(fit, "Loss below the irreducible loss E = 1.69: row 19 (loss 0.9)")
    assert pytest.approx(1.69, rel=1e-3) == fit.law.E  # one run far off pulls with no more than delta


def test_exponents_that_only_their_combination_is_known_of_are_warned_of():
    n, d = grid(3, 3)
    n, d = numpy.repeat(n, 2) ** 0.02 * 1e9**0.98, numpy.repeat(d, 2)  # sizes within a tenth of each other
    fit = fit_chinchilla(n, d, noisy(CHINCHILLA, n, d, 0.01, 10), bootstrap=200, hold_out=False)
    assert warns(fit, "alpha is not away from zero") or warns(fit, "strongly correlated")


def test_params_in_millions_are_warned_of():
    n, d = grid()
    fit = fit_chinchilla(n / 1e6, d, CHINCHILLA(n, d), bootstrap=0, hold_out=False)
    assert warns(fit, "looks like millions")
    assert fit.law.alpha == pytest.approx(0.34, rel=1e-6)  # the exponents do not care


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_losses_of_any_magnitude_are_fitted(scale):
    n, d = grid()
    fit = fit_chinchilla(n, d, scale * CHINCHILLA(n, d), bootstrap=0, hold_out=False)
    assert pytest.approx(1.69 * scale, rel=1e-6) == fit.law.E
    assert fit.law.beta == pytest.approx(0.28, rel=1e-6)


@pytest.mark.parametrize("term", ["params", "tokens"])
def test_a_loss_that_one_variable_does_not_move_is_no_crash(term):
    n, d = grid()
    loss = 2 + (406.4 / n**0.34 if term == "tokens" else 410.7 / d**0.28)
    fit = fit_chinchilla(n, d, noisy(lambda *_: loss, n, d, 0.005, 11), bootstrap=200, hold_out=False)
    assert numpy.isfinite(fit.objective)
    assert fit.warnings


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(params=[1e7] * 9), "one size only"),
        (dict(tokens=[1e9] * 9), "one token count only"),
        (dict(loss=[3.0] * 8 + [float("nan")]), r"loss\[8\] is nan"),
        (dict(loss=[3.0] * 8 + [-1.0]), r"loss\[8\] is -1"),
        (dict(params=[0.0] + [1e7] * 8), r"params\[0\] is 0"),
        (dict(loss=[3.0] * 5), "9 params and 9 tokens and 5 loss"),
        (dict(seed=[1, 2]), "one seed for each of the 9 runs"),
        (dict(params=[[1e7]] * 9), "one number for each run"),
        (dict(params=[1e7] * 3 + ["70M"] + [1e7] * 5), r"params\[3\] is '70M'"),
        (dict(loss=[None] + [3.0] * 8), r"loss\[0\] is nan"),
        (dict(params=[1e7, 2e7], tokens=[1e9, 2e9], loss=[3.0, 2.9]), "2 runs cannot hold a law with five parameters"),
        (dict(params=[], tokens=[], loss=[]), "0 runs cannot hold"),
    ],
)
def test_bad_arrays_are_refused(change, says):
    n, d = grid(3, 3)
    with pytest.raises(ZeroscaleError, match=says):
        fit_chinchilla(**{"params": n, "tokens": d, "loss": CHINCHILLA(n, d), **change})
