"""Variable projection: SciPy's non-negative least squares inside, the law behind the runs outside."""

import numpy
import pytest
from scipy.optimize import approx_fprime, least_squares
from scipy.optimize import nnls as scipy_nnls

from zeroscale.scaling import Surface, fit_chinchilla, fit_vpnls
from zeroscale.scaling.estimators.variable_projection import Projection, nnls
from zeroscale.scaling.numerics.chinchilla_objective import ChinchillaObjective

CHINCHILLA = Surface.of(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)


def grid(sizes=6, token_counts=6):
    n, d = numpy.meshgrid(numpy.geomspace(5e7, 1e10, sizes), numpy.geomspace(1e9, 3e11, token_counts))
    return n.ravel(), d.ravel()


def noisy(n, d, scale, seed):
    return CHINCHILLA(n, d) * numpy.exp(scale * numpy.random.default_rng(seed).standard_normal(len(n)))


def test_non_negative_least_squares_is_scipys():
    draw = numpy.random.default_rng(0)
    columns, target = draw.standard_normal((500, 3, 20)), draw.standard_normal(20)
    weights = draw.integers(0, 4, (500, 20)).astype(float)
    found = nnls(columns, target, weights)
    assert (found == 0).any() and (found > 0).all(1).any()
    for row in range(len(found)):
        root = numpy.sqrt(weights[row])
        assert found[row] == pytest.approx(scipy_nnls((columns[row] * root).T, target * root)[0], abs=1e-9)


def test_the_projected_gradient_is_that_of_the_projected_objective():
    n, d = grid(4, 4)
    objective = Projection(ChinchillaObjective(n, d, noisy(n, d, 0.05, 1)))
    for exponents in ([0.34, 0.28], [0.1, 1.0], [2.0, 0.05]):
        point = numpy.log(exponents)
        slopes = approx_fprime(point, lambda theta: objective(theta[None], None)[0][0], 1e-6)
        assert objective(point[None], None)[1][0] == pytest.approx(slopes, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("E", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.2), (0.2, 0.6), (0.34, 0.28), (0.6, 0.2), (0.6, 0.6)])
def test_a_noise_free_law_is_recovered(E, alpha, beta):
    n, d = grid()
    law = Surface.of(E=E, A=0.7 * 1e9**alpha, B=0.5 * 1e11**beta, alpha=alpha, beta=beta)
    fit = fit_vpnls(n, d, law(n, d), bootstrap=0, hold_out=False)
    assert fit.converged
    assert pytest.approx(E, abs=1e-8) == fit.law.E
    for name in ("A", "B", "alpha", "beta"):
        assert getattr(fit.law, name) == pytest.approx(getattr(law, name), rel=1e-6), name


def test_scipy_finds_no_lower_sum_of_squares():
    n, d = grid()
    loss = noisy(n, d, 0.01, 2)
    fit = fit_vpnls(n, d, loss, bootstrap=0, hold_out=False)

    def residuals(theta):
        E, a, b, alpha, beta = theta
        return E + numpy.exp(a - alpha * numpy.log(n)) + numpy.exp(b - beta * numpy.log(d)) - loss

    best = min(
        2 * least_squares(residuals, start, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=5000).cost
        for start in ([1.69, 6.0, 6.0, 0.34, 0.28], [fit.law.E, fit.law.log_A, fit.law.log_B, fit.law.alpha, 0.3])
    )
    assert fit.objective <= best * (1 + 1e-9)


def test_it_agrees_with_approach_three_on_clean_runs():
    n, d = grid()
    loss = noisy(n, d, 0.002, 3)
    one = fit_vpnls(n, d, loss, bootstrap=300, hold_out=False)
    other = fit_chinchilla(n, d, loss, bootstrap=300, hold_out=False)
    for name in ("E", "alpha", "beta"):
        a, b = one.parameters[name], other.parameters[name]
        assert a.low < getattr(CHINCHILLA, name) < a.high
        assert a.low <= b.high and b.low <= a.high


def test_a_term_that_is_not_there_gets_no_weight():
    n, d = grid()
    fit = fit_vpnls(n, d, 2 + 410.7 / d**0.28, bootstrap=50, hold_out=False)
    assert fit.law(1e6, 1e9) == pytest.approx(fit.law(1e12, 1e9), rel=1e-6)
    assert fit.law.beta == pytest.approx(0.28, rel=1e-5)
    assert any("loss depends on size" in warning for warning in fit.warnings)


@pytest.mark.parametrize("loss", [lambda n: numpy.full(len(n), 3.0), lambda n: 2 + n**0.05])
def test_runs_that_no_law_describes_are_told_so(loss):
    n, d = grid()
    fit = fit_vpnls(n, d, loss(n), bootstrap=50)
    assert fit.law.alpha > 0 and fit.law.beta > 0
    assert any("do not show" in warning for warning in fit.warnings)
