"""Chinchilla's surface by variable projection: a search over the two exponents, non-negative least squares inside.

For given exponents L = E + A N^-alpha + B D^-beta is linear in E, A and B, so that only two dimensions are searched
(Golub & Pereyra 1973); E, A, B >= 0 by non-negative least squares (Lawson & Hanson 1974). The objective is the plain
sum of squares of L_law - L_measured, in nats: another one than approach 3's, minimised in another way, which makes it a
cross-check of both.
"""

from itertools import combinations
from typing import TYPE_CHECKING

from zeroscale.scaling.estimators.results import SurfaceFit
from zeroscale.scaling.estimators.surface_fit import SurfaceSolution, fit_surface
from zeroscale.scaling.laws.surface import Surface
from zeroscale.scaling.numerics.batched_bfgs import batched_bfgs
from zeroscale.scaling.numerics.chinchilla_objective import ChinchillaObjective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroscale.scaling.numerics.arrays import Column, FloatArray, IntArray


# The exponents that the grid tries, evenly in their logarithm, and how many of its valleys are searched on.
LOWEST, HIGHEST, STEPS = 0.01, 3.0, 60
_VALLEYS = 6
_TILE = 16384
_POLISH = 60
_BALANCED = 1e-6


class VariableProjection:
    """Solves the whole problem, the problem near a law, and resampled problems near a law."""

    name = "vpnls"

    def objective_form(self, runs: ChinchillaObjective) -> str:
        return "sum of (L_law - L_measured)^2, nats^2"

    def solve(self, runs: ChinchillaObjective) -> SurfaceSolution:
        """From the valleys of a grid of exponents; the best end gets all five parameters polished together."""
        import numpy

        grid = numpy.geomspace(LOWEST, HIGHEST, STEPS)
        table = numpy.stack(numpy.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
        value = Projection(runs)(numpy.log(table), None)[0].reshape(STEPS, STEPS)
        starts = table[_valleys(value)]
        minima = batched_bfgs(Projection(runs), numpy.log(starts))
        close = minima.value.min() * (1 + 1e-4) + 1e-16 * float((runs.loss**2).sum())
        reached = int(numpy.count_nonzero(minima.value <= close))
        return self._polished(runs, minima.theta[int(numpy.argmin(minima.value))], len(starts), reached)

    def near(self, runs: ChinchillaObjective, law: Surface) -> SurfaceSolution:
        """From one law, for data that differ little from those it was fitted to."""

        minima = batched_bfgs(Projection(runs), _log_exponents(law))
        return self._polished(runs, minima.theta[0], 1, 1)

    def resampled(self, runs: ChinchillaObjective, weights: "FloatArray", solved: SurfaceSolution) -> Surface:
        """Laws [S] of S weightings of the runs, each from the exponents of all of them."""
        import numpy

        start = _log_exponents(solved.law)
        minima = batched_bfgs(Projection(runs), numpy.repeat(start, len(weights), axis=0), weights)
        return Projection(runs).laws(minima.theta, weights)

    def _polished(
        self, runs: ChinchillaObjective, log_exponents: "FloatArray", starts: int, reached: int
    ) -> SurfaceSolution:
        import numpy

        law, converged = gauss_newton(runs, Projection(runs).laws(log_exponents[None], None))
        fitted = law(runs.params, runs.tokens)
        squares = float(((fitted - runs.loss) ** 2).sum())
        with numpy.errstate(all="ignore"):
            residual = numpy.log(fitted) - runs.z
        return SurfaceSolution(law, squares, converged, residual, None, starts, reached)


class Projection:
    """Sum of squares [S] with E, A and B at their best for the exponents exp(theta) [S, 2], and its gradient.

    By the envelope theorem the gradient is that at fixed E, A and B.
    """

    def __init__(self, runs: ChinchillaObjective) -> None:
        self.runs = runs
        self.x, self.y = runs.x - runs.middle[0], runs.y - runs.middle[1]

    def __call__(self, theta: "FloatArray", weights: "FloatArray | None") -> tuple["FloatArray", "FloatArray"]:
        import numpy

        value, gradient = numpy.empty(len(theta)), numpy.empty((len(theta), 2))
        for rows in self._tiles(len(theta)):
            exponents = numpy.exp(theta[rows])
            columns, weight = self._columns(exponents, weights, rows)
            linear = nnls(columns, self.runs.loss, weight)
            residual = numpy.einsum("sk,skn->sn", linear, columns) - self.runs.loss
            weighted = residual * weight
            value[rows] = (weighted * residual).sum(1)
            for k, at in ((1, self.x), (2, self.y)):
                slope = -2 * linear[:, k] * ((weighted * columns[:, k]) @ at)
                gradient[rows, k - 1] = slope * exponents[:, k - 1]
        # Beyond these exponents a term is a constant, or one single run.
        outside = ((theta < numpy.log(LOWEST / 10)) | (theta > numpy.log(10 * HIGHEST))).any(1)
        value[outside] = numpy.inf
        return value, gradient

    def laws(self, theta: "FloatArray", weights: "FloatArray | None") -> Surface:
        """The laws [S] of the exponents exp(theta) [S, 2]. A term that is not there has A = 0."""
        import numpy

        linear = numpy.empty((len(theta), 3))
        exponents = numpy.exp(theta)
        for rows in self._tiles(len(theta)):
            columns, weight = self._columns(exponents[rows], weights, rows)
            linear[rows] = nnls(columns, self.runs.loss, weight)
        alpha, beta = exponents.T
        with numpy.errstate(divide="ignore"):
            heights = numpy.log(linear)
        middle = self.runs.middle
        return Surface(linear[:, 0], heights[:, 1] + alpha * middle[0], heights[:, 2] + beta * middle[1], alpha, beta)

    def _tiles(self, count: int) -> list[slice]:
        tile = max(1, _TILE // len(self.runs))
        return [slice(first, first + tile) for first in range(0, count, tile)]

    def _columns(
        self, exponents: "FloatArray", weights: "FloatArray | None", rows: slice
    ) -> tuple["FloatArray", "FloatArray"]:
        """1, N^-alpha and D^-beta about the middle of the data, [S, 3, n], and the weights [S, n] or [1, n]."""
        import numpy

        columns = numpy.ones((len(exponents), 3, len(self.runs)))
        columns[:, 1] = numpy.exp(-exponents[:, :1] * self.x)
        columns[:, 2] = numpy.exp(-exponents[:, 1:] * self.y)
        return columns, numpy.ones((1, len(self.runs))) if weights is None else weights[rows]


def nnls(columns: "FloatArray", target: "FloatArray", weights: "FloatArray") -> "FloatArray":
    """min sum_i w_i (sum_k c_k columns_ki - target_i)^2 over c >= 0, for S problems of three columns: [S, 3].

    With three unknowns the solution is the best of those of all subsets of the columns that come out positive (the
    problem is convex): seven small systems instead of an iteration.
    """
    import numpy

    # Columns of length one, so that steep terms do not swamp the others.
    length = numpy.sqrt(
        numpy.einsum("skn,skn,sn->sk", columns, columns, numpy.broadcast_to(weights, columns[:, 0].shape))
    )
    length = numpy.where(length > 0, length, 1.0)
    weighted = columns * weights[:, None, :]
    gram = numpy.einsum("skn,sln->skl", weighted, columns) / (length[:, :, None] * length[:, None, :])
    right = (weighted @ target) / length
    best, gain = numpy.zeros_like(right), numpy.zeros(len(right))
    for size in (3, 2, 1):
        for subset in combinations(range(3), size):
            part = list(subset)
            matrix = gram[:, part][:, :, part] + 1e-15 * numpy.eye(size)
            solution = numpy.linalg.solve(matrix, right[:, part, None])[..., 0]
            # What it takes off the sum of squares.
            taken = (solution * right[:, part]).sum(1)
            better = (solution >= 0).all(1) & (taken > gain)
            gain = numpy.where(better, taken, gain)
            row = numpy.zeros_like(right)
            row[:, part] = solution
            best = numpy.where(better[:, None], row, best)
    return best / length


def gauss_newton(runs: ChinchillaObjective, laws: Surface) -> tuple[Surface, bool]:
    """Gauss-Newton on all five parameters, by orthogonal factors, from the first of the laws. Terms at zero stay there.

    The projection's normal equations square the condition number; this brings back the digits they cost.
    """
    import numpy

    x, y = runs.x - runs.middle[0], runs.y - runs.middle[1]
    first = laws.take(0)
    alpha, beta = float(first.alpha), float(first.beta)
    with numpy.errstate(under="ignore"):
        a = float(numpy.exp(first.log_A - alpha * runs.middle[0]))
        b = float(numpy.exp(first.log_B - beta * runs.middle[1]))
    theta = numpy.array([float(first.E), a, b, alpha, beta])
    free = numpy.array([theta[0] > 0, a > 0, b > 0, a > 0, b > 0])
    residual, jacobian = _linearised(theta, x, y, runs.loss)
    damping = 0.0
    for _ in range(_POLISH):
        step = numpy.zeros(5)
        step[free] = _damped(jacobian[:, free], -residual, damping)
        new = theta + step
        new[:3] = numpy.maximum(new[:3], 0.0)
        trial, slopes = _linearised(new, x, y, runs.loss)
        # An exponent below zero is a loss that rises; the projection has looked at all others already.
        if not (trial @ trial < residual @ residual) or (new[3:] <= 0).any():
            damping = max(10 * damping, 1e-8)
            if damping > 1e3 or numpy.abs(step).max() < 1e-16:
                break
            continue
        theta, residual, jacobian, damping = new, trial, slopes, damping / 10 if damping > 1e-12 else 0.0
    gradient = jacobian[:, free].T @ residual
    scale = numpy.linalg.norm(jacobian[:, free], axis=0) * max(float(numpy.linalg.norm(residual)), 1e-300)
    exact = float(numpy.abs(residual).max()) < 1e-12 * float(runs.loss.max())
    converged = exact or bool((numpy.abs(gradient) <= _BALANCED * scale).all())
    floor, a, b, alpha, beta = (float(value) for value in theta)
    with numpy.errstate(divide="ignore"):
        heights = float(numpy.log(a)) + alpha * runs.middle[0], float(numpy.log(b)) + beta * runs.middle[1]
    return Surface(floor, *heights, alpha, beta), converged


def _linearised(
    theta: "FloatArray", x: "FloatArray", y: "FloatArray", loss: "FloatArray"
) -> tuple["FloatArray", "FloatArray"]:
    import numpy

    floor, a, b, alpha, beta = theta
    with numpy.errstate(over="ignore", invalid="ignore"):
        u, v = numpy.exp(-alpha * x), numpy.exp(-beta * y)
        slopes = numpy.stack([numpy.ones_like(u), u, v, -a * u * x, -b * v * y], axis=1)
        return floor + a * u + b * v - loss, slopes


def _damped(jacobian: "FloatArray", target: "FloatArray", damping: float) -> "FloatArray":
    """Least squares of jacobian · step = target, with Levenberg's rows below; columns scaled to length one."""
    import numpy

    length = numpy.maximum(numpy.linalg.norm(jacobian, axis=0), 1e-300)
    rows = numpy.vstack([jacobian / length, numpy.sqrt(damping) * numpy.eye(len(length))])
    padded = numpy.concatenate([target, numpy.zeros(len(length))])
    step: FloatArray = numpy.linalg.lstsq(rows, padded, rcond=None)[0] / length
    return step


def _log_exponents(law: Surface) -> "FloatArray":
    """[1, 2]: the logarithms of the law's exponents, held within the range of the grid."""
    import numpy

    bounded: FloatArray = numpy.clip(numpy.array([[law.alpha, law.beta]], float), LOWEST, HIGHEST)
    return numpy.log(bounded)


def _valleys(value: "FloatArray") -> "IntArray":
    """Flat indices of the grid points that no neighbour is below, lowest first."""
    import numpy

    around = numpy.pad(value, 1, constant_values=numpy.inf)
    rows, columns = value.shape
    lowest = numpy.ones(value.shape, bool)
    for i in range(3):
        for j in range(3):
            lowest &= value <= around[i : i + rows, j : j + columns]
    index = numpy.flatnonzero(lowest)
    return index[numpy.argsort(value.ravel()[index], kind="stable")][:_VALLEYS]


def fit_vpnls(
    params: "Column",
    tokens: "Column",
    loss: "Column",
    *,
    seed: "Column | None" = None,
    bootstrap: int = 4000,
    random_seed: int = 0,
    hold_out: bool = True,
    names: "Sequence[str] | None" = None,
) -> SurfaceFit:
    """Fits L = E + A/N^alpha + B/D^beta by least squares in nats; E, A, B >= 0. Arguments as in `fit_chinchilla`."""
    return fit_surface(
        VariableProjection(),
        params,
        tokens,
        loss,
        seed=seed,
        names=names,
        bootstrap=bootstrap,
        random_seed=random_seed,
        hold_out=hold_out,
    )
