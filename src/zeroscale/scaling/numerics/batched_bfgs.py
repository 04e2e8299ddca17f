"""BFGS from thousands of starts, or on thousands of resampled data sets, at once: numpy, float64, a few threads.

Each row has its own inverse Hessian and its own line search (weak Wolfe conditions by bisection, which Lewis & Overton
2013, "Nonsmooth optimization via quasi-Newton methods", show to work where the objective has kinks: with a Huber delta
far below the scatter of the data it nearly has). One evaluation of all rows is one step of all line searches, so that
no row waits for another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.core.machine import cpu_cores, thread_count

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import BoolArray, FloatArray, IntArray

# (theta [S, k], weights [S, n] or None) → (objective [S], gradient [S, k]).
Objective = Callable[["FloatArray", "FloatArray | None"], tuple["FloatArray", "FloatArray"]]

BLOCK = 512
_EVALUATIONS = 600
# A row is done when three accepted steps in a row lower its objective by less than this share.
_TOLERANCE = 1e-11
_ARMIJO, _CURVATURE = 1e-4, 0.9


@dataclass(frozen=True)
class Minima:
    """Where each start ended: theta [S, k], objective [S], converged [S]."""

    theta: "FloatArray"
    value: "FloatArray"
    converged: "BoolArray"


def batched_bfgs(
    objective: Objective,
    starts: "FloatArray",
    weights: "FloatArray | None" = None,
    *,
    inverse_hessian: "FloatArray | None" = None,
    tolerance: float = _TOLERANCE,
) -> Minima:
    """Runs BFGS from every row of `starts` [S, k]; row s has the weights of row s [S, n], where there are any.

    Blocks of rows are shared between threads (numpy lets go of the interpreter's lock); the result does not depend on
    their number.

    Args:
        inverse_hessian: [k, k], the first guess for every row; steepest descent by default, scaled after a step.
    """
    from concurrent.futures import ThreadPoolExecutor

    import numpy

    def run(first: int) -> Minima:
        rows = slice(first, first + BLOCK)
        block_weights = None if weights is None else weights[rows]
        return _block(objective, starts[rows], block_weights, inverse_hessian, tolerance)

    firsts = range(0, len(starts), BLOCK)
    with ThreadPoolExecutor(min(threads(), len(firsts)) or 1) as pool:
        parts = list(pool.map(run, firsts))
    return Minima(
        numpy.concatenate([part.theta for part in parts]),
        numpy.concatenate([part.value for part in parts]),
        numpy.concatenate([part.converged for part in parts]),
    )


def threads() -> int:
    """As many as this process may use; OMP_NUM_THREADS, where set, is the limit."""
    usable = cpu_cores()
    return min(usable, thread_count() or usable)


@dataclass
class _Rows:
    """The rows still under way: their numbers, points, objective, gradient, direction, step, bracket, curvature."""

    number: "IntArray"
    theta: "FloatArray"
    value: "FloatArray"
    gradient: "FloatArray"
    direction: "FloatArray"
    step: "FloatArray"
    low: "FloatArray"
    high: "FloatArray"
    inverse: "FloatArray"
    unscaled: "BoolArray"
    flat: "IntArray"
    weights: "FloatArray | None"

    def keep(self, rows: "BoolArray") -> None:
        for name, values in vars(self).items():
            if values is not None:
                setattr(self, name, values[rows])


def _block(
    objective: Objective,
    starts: "FloatArray",
    weights: "FloatArray | None",
    inverse: "FloatArray | None",
    tolerance: float,
) -> Minima:
    import numpy

    with numpy.errstate(all="ignore"):
        rows = _begin(objective, starts, weights, inverse)
        minima = Minima(rows.theta.copy(), rows.value.copy(), numpy.zeros(len(starts), bool))
        for _ in range(_EVALUATIONS):
            done = _advance(objective, rows, tolerance)
            if done.any():
                ended = rows.number[done]
                minima.theta[ended], minima.value[ended] = rows.theta[done], rows.value[done]
                minima.converged[ended] = True
                rows.keep(~done)
            if not len(rows.number):
                break
    minima.theta[rows.number], minima.value[rows.number] = rows.theta, rows.value
    return minima


def _begin(
    objective: Objective, starts: "FloatArray", weights: "FloatArray | None", inverse: "FloatArray | None"
) -> _Rows:
    import numpy

    count, size = starts.shape
    value, gradient = objective(starts, weights)
    guess = numpy.tile(numpy.eye(size) if inverse is None else inverse, (count, 1, 1))
    direction = -numpy.einsum("skl,sl->sk", guess, gradient)
    length = numpy.linalg.norm(direction, axis=1)
    return _Rows(
        number=numpy.arange(count),
        theta=starts.copy(),
        value=value,
        gradient=gradient,
        direction=direction,
        step=numpy.minimum(1.0, 1.0 / numpy.maximum(length, 1e-300)),
        low=numpy.zeros(count),
        high=numpy.full(count, numpy.inf),
        inverse=guess,
        unscaled=numpy.full(count, inverse is None),
        flat=numpy.zeros(count, int),
        weights=weights,
    )


def _advance(objective: Objective, rows: _Rows, tolerance: float) -> "BoolArray":
    """One evaluation of every row: its step is taken, or its bracket narrowed. Returns which rows are done [S]."""
    import numpy

    move = rows.step[:, None] * rows.direction
    theta = rows.theta + move
    value, gradient = objective(theta, rows.weights)
    slope = (rows.gradient * rows.direction).sum(1)
    lower = numpy.isfinite(value) & (value <= rows.value + _ARMIJO * rows.step * slope)
    taken = lower & ((gradient * rows.direction).sum(1) >= _CURVATURE * slope)

    high = numpy.where(lower, rows.high, rows.step)
    low = numpy.where(lower, rows.step, rows.low)
    step = numpy.where(numpy.isinf(high), 2 * rows.step, (low + high) / 2)
    stuck = ~taken & ((high - low < 1e-14 * high) | (step > 1e10) | (numpy.abs(move).max(1) < 1e-15))

    _update(rows, taken, move, gradient - rows.gradient)
    small = rows.value - value <= tolerance * numpy.abs(value)
    rows.flat = numpy.where(taken, numpy.where(small, rows.flat + 1, 0), rows.flat)
    rows.theta[taken], rows.value[taken], rows.gradient[taken] = theta[taken], value[taken], gradient[taken]

    fresh = -numpy.einsum("skl,sl->sk", rows.inverse, rows.gradient)
    lost = taken & ~((fresh * rows.gradient).sum(1) < 0)
    fresh[lost], rows.inverse[lost] = -rows.gradient[lost], numpy.eye(theta.shape[1])
    rows.direction = numpy.where(taken[:, None], fresh, rows.direction)
    rows.step = numpy.where(taken, 1.0, step)
    rows.low, rows.high = numpy.where(taken, 0.0, low), numpy.where(taken, numpy.inf, high)
    done: BoolArray = (rows.flat >= 3) | stuck | (numpy.abs(rows.gradient).max(1) < 1e-15)
    return done


def _update(rows: _Rows, taken: "BoolArray", move: "FloatArray", change: "FloatArray") -> None:
    """The BFGS formula for the inverse Hessian H (Nocedal & Wright 2006, equation 6.17) of the rows that moved."""
    import numpy

    curvature = (move * change).sum(1)
    which = numpy.flatnonzero(taken & (curvature > 0))
    if not len(which):
        return
    s, y, rho = move[which], change[which], 1 / curvature[which]
    inverse = rows.inverse[which]
    first = rows.unscaled[which]
    # Nocedal & Wright, equation 6.20: the size of the first guess, known after the first step.
    scale = curvature[which][first] / (y[first] ** 2).sum(1)
    inverse[first] = numpy.eye(s.shape[1]) * scale[:, None, None]
    rows.unscaled[which] = False
    hy = numpy.einsum("skl,sl->sk", inverse, y)
    cross = s[:, :, None] * hy[:, None, :]
    square = rho * (1 + rho * (y * hy).sum(1))
    inverse -= rho[:, None, None] * (cross + cross.transpose(0, 2, 1))
    inverse += square[:, None, None] * (s[:, :, None] * s[:, None, :])
    rows.inverse[which] = inverse
