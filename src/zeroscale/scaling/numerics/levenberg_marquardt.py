"""Robust fits of one curve to S data sets at once: Levenberg-Marquardt with Huber's weights, batched in numpy.

The law with a floor is fitted by its height h, its slope s and its exponent alpha where x = ln N is 0 (the middle):

    L(x) = h + (s / alpha) (exp(-alpha x) - 1),     E = h - s / alpha

h and s are linear in it and alpha only bends it, so that the three are nearly independent. Written as E + exp(a - alpha
x), a floor, a height and a small exponent do almost the same thing, and the solver creeps along a curved valley.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import BoolArray, FloatArray, IntArray

_ITERATIONS = 300


@dataclass(frozen=True)
class Model:
    """A curve: ln L [S, n] at x [n] for theta [S, k], its derivatives [S, n, k], and theta put back into its range."""

    log_loss: Callable[["FloatArray", "FloatArray"], "FloatArray"]
    jacobian: Callable[["FloatArray", "FloatArray"], "FloatArray"]
    project: Callable[["FloatArray"], "FloatArray"]


@dataclass(frozen=True)
class Dataset:
    """S data sets over the same n sizes: x [n] (ln N, centred), y [S, n] (ln L), weights [S, n]."""

    x: "FloatArray"
    y: "FloatArray"
    weights: "FloatArray"
    delta: float

    def take(self, rows: "IntArray") -> "Dataset":
        return Dataset(self.x, self.y[rows], self.weights[rows], self.delta)

    def objective(self, form: Model, theta: "FloatArray") -> "FloatArray":
        """[S]: sum of Huber terms; infinite where a parameter has run away."""
        import numpy

        with numpy.errstate(all="ignore"):
            size = numpy.abs(form.log_loss(theta, self.x) - self.y)
            terms = numpy.where(size <= self.delta, size**2 / 2, self.delta * (size - self.delta / 2))
            # A point that does not count must not spoil the sum by 0 * inf.
            total = numpy.where(self.weights > 0, self.weights * terms, 0.0).sum(1)
        return numpy.where(numpy.isfinite(total), total, numpy.inf)


def _line_log_loss(theta: "FloatArray", x: "FloatArray") -> "FloatArray":
    return theta[:, :1] - theta[:, 1:2] * x


def _line_jacobian(theta: "FloatArray", x: "FloatArray") -> "FloatArray":
    import numpy

    return numpy.broadcast_to(numpy.stack([numpy.ones_like(x), -x], axis=-1), (len(theta), len(x), 2))


def _curve_parts(theta: "FloatArray", x: "FloatArray") -> tuple["FloatArray", "FloatArray", "FloatArray"]:
    """L, u = (exp(-alpha x) - 1) / alpha and du / d alpha, [S, n] each."""
    import numpy

    height, slope, alpha = (theta[:, i : i + 1] for i in range(3))
    # Where alpha x is tiny the quotients are taken from their series: -x + alpha x^2 / 2, and x^2 / 2 - alpha x^3 / 3.
    small = numpy.abs(alpha * x) < 1e-4
    safe = numpy.where(small, 1.0, alpha)
    rise = numpy.expm1(-safe * x)
    u = numpy.where(small, -x + alpha * x**2 / 2, rise / safe)
    bend = numpy.where(small, x**2 / 2 - alpha * x**3 / 3, -(x * (rise + 1) + rise / safe) / safe)
    return height + slope * u, u, bend


def _curve_log_loss(theta: "FloatArray", x: "FloatArray") -> "FloatArray":
    import numpy

    return numpy.log(_curve_parts(theta, x)[0])


def _curve_jacobian(theta: "FloatArray", x: "FloatArray") -> "FloatArray":
    import numpy

    loss, u, bend = _curve_parts(theta, x)
    return numpy.stack([1 / loss, u / loss, theta[:, 1:2] * bend / loss], axis=-1)


def _curve_project(theta: "FloatArray") -> "FloatArray":
    """Keeps E = h - s / alpha at 0 or above, and the power term positive: alpha at s / h or further from zero."""
    import numpy

    with numpy.errstate(all="ignore"):
        edge = theta[:, 1] / theta[:, 0]
    alpha = numpy.where(edge > 0, numpy.maximum(theta[:, 2], edge), numpy.minimum(theta[:, 2], edge))
    return numpy.concatenate([theta[:, :2], alpha[:, None]], axis=1)


# theta = (ln h, alpha) and theta = (h, s, alpha).
POWER_LAW = Model(_line_log_loss, _line_jacobian, lambda theta: theta)
POWER_LAW_WITH_FLOOR = Model(_curve_log_loss, _curve_jacobian, _curve_project)


def start_with_floor(data: Dataset, share: float) -> "FloatArray":
    """[S, 3], (ln A at x = 0, alpha, E) by least squares of ln(L - E), for E = share of the smallest loss."""
    import numpy

    loss = numpy.exp(data.y)
    floor = share * numpy.where(data.weights > 0, loss, numpy.inf).min(1, keepdims=True)
    above = numpy.where(data.weights > 0, loss - floor, 1.0)
    # ln(L - E) scatters L / (L - E) times as much as ln L.
    weight = data.weights * (above / loss) ** 2
    mass = weight.sum(1, keepdims=True)
    target = numpy.log(above)
    x_mean = (weight * data.x).sum(1, keepdims=True) / mass
    mean = (weight * target).sum(1, keepdims=True) / mass
    spread = (weight * (data.x - x_mean) ** 2).sum(1, keepdims=True)
    slope = (weight * (data.x - x_mean) * (target - mean)).sum(1, keepdims=True) / spread
    return numpy.concatenate([mean - slope * x_mean, -slope, floor], axis=1)


def to_curve(theta: "FloatArray") -> "FloatArray":
    """(ln A at x = 0, alpha, E) → (h, s, alpha)."""
    import numpy

    power = numpy.exp(theta[:, 0])
    return numpy.stack([theta[:, 2] + power, theta[:, 1] * power, theta[:, 1]], axis=1)


def from_curve(theta: "FloatArray") -> "FloatArray":
    """(h, s, alpha) → (ln A at x = 0, alpha, E)."""
    import numpy

    height, slope, alpha = theta.T
    with numpy.errstate(all="ignore"):
        # alpha = 0 is a flat curve, which is all power term.
        power = numpy.where(alpha == 0, height, slope / alpha)
        return numpy.stack([numpy.log(power), alpha, numpy.maximum(height - power, 0.0)], axis=1)


def levenberg_marquardt(
    data: Dataset, form: Model, theta: "FloatArray"
) -> tuple["FloatArray", "FloatArray", "BoolArray"]:
    """From each start to its optimum: (theta [S, k], objective [S], converged [S])."""
    import numpy

    theta, value = theta.copy(), data.objective(form, theta)
    damping = numpy.full(len(theta), 1e-4)
    todo = numpy.arange(len(theta))
    for _ in range(_ITERATIONS):
        now, old = data.take(todo), theta[todo]
        new = form.project(old + _step(now, form, old, damping[todo]))
        trial = now.objective(form, new)
        better = trial <= value[todo]
        spent = better & (value[todo] - trial <= 1e-13 * value[todo])
        theta[todo[better]], value[todo[better]] = new[better], trial[better]
        damping[todo] = numpy.clip(damping[todo] * numpy.where(better, 0.1, 10.0), 1e-12, None)
        still = (numpy.abs(new - old) <= 1e-13 * (1 + numpy.abs(old))).all(1)
        todo = todo[~(still | spent | (damping[todo] > 1e9))]
        if not len(todo):
            break
    converged = numpy.ones(len(theta), bool)
    converged[todo] = False
    return theta, value, converged


def _step(data: Dataset, form: Model, theta: "FloatArray", damping: "FloatArray") -> "FloatArray":
    """[S, k], the damped Gauss-Newton step (Marquardt's scaling), residuals beyond delta weighted down to it."""
    import numpy

    with numpy.errstate(all="ignore"):
        residual = form.log_loss(theta, data.x) - data.y
        jacobian = form.jacobian(theta, data.x)
        weight = data.weights * numpy.minimum(1.0, data.delta / numpy.maximum(numpy.abs(residual), 1e-300))
        gradient = numpy.einsum("sn,sn,snk->sk", weight, residual, jacobian)
        hessian = numpy.einsum("sn,snk,snl->skl", weight, jacobian, jacobian)
    diagonal = numpy.einsum("skk->sk", hessian)
    diagonal += damping[:, None] * diagonal + 1e-30
    # A start that has run away gets no step; its objective is infinite and it is never chosen.
    lost = ~(numpy.isfinite(hessian).all((1, 2)) & numpy.isfinite(gradient).all(1))
    hessian[lost], gradient[lost] = numpy.eye(theta.shape[1]), 0.0
    return -numpy.linalg.solve(hessian, gradient[..., None])[..., 0]
