"""The solver: gives noise-free parameters back, and finds what SciPy's own minimiser finds."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import huber

from zeroscale.scaling.estimators.power_law_solver import HUBER_DELTA, solve_power_law
from zeroscale.scaling.laws.power_law import PowerLaw

KAPLAN = PowerLaw(alpha=0.076, log_A=0.076 * numpy.log(8.8e13))


def test_kaplans_law_is_written_as_published():
    # Kaplan et al. 2020, equation 1.1: L(N) = (8.8e13 / N)^0.076; N_c itself has a loss of 1 nat.
    assert KAPLAN([8.8e13])[0] == pytest.approx(1.0, rel=1e-12)
    assert KAPLAN([1e9])[0] == pytest.approx((8.8e13 / 1e9) ** 0.076, rel=1e-12)
    assert KAPLAN.log_N_c == pytest.approx(numpy.log(8.8e13), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.integers(4, 12),
    reach=st.floats(10, 1e5),
    smallest=st.floats(1e4, 1e8),
    alpha=st.floats(0.05, 0.6),
    height=st.floats(0.5, 5),
    floor=st.floats(0.2, 2.5),
)
def test_noise_free_losses_give_all_three_parameters_back(sizes, reach, smallest, alpha, height, floor):
    params = numpy.geomspace(smallest, smallest * reach, sizes)
    law = PowerLaw(alpha, numpy.log(height) + alpha * numpy.log(smallest), floor)
    found = solve_power_law(params, numpy.log(law(params))[None], irreducible=True)
    assert found.alpha[0] == pytest.approx(law.alpha, rel=1e-6)
    assert found.log_A[0] == pytest.approx(law.log_A, rel=1e-6, abs=1e-6)
    assert found.irreducible[0] == pytest.approx(floor, rel=1e-6)
    assert found.converged[0]


@settings(max_examples=30, deadline=None)
@given(sizes=st.integers(2, 12), reach=st.floats(1.5, 1e5), alpha=st.floats(0.02, 0.6))
def test_noise_free_losses_give_the_law_without_floor_back(sizes, reach, alpha):
    params = numpy.geomspace(1e5, 1e5 * reach, sizes)
    law = PowerLaw(alpha, 20 * alpha)
    found = solve_power_law(params, numpy.log(law(params))[None], irreducible=False)
    assert found.alpha[0] == pytest.approx(alpha, rel=1e-6)
    assert found.log_A[0] == pytest.approx(law.log_A, rel=1e-6)
    assert found.irreducible[0] == 0


def test_a_floor_of_zero_is_found_as_zero():
    params = numpy.geomspace(1e5, 1e9, 8)
    found = solve_power_law(params, numpy.log(KAPLAN(params))[None], irreducible=True)
    assert found.irreducible[0] < 1e-6


@pytest.mark.parametrize("noise", [0.002, 0.02, 0.2])
@pytest.mark.parametrize("irreducible", [False, True])
def test_the_optimum_is_scipys(noise, irreducible):
    generator = numpy.random.default_rng(3)
    params = numpy.geomspace(1e6, 1e9, 9)
    law = PowerLaw(0.3, 0.3 * numpy.log(1e8), 1.7)
    log_loss = numpy.log(law(params)) + noise * generator.standard_normal((5, 9))
    found = solve_power_law(params, log_loss, irreducible=irreducible)
    for row in range(5):

        def objective(theta, row=row):
            log_a, alpha, log_floor = theta
            floor = numpy.exp(log_floor) if irreducible else 0.0
            with numpy.errstate(all="ignore"):
                fitted = numpy.log(floor + numpy.exp(log_a - alpha * numpy.log(params / 3e7)))
            value = huber(HUBER_DELTA, fitted - log_loss[row]).sum()
            return value if numpy.isfinite(value) else 1e9

        starts = [(0.5, slope, floor) for slope in (0.1, 0.3, 1) for floor in (-2, 0, 0.5)]
        options = {"maxiter": 4000, "xatol": 1e-10, "fatol": 1e-14}
        best = min(minimize(objective, start, method="Nelder-Mead", options=options).fun for start in starts)
        assert found.objective[row] <= best * (1 + 1e-6)


def test_weights_count_points_as_often_as_they_say():
    generator = numpy.random.default_rng(0)
    params = numpy.geomspace(1e6, 1e9, 6)
    log_loss = numpy.log(KAPLAN(params)) + 0.01 * generator.standard_normal(6)
    weights = numpy.array([[2.0, 0, 1, 3, 0, 1]])
    drawn = numpy.repeat(numpy.arange(6), weights[0].astype(int))
    weighted = solve_power_law(params, log_loss[None], weights, irreducible=False)
    repeated = solve_power_law(params[drawn], log_loss[drawn][None], irreducible=False)
    assert weighted.alpha[0] == pytest.approx(repeated.alpha[0], rel=1e-9)
    assert weighted.objective[0] == pytest.approx(repeated.objective[0], rel=1e-9)


def test_one_wild_run_barely_moves_the_law():
    params = numpy.geomspace(1e5, 1e9, 9)
    log_loss = numpy.log(KAPLAN(params))
    wild = log_loss.copy()
    wild[4] += numpy.log(2)
    found = solve_power_law(params, numpy.stack([log_loss, wild]), irreducible=False)
    assert abs(found.alpha[1] - found.alpha[0]) < 0.001
    assert abs(found.log_loss(params)[1] - log_loss).max() < 0.005
