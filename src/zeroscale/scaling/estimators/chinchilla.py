"""Approach 3 of Hoffmann et al. 2022: Chinchilla's surface by the robust objective, from the whole grid of starts."""

from typing import TYPE_CHECKING

from zeroscale.scaling.estimators.results import SurfaceFit
from zeroscale.scaling.estimators.surface_fit import SurfaceSolution, fit_surface
from zeroscale.scaling.laws.surface import Surface
from zeroscale.scaling.numerics.batched_bfgs import batched_bfgs
from zeroscale.scaling.numerics.chinchilla_objective import HUBER_DELTA, ChinchillaObjective
from zeroscale.scaling.numerics.newton import newton

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zeroscale.scaling.numerics.arrays import Column, FloatArray


# A start has reached the optimum when its objective is within this share of it, or its law this close to the data.
REACHED = 1e-4
_EXACT = 1e-6
_POLISHED = 3


class Approach3:
    """Solves the whole problem, the problem near a law, and resampled problems near a law."""

    name = "chinchilla"

    def objective_form(self, runs: ChinchillaObjective) -> str:
        return f"sum of Huber(ln L_law - ln L_measured), delta {runs.delta:g}"

    def solve(self, runs: ChinchillaObjective) -> SurfaceSolution:
        """From all 4,500 starts; the best few ends are polished by Newton's method, the best of these is the law."""
        import numpy

        minima = batched_bfgs(runs.value_and_gradient, runs.starts())
        best = _different(minima.theta, minima.value)
        ends = [newton(runs, runs.law(minima.theta).take(row)) for row in best]
        end = min(ends, key=lambda end: end.objective)
        close = end.objective * (1 + REACHED) + len(runs) * _EXACT**2 / 2
        reached = int(numpy.count_nonzero(minima.value <= close))
        return SurfaceSolution(
            end.law, end.objective, end.converged, end.log_residuals, end.inverse_hessian, len(minima.value), reached
        )

    def near(self, runs: ChinchillaObjective, law: Surface) -> SurfaceSolution:
        """From one law, for data that differ little from those it was fitted to."""
        minima = batched_bfgs(runs.value_and_gradient, runs.theta(law))
        end = newton(runs, runs.law(minima.theta).take(0))
        return SurfaceSolution(end.law, end.objective, end.converged, end.log_residuals, end.inverse_hessian, 1, 1)

    def resampled(self, runs: ChinchillaObjective, weights: "FloatArray", solved: SurfaceSolution) -> Surface:
        """Laws [S] of S weightings of the runs, each from the law of all of them."""
        import numpy

        starts = numpy.repeat(runs.theta(solved.law), len(weights), axis=0)
        minima = batched_bfgs(runs.value_and_gradient, starts, weights, inverse_hessian=solved.inverse_hessian)
        return runs.law(minima.theta)


def fit_chinchilla(
    params: "Column",
    tokens: "Column",
    loss: "Column",
    *,
    seed: "Column | None" = None,
    delta: float = HUBER_DELTA,
    bootstrap: int = 4000,
    random_seed: int = 0,
    hold_out: bool = True,
    names: "Sequence[str] | None" = None,
) -> SurfaceFit:
    """Fits L = E + A/N^alpha + B/D^beta: the sum of Huber terms of log residuals, 4,500 starts, exact gradient.

    Args:
        params, tokens, loss: N, D and L (nats per token) of each run [n].
        seed: of each run, where several seeds were trained: gives a second interval, over seeds alone.
        delta: of Huber's function; 1e-3 is the paper's.
        bootstrap, random_seed: refits behind the intervals, 0 for none; drawn from this seed.
        names: what warnings call the runs; by default run 0, run 1, …
        hold_out: whether the largest size is predicted from the others, and every size left out in turn.

    Raises:
        ZeroscaleError: lengths differ, a value is not a positive finite number, fewer than six runs, one size or one
            token count only.
    """
    return fit_surface(
        Approach3(),
        params,
        tokens,
        loss,
        seed=seed,
        names=names,
        delta=delta,
        bootstrap=bootstrap,
        random_seed=random_seed,
        hold_out=hold_out,
    )


def _different(theta: "FloatArray", value: "FloatArray") -> list[int]:
    """Rows of the lowest ends that are not the same optimum found again."""
    import numpy

    chosen: list[int] = []
    for row in numpy.argsort(value, kind="stable"):
        if not numpy.isfinite(value[row]) or len(chosen) == _POLISHED:
            break
        if all(numpy.abs(theta[row] - theta[other]).max() > 1e-2 for other in chosen):
            chosen.append(int(row))
    return chosen
