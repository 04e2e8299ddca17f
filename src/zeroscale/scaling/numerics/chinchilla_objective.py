"""The objective of Hoffmann et al. 2022, section 3.3, with its gradient and Hessian, for many laws at once.

    sum_i w_i Huber_delta( ln L_law(N_i, D_i) - ln L_i )

A law is theta = (u, v, e, alpha, beta): u = ln A - alpha m, v = ln B - beta m', e = ln E, with m and m' the means of
ln N and ln D. Their a and b are ln A and ln B; at the middle of the data instead of at N = D = 1, heights and slopes
are nearly independent, and the solver need not creep along a curved valley.
"""

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zeroscale.scaling.laws.surface import Surface

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import BoolArray, FloatArray

HUBER_DELTA = 1e-3
# Hoffmann et al. 2022, appendix D.3: 6 · 6 · 5 · 5 · 5 = 4,500 starts.
GRID = {
    "a": (0.0, 5.0, 10.0, 15.0, 20.0, 25.0),
    "b": (0.0, 5.0, 10.0, 15.0, 20.0, 25.0),
    "e": (-1.0, -0.5, 0.0, 0.5, 1.0),
    "alpha": (0.0, 0.5, 1.0, 1.5, 2.0),
    "beta": (0.0, 0.5, 1.0, 1.5, 2.0),
}
# Numbers in one working array: five of them stay in a core's cache.
_TILE = 16384


@dataclass(frozen=True)
class ChinchillaObjective:
    """The data of a fit: N, D and L of n runs, and the Huber delta."""

    params: "FloatArray"
    tokens: "FloatArray"
    loss: "FloatArray"
    delta: float = HUBER_DELTA
    x: "FloatArray" = field(init=False)
    y: "FloatArray" = field(init=False)
    z: "FloatArray" = field(init=False)
    middle: tuple[float, float] = field(init=False)
    """Means of ln N and ln D."""
    _powers_of_x: "FloatArray" = field(init=False)
    _powers_of_y: "FloatArray" = field(init=False)

    def __post_init__(self) -> None:
        import numpy

        for name, values in (("x", self.params), ("y", self.tokens), ("z", self.loss)):
            object.__setattr__(self, name, numpy.log(values))
        object.__setattr__(self, "middle", (float(self.x.mean()), float(self.y.mean())))
        # [n, 3]: 1, ln N and its square, centred; the same of D.
        for name, values, middle in (
            ("_powers_of_x", self.x, self.middle[0]),
            ("_powers_of_y", self.y, self.middle[1]),
        ):
            centred = values - middle
            object.__setattr__(self, name, numpy.stack([numpy.ones_like(centred), centred, centred**2], axis=1))

    def __len__(self) -> int:
        return len(self.loss)

    def take(self, rows: "BoolArray") -> "ChinchillaObjective":
        """Some of the runs."""
        return ChinchillaObjective(self.params[rows], self.tokens[rows], self.loss[rows], self.delta)

    def starts(self) -> "FloatArray":
        """[4500, 5]: the published grid."""
        import numpy

        theta = numpy.array(list(itertools.product(*GRID.values())))
        theta[:, 0] -= theta[:, 3] * self.middle[0]
        theta[:, 1] -= theta[:, 4] * self.middle[1]
        return theta

    def theta(self, law: Surface) -> "FloatArray":
        """[S, 5] of S laws (or of one). E = 0, which has no logarithm, becomes a thousandth of the smallest loss."""
        import numpy

        floor = numpy.maximum(law.E, 1e-3 * self.loss.min())
        rows = (
            law.log_A - law.alpha * self.middle[0],
            law.log_B - law.beta * self.middle[1],
            numpy.log(floor),
            law.alpha,
            law.beta,
        )
        return numpy.stack([numpy.atleast_1d(numpy.asarray(row, float)) for row in rows], axis=1)

    def law(self, theta: "FloatArray") -> Surface:
        """The laws [S] of theta [S, 5]."""
        import numpy

        u, v, e, alpha, beta = theta.T
        return Surface(numpy.exp(e), u + alpha * self.middle[0], v + beta * self.middle[1], alpha, beta)

    def value_and_gradient(
        self, theta: "FloatArray", weights: "FloatArray | None"
    ) -> tuple["FloatArray", "FloatArray"]:
        """Objective [S] and gradient [S, 5]; not finite where a law has run away. In tiles that fit a core's cache."""
        import numpy

        count, n = len(theta), len(self)
        tile = max(1, _TILE // n)
        room = numpy.empty((5, min(tile, count), n))
        value, gradient = numpy.empty(count), numpy.empty((count, 5))
        for first in range(0, count, tile):
            rows = slice(first, first + tile)
            part = theta[rows]
            some = None if weights is None else weights[rows]
            self._tile(part, some, room[:, : len(part)], value[rows], gradient[rows])
        return value, gradient

    def _tile(
        self,
        theta: "FloatArray",
        weights: "FloatArray | None",
        room: "FloatArray",
        value: "FloatArray",
        gradient: "FloatArray",
    ) -> None:
        import numpy

        by_size, by_data, total, residual, pull = room
        _power(theta[:, 0:1], theta[:, 3:4], self._powers_of_x[:, 1], by_size)
        _power(theta[:, 1:2], theta[:, 4:5], self._powers_of_y[:, 1], by_data)
        floor = numpy.exp(theta[:, 2:3])
        numpy.add(by_size, by_data, out=total)
        total += floor
        numpy.log(total, out=residual)
        residual -= self.z
        numpy.clip(residual, -self.delta, self.delta, out=pull)
        # With p the residual cut to ±delta, Huber's function is p (r - p / 2), and p its derivative.
        weighted = pull if weights is None else numpy.multiply(pull, weights, out=numpy.empty_like(pull))
        residual -= pull / 2
        value[:] = numpy.einsum("sn,sn->s", weighted, residual)
        share = numpy.divide(weighted, total, out=total)
        gradient[:, 2] = share.sum(1) * floor[:, 0]
        by_size *= share
        by_data *= share
        moments = by_size @ self._powers_of_x[:, :2]
        gradient[:, 0], gradient[:, 3] = moments[:, 0], -moments[:, 1]
        moments = by_data @ self._powers_of_y[:, :2]
        gradient[:, 1], gradient[:, 4] = moments[:, 0], -moments[:, 1]


def _power(height: "FloatArray", exponent: "FloatArray", x: "FloatArray", out: "FloatArray") -> None:
    """exp(height - exponent x) [S, n], into `out`."""
    import numpy

    numpy.multiply(exponent, x, out=out)
    numpy.subtract(height, out, out=out)
    numpy.exp(out, out=out)
