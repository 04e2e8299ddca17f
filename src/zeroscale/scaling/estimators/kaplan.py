"""The laws of Kaplan et al. 2020: L(N), L(D) and L(N, D), without an irreducible loss.

    L(N)    = (N_c/N)^alpha_N                                   equation 1.1, runs with ample data
    L(D)    = (D_c/D)^alpha_D                                   equation 1.2, large models
    L(N, D) = ((N_c/N)^(alpha_N/alpha_D) + D_c/D)^alpha_D       equation 1.5

The objective is that of `chinchilla`: the sum of Huber terms of log residuals. Kaplan's N leaves embeddings out.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling.estimators.bootstrap import draw_fits
from zeroscale.scaling.estimators.bootstrap_surface import resample_runs
from zeroscale.scaling.estimators.power_law_solver import solve_power_law
from zeroscale.scaling.laws.estimate import Estimate
from zeroscale.scaling.numerics.arrays import check_columns, group_values, unit_warnings
from zeroscale.scaling.numerics.batched_bfgs import batched_bfgs
from zeroscale.scaling.numerics.chinchilla_objective import HUBER_DELTA

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import BoolArray, Column, FloatArray, IntArray, Numbers

FORM = "L(N, D) = ((N_c/N)^(alpha_N/alpha_D) + D_c/D)^alpha_D"
FORM_N = "L(N) = (N_c/N)^alpha_N"
FORM_D = "L(D) = (D_c/D)^alpha_D"
# Exponents from which the search starts, and the loss that each of the two terms alone would have at the middle of the
# data, as a share of the middle loss.
_EXPONENTS = (0.03, 0.07, 0.15, 0.3, 0.6)
_SHARES = (0.5, 0.8, 0.95)
REACHED = 1e-4


@dataclass(frozen=True)
class KaplanLaw:
    """alpha_N, alpha_D and the logarithms of N_c and D_c; also arrays [S] of each."""

    alpha_N: "Numbers"
    alpha_D: "Numbers"
    log_N_c: "Numbers"
    log_D_c: "Numbers"

    def __call__(self, params: "Numbers", tokens: "Numbers") -> "FloatArray":
        """Loss in nats per token at each (N, D)."""
        import numpy

        by_size = self.alpha_N / self.alpha_D * (self.log_N_c - numpy.log(params))
        return numpy.exp(self.alpha_D * numpy.logaddexp(by_size, self.log_D_c - numpy.log(tokens)))


@dataclass(frozen=True)
class OneVariableFit:
    """L(N) or L(D) with the runs it rests on (indices)."""

    form: str
    parameters: dict[str, Estimate]
    runs: tuple[int, ...]
    rule: str
    objective: float


@dataclass(frozen=True)
class KaplanFit:
    """L(N, D) on all runs, and L(N) and L(D) where the runs allow them."""

    law: KaplanLaw
    parameters: dict[str, Estimate]
    objective: float
    converged: bool
    starts: int
    reached: int
    log_residuals: tuple[float, ...]
    n_points: int
    by_size: OneVariableFit | None
    by_data: OneVariableFit | None
    method: str | None
    warnings: tuple[str, ...]
    form: str = FORM

    def predict(self, params: "Numbers", tokens: "Numbers") -> "FloatArray":
        """Loss at each (N, D)."""
        return self.law(params, tokens)


def fit_kaplan(
    params: "Column",
    tokens: "Column",
    loss: "Column",
    *,
    delta: float = HUBER_DELTA,
    bootstrap: int = 4000,
    random_seed: int = 0,
) -> KaplanFit:
    """Fits Kaplan's three laws; arguments as in `fit_chinchilla`.

    L(N) rests on the runs of each size with the most tokens, L(D) on the runs of the largest size.

    Raises:
        ZeroscaleError: bad values, fewer than five runs, one size or one token count only.
    """
    import numpy

    n, d, losses = check_columns(params=params, tokens=tokens, loss=loss)
    size, data = group_values(n), group_values(d)
    if len(n) < 5 or size.max() < 1 or data.max() < 1:
        raise ZeroscaleError(
            f"Kaplan's L(N, D) has four parameters: it needs five runs with two sizes and two token counts, better "
            f"three times three; there are {len(n)} runs, {size.max() + 1} sizes, {data.max() + 1} token counts"
        )
    objective = _Objective(n, d, losses, delta)
    starts = objective.starts()
    minima = batched_bfgs(objective, starts)
    best = int(numpy.argmin(minima.value))
    refined = batched_bfgs(objective, minima.theta[best : best + 1], tolerance=1e-15)
    law = objective.law(refined.theta[0])
    draws = None
    if bootstrap:
        weights = resample_runs(n, d, bootstrap, random_seed, parameters=4)
        drawn = batched_bfgs(objective, numpy.repeat(refined.theta, bootstrap, axis=0), weights)
        draws = objective.law(drawn.theta.T)
    close = float(refined.value[0]) * (1 + REACHED) + len(n) * 1e-12 / 2
    longest = numpy.array([d[size == group].max() for group in size])
    return KaplanFit(
        law=law,
        parameters=_parameters(law, draws),
        objective=float(refined.value[0]),
        converged=bool(refined.converged[0]),
        starts=len(starts),
        reached=int((minima.value <= close).sum()),
        log_residuals=tuple((numpy.log(losses) - numpy.log(law(n, d))).tolist()),
        n_points=len(n),
        by_size=_fit_one_variable(
            FORM_N,
            "N",
            n,
            losses,
            d >= longest * 0.99,
            "of each size the runs with the most tokens",
            bootstrap,
            random_seed,
        ),
        by_data=_fit_one_variable(
            FORM_D, "D", d, losses, size == size.max(), "the runs of the largest size", bootstrap, random_seed
        ),
        method=None if draws is None else f"{bootstrap} times, {len(n)} of the {len(n)} runs drawn with replacement",
        warnings=tuple(unit_warnings(n, d, losses) + _warnings(size, data, refined.converged[0])),
    )


class _Objective:
    """Sum of Huber terms [S] and its gradient over theta = (h, g, ln alpha_N, ln alpha_D).

    h = alpha_N (ln N_c - m) and g = alpha_D (ln D_c - m') are the logarithms of the losses that each term alone would
    have at the middle of the data.
    """

    def __init__(self, n: "FloatArray", d: "FloatArray", losses: "FloatArray", delta: float) -> None:
        import numpy

        self.middle = (float(numpy.log(n).mean()), float(numpy.log(d).mean()))
        self.x, self.y = numpy.log(n) - self.middle[0], numpy.log(d) - self.middle[1]
        self.z, self.delta = numpy.log(losses), delta

    def __call__(self, theta: "FloatArray", weights: "FloatArray | None") -> tuple["FloatArray", "FloatArray"]:
        import numpy

        h, g, log_a, log_b = (theta[:, k : k + 1] for k in range(4))
        a, b = numpy.exp(log_a), numpy.exp(log_b)
        p, q = (h - a * self.x) / b, (g - b * self.y) / b
        total = numpy.logaddexp(p, q)
        residual = b * total - self.z
        pull = numpy.clip(residual, -self.delta, self.delta)
        terms = pull * (residual - pull / 2)
        if weights is not None:
            terms, pull = terms * weights, pull * weights
        share = numpy.exp(p - total)
        # ln L = b · logaddexp(p, q); dp/dh = 1/b, dp/da = -x/b, dp/db = -p/b, dq/dg = 1/b, dq/db = -g/b^2.
        by_b = total - share * p - (1 - share) * g / b
        gradient = numpy.stack(
            [
                (pull * share).sum(1),
                (pull * (1 - share)).sum(1),
                (pull * share * -self.x * a).sum(1),
                (pull * by_b * b).sum(1),
            ],
            axis=1,
        )
        return terms.sum(1), gradient

    def starts(self) -> "FloatArray":
        """[S, 4]: pairs of exponents and of shares of the middle loss."""
        import numpy

        middle = float(self.z.mean())
        pairs = itertools.product(_SHARES, _SHARES, _EXPONENTS, _EXPONENTS)
        return numpy.array(
            [[middle + math.log(s), middle + math.log(t), math.log(a), math.log(b)] for s, t, a, b in pairs]
        )

    def law(self, theta: "FloatArray") -> KaplanLaw:
        """The law, or laws, of theta [4] or [4, S]."""
        import numpy

        a, b = numpy.exp(theta[2]), numpy.exp(theta[3])
        parts = (a, b, theta[0] / a + self.middle[0], theta[1] / b + self.middle[1])
        return KaplanLaw(*(float(part) if numpy.ndim(part) == 0 else part for part in parts))


def _parameters(law: KaplanLaw, draws: KaplanLaw | None) -> dict[str, Estimate]:
    import numpy

    def estimate(quantity: "Callable[[KaplanLaw], Numbers]") -> Estimate:
        with numpy.errstate(over="ignore"):
            return Estimate.of(quantity(law), None if draws is None else quantity(draws))

    return {
        "alpha_N": estimate(lambda law: law.alpha_N),
        "N_c": estimate(lambda law: numpy.exp(law.log_N_c)),
        "alpha_D": estimate(lambda law: law.alpha_D),
        "D_c": estimate(lambda law: numpy.exp(law.log_D_c)),
    }


def _fit_one_variable(
    form: str,
    letter: str,
    values: "FloatArray",
    losses: "FloatArray",
    which: "BoolArray",
    rule: str,
    times: int,
    random_seed: int,
) -> OneVariableFit | None:
    """A straight line in the logarithms by `solve_power_law`; None with fewer than three different values."""
    import numpy

    x, y = values[which], numpy.log(losses[which])
    if group_values(x).max() < 2:
        return None
    solutions = solve_power_law(x, y[None], irreducible=False, delta=HUBER_DELTA)
    resampled = None
    if times:
        fitted = solutions.log_loss(x)[0]
        resampled = draw_fits(
            x, y, fitted, numpy.zeros(len(x)), irreducible=False, count=times, seed=random_seed, delta=HUBER_DELTA
        )
    draws = None if resampled is None else resampled.fits
    with numpy.errstate(all="ignore"):
        constants = [numpy.exp(part.log_A / part.alpha) for part in (solutions, draws) if part is not None]
    parameters = {
        f"alpha_{letter}": Estimate.of(float(solutions.alpha[0]), None if draws is None else draws.alpha),
        f"{letter}_c": Estimate.of(float(constants[0][0]), None if draws is None else constants[1]),
    }
    return OneVariableFit(
        form, parameters, tuple(int(i) for i in numpy.flatnonzero(which)), rule, float(solutions.objective[0])
    )


def _warnings(size: "IntArray", data: "IntArray", converged: bool) -> list[str]:
    warnings = [
        "Kaplan's laws have no irreducible loss: they promise a loss of zero for enough compute. Trust them inside the "
        "range of the runs."
    ]
    if size.max() < 2 or data.max() < 2:
        warnings.append("Fewer than three sizes x three token counts: the exponents are hardly more than a guess.")
    if not converged:
        warnings.append("The objective is not converged: treat the parameters as approximate.")
    return warnings
