"""The power law of loss against size, and the solver that fits many data sets of it at once.

    L(N) = (N_c / N)^alpha          Kaplan et al. 2020, equation 1.1
    L(N) = E + (N_c / N)^alpha      with an irreducible term, as in Henighan et al. 2020, equation 1.1

The objective is that of Hoffmann et al. 2022, section 3.3, cut down to one variable: the *sum* over runs of
Huber_delta(ln L_law - ln L_measured). Their delta is 1e-3; ours is 1e-2, about the scatter of repeated seeds, because
a ladder of four to ten sizes cannot afford to throw away a third of its precision (at a delta far below the scatter
the fit is one of least absolute deviations). A run that is far off still pulls with no more than delta.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.scaling.laws.power_law import PowerLaw
from zeroscale.scaling.numerics.levenberg_marquardt import (
    POWER_LAW,
    POWER_LAW_WITH_FLOOR,
    Dataset,
    from_curve,
    levenberg_marquardt,
    start_with_floor,
    to_curve,
)

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray

HUBER_DELTA = 1e-2
# Shares of the smallest loss that the irreducible term is tried at: the one variable that the fit is not linear in.
_TRIED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.997, 0.999)
_POLISHED = 2


@dataclass(frozen=True)
class PowerLawSolutions:
    """Fits of S data sets: [S] each. `log_A` and `alpha` as in `PowerLaw`, `objective` the sum of Huber terms."""

    alpha: "FloatArray"
    log_A: "FloatArray"
    irreducible: "FloatArray"
    objective: "FloatArray"
    converged: "FloatArray"

    def law(self, index: int) -> PowerLaw:
        """One of them."""
        return PowerLaw(float(self.alpha[index]), float(self.log_A[index]), float(self.irreducible[index]))

    def log_loss(self, params: "FloatArray") -> "FloatArray":
        """ln L [S, n] of every fit at N [n]."""
        import numpy

        power = numpy.exp(self.log_A[:, None] - self.alpha[:, None] * numpy.log(params)[None, :])
        return numpy.log(self.irreducible[:, None] + power)


def solve_power_law(
    params: "FloatArray",
    log_loss: "FloatArray",
    weights: "FloatArray | None" = None,
    *,
    irreducible: bool,
    delta: float = HUBER_DELTA,
) -> PowerLawSolutions:
    """Minimises sum_i w_i Huber_delta(ln L_law(N_i) - ln L_i) over E >= 0, for S data sets at once.

    Without E the law is a straight line in ln L. With it, the rest is linear for each of a grid of E and solved at
    once (variable projection, Golub & Pereyra 1973); the best few of these starts are polished, all three parameters
    free, and compared with the law without E, which is the edge of the range.

    Args:
        params: N [n].
        log_loss: ln L [S, n].
        weights: [S, n], how often each point counts; 1 by default.
        irreducible: whether E is fitted; else it is 0.
    """
    import numpy

    weights = numpy.ones_like(log_loss) if weights is None else weights.astype(float)
    log_n = numpy.log(params)
    centre = log_n.mean()
    data = Dataset(log_n - centre, log_loss, weights, delta)
    straight = start_with_floor(data, 0.0)
    line, value, converged = levenberg_marquardt(data, POWER_LAW, straight[:, :2])
    candidates = [(numpy.concatenate([line, 0 * line[:, :1]], axis=1), value, converged)]
    if irreducible:
        starts = numpy.stack([start_with_floor(data, share) for share in _TRIED])
        curved = numpy.stack([to_curve(start) for start in starts])
        order = numpy.argsort(numpy.stack([data.objective(POWER_LAW_WITH_FLOOR, start) for start in curved]), axis=0)[
            :_POLISHED
        ]
        for row in order:
            theta, value, converged = levenberg_marquardt(
                data, POWER_LAW_WITH_FLOOR, numpy.take_along_axis(curved, row[None, :, None], 0)[0]
            )
            candidates.append((from_curve(theta), value, converged))
    thetas, values, flags = (numpy.stack(column) for column in zip(*candidates, strict=True))
    best = numpy.argmin(values, axis=0)[None]
    height, alpha, floor = numpy.take_along_axis(thetas, best[..., None], 0)[0].T
    value, converged = (numpy.take_along_axis(column, best, 0)[0] for column in (values, flags))
    return PowerLawSolutions(alpha, height + alpha * centre, floor, value, converged)
