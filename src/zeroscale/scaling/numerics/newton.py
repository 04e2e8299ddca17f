"""Newton's method on Huber's objective, for the last digits of one law, with E linear and held at zero or above."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.scaling.laws.surface import Surface
from zeroscale.scaling.numerics.chinchilla_objective import ChinchillaObjective

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray

_STEPS = 200
# Of the pull of all runs on a parameter, the share that may be left over at an optimum.
_BALANCED = 1e-6
# Below this root mean square of the log residuals only rounding is left to fit.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class NewtonResult:
    """The law, its objective, whether it is a stationary point, and the inverse Hessian there (None if singular).

    `inverse_hessian` is in the coordinates of `Runs.theta`, as `batched_bfgs` takes it.
    """

    law: Surface
    objective: float
    converged: bool
    log_residuals: "FloatArray"
    inverse_hessian: "FloatArray | None"


def newton(runs: ChinchillaObjective, law: Surface) -> NewtonResult:
    """From a point near an optimum to the optimum.

    Huber's function is quadratic within delta and straight beyond, so that the Hessian is that of the runs within
    delta plus the curvature of the law itself. Where too few runs are within delta to hold all five parameters, the
    damping adds the Gauss-Newton matrix of the same objective (residuals beyond delta weighted down to it).
    """
    import numpy

    theta = _linear(runs, law)
    state = _evaluate(runs, theta)
    damping = 1e-6
    for _ in range(_STEPS):
        step = _step(state, theta, damping)
        new = theta + step
        new[2] = max(new[2], 0.0)
        trial = _evaluate(runs, new)
        if trial.value < state.value:
            theta, state, damping = new, trial, max(damping / 10, 1e-14)
        else:
            damping *= 10
        if damping > 1e8 or (numpy.abs(step) <= 1e-16 * (1 + numpy.abs(theta))).all():
            break
    return NewtonResult(
        _law(runs, theta), state.value, _stationary(runs, theta, state), state.residual, _inverse(theta, state.hessian)
    )


@dataclass(frozen=True)
class _State:
    value: float
    gradient: "FloatArray"
    hessian: "FloatArray"
    guide: "FloatArray"
    residual: "FloatArray"
    pulls: "FloatArray"


def _linear(runs: ChinchillaObjective, law: Surface) -> "FloatArray":
    """(u, v, E / unit, alpha, beta): `Runs.theta` with E itself instead of its logarithm."""
    import numpy

    return numpy.array(
        [
            law.log_A - law.alpha * runs.middle[0],
            law.log_B - law.beta * runs.middle[1],
            law.E / _unit(runs),
            law.alpha,
            law.beta,
        ]
    )


def _unit(runs: ChinchillaObjective) -> float:
    import numpy

    return float(numpy.exp(runs.z.mean()))


def _law(runs: ChinchillaObjective, theta: "FloatArray") -> Surface:
    u, v, floor, alpha, beta = (float(value) for value in theta)
    return Surface(floor * _unit(runs), u + alpha * runs.middle[0], v + beta * runs.middle[1], alpha, beta)


def _evaluate(runs: ChinchillaObjective, theta: "FloatArray") -> _State:
    import numpy

    with numpy.errstate(all="ignore"):
        x, y, unit, delta = runs.x - runs.middle[0], runs.y - runs.middle[1], _unit(runs), runs.delta
        by_size, by_data = numpy.exp(theta[0] - theta[3] * x), numpy.exp(theta[1] - theta[4] * y)
        total = by_size + by_data + theta[2] * unit
        residual = numpy.log(total) - runs.z
        p, q = by_size / total, by_data / total
        # d ln L / d theta, [n, 5].
        slope = numpy.stack([p, q, unit / total, -p * x, -q * y], axis=1)
        size = numpy.abs(residual)
        inside = size <= delta
        value = float(numpy.where(inside, residual**2 / 2, delta * (size - delta / 2)).sum())
        pull = numpy.clip(residual, -delta, delta)
        # The Hessian of ln L is that of L divided by L, less slope slope'.
        hessian = (slope * (inside - pull)[:, None]).T @ slope
        for (i, j), share, at in (((0, 3), p, x), ((1, 4), q, y)):
            bend = pull * share
            hessian[i, i] += bend.sum()
            hessian[i, j] -= (bend * at).sum()
            hessian[j, i] -= (bend * at).sum()
            hessian[j, j] += (bend * at**2).sum()
        weight = numpy.minimum(1.0, delta / numpy.maximum(size, 1e-300))
        guide = (slope * weight[:, None]).T @ slope
    value = value if numpy.isfinite(value) else numpy.inf
    return _State(value, slope.T @ pull, hessian, guide, residual, numpy.abs(slope).T @ numpy.abs(pull))


def _step(state: _State, theta: "FloatArray", damping: float) -> "FloatArray":
    """The damped Newton step; the damping grows until the matrix is positive definite."""
    import numpy

    gradient, hessian, guide = state.gradient.copy(), state.hessian.copy(), state.guide.copy()
    if theta[2] <= 0 and gradient[2] > 0:
        # E rests at zero: a smaller one is no law.
        for matrix in (hessian, guide):
            matrix[2], matrix[:, 2] = 0.0, 0.0
            matrix[2, 2] = 1.0
        gradient[2] = 0.0
    guide[numpy.diag_indices(5)] += 1e-12 * numpy.trace(guide) + 1e-300
    while damping < 1e12:
        try:
            factor = numpy.linalg.cholesky(hessian + damping * guide)
            return -numpy.linalg.solve(factor.T, numpy.linalg.solve(factor, gradient))
        except numpy.linalg.LinAlgError:
            damping = max(10 * damping, 1e-12)
    return numpy.zeros(5)


def _stationary(runs: ChinchillaObjective, theta: "FloatArray", state: _State) -> bool:
    import numpy

    if numpy.sqrt(numpy.mean(state.residual**2)) < _ROUNDING:
        return True
    free = numpy.ones(5, bool)
    free[2] = theta[2] > 0 or state.gradient[2] < 0
    balanced = numpy.abs(state.gradient) <= _BALANCED * numpy.maximum(state.pulls, 1e-300)
    # The pull that one run exactly at a kink may take up is no sign of a lower objective.
    return bool(numpy.isfinite(state.value) and balanced[free].all())


def _inverse(theta: "FloatArray", hessian: "FloatArray") -> "FloatArray | None":
    import numpy

    if theta[2] <= 0:
        return None
    # By the chain rule for e = ln E, leaving out the term of the gradient, which is zero here.
    scale = numpy.array([1, 1, theta[2], 1, 1])
    try:
        inverse = numpy.linalg.inv(hessian * scale[:, None] * scale)
        numpy.linalg.cholesky(inverse)
    except numpy.linalg.LinAlgError:
        return None
    return inverse
