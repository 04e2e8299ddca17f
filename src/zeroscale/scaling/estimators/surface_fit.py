"""Fits a surface over size and data by a method, with intervals, correlations, hold-outs and warnings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import diagnostics
from zeroscale.scaling.estimators.bootstrap_surface import SurfaceDraws, resample_runs, resample_seeds
from zeroscale.scaling.estimators.results import HeldOutSize, SurfaceFit
from zeroscale.scaling.laws.estimate import Estimate, finite, quantiles
from zeroscale.scaling.laws.surface import Surface
from zeroscale.scaling.numerics.arrays import check_columns, check_seeds, group_values
from zeroscale.scaling.numerics.chinchilla_objective import HUBER_DELTA, ChinchillaObjective

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import BoolArray, Column, FloatArray, IntArray

LEAST_RUNS = 6
# Fewer runs than this, drawn with replacement, hold too few different ones for five parameters.
RESAMPLED_FROM = 9


@dataclass(frozen=True)
class SurfaceSolution:
    """A law, its objective, and how many of the starts tried ended there. `log_residuals`: ln law - ln measured."""

    law: Surface
    objective: float
    converged: bool
    log_residuals: "FloatArray"
    inverse_hessian: "FloatArray | None"
    starts: int
    reached: int


class SurfaceMethod(Protocol):
    """A way to fit the surface."""

    name: str

    def objective_form(self, runs: ChinchillaObjective) -> str: ...
    def solve(self, runs: ChinchillaObjective) -> SurfaceSolution: ...
    def near(self, runs: ChinchillaObjective, law: Surface) -> SurfaceSolution: ...
    def resampled(self, runs: ChinchillaObjective, weights: "FloatArray", solved: SurfaceSolution) -> Surface: ...


def fit_surface(
    method: SurfaceMethod,
    params: "Column",
    tokens: "Column",
    loss: "Column",
    *,
    seed: "Column | None",
    names: Sequence[str] | None = None,
    delta: float = HUBER_DELTA,
    bootstrap: int,
    random_seed: int,
    hold_out: bool,
) -> SurfaceFit:
    """Solves, resamples, holds out; see `fit_chinchilla` for the arguments."""
    n, d, losses = check_columns(params=params, tokens=tokens, loss=loss)
    seeds = check_seeds(seed, len(n))
    size, data = group_values(n), group_values(d)
    _enough(len(n), int(size.max()) + 1 if len(n) else 0, int(data.max()) + 1 if len(n) else 0)
    runs = ChinchillaObjective(n, d, losses, delta)
    solved = method.solve(runs)
    draws = None
    if bootstrap and len(n) >= RESAMPLED_FROM:
        draws = _draw(method, runs, solved, resample_runs(n, d, bootstrap, random_seed), _RUNS)
    by_seed = resample_seeds(n, d, seeds, bootstrap, random_seed) if bootstrap else None
    fit = SurfaceFit(
        method=method.name,
        law=solved.law,
        parameters=_parameters(solved.law, draws),
        exponents=_exponents(solved.law, draws),
        objective=solved.objective,
        objective_form=method.objective_form(runs),
        converged=solved.converged,
        starts=solved.starts,
        reached=solved.reached,
        log_residuals=tuple((-solved.log_residuals).tolist()),
        n_points=len(n),
        n_sizes=int(size.max()) + 1,
        n_token_counts=int(data.max()) + 1,
        draws=draws,
        over_seeds=None if by_seed is None else _draw(method, runs, solved, by_seed, _SEEDS),
        hold_out=None,
        leave_one_out=(),
        warnings=(),
    )
    if hold_out and fit.n_sizes >= 3:
        held_out = (_without(method, runs, solved, size == number) for number in range(fit.n_sizes))
        leave_one_out_sizes = tuple(held for held in held_out if held is not None)
        fit = replace(
            fit, leave_one_out=leave_one_out_sizes, hold_out=_held(method, runs, solved, size, bootstrap, random_seed)
        )
    return replace(fit, warnings=tuple(diagnostics.surface_warnings(runs, fit, names)))


_RUNS = "{count} times, {n} of the {n} runs drawn with replacement"
_SEEDS = "{count} times, the seeds of each size and token count drawn with replacement"


def _enough(n: int, sizes: int, token_counts: int) -> None:
    if n < LEAST_RUNS:
        raise ZeroscaleError(
            f"{n} run{'s' if n != 1 else ''} cannot hold a law with five parameters: it needs {LEAST_RUNS}, better "
            "three sizes times three token counts or more"
        )
    if min(sizes, token_counts) < 2:
        what = "size" if sizes < 2 else "token count"
        raise ZeroscaleError(
            f"the runs have one {what} only: a law over N and D needs at least two of each, better three; train "
            f"another {what}, or fit law=power"
        )


def _draw(
    method: SurfaceMethod, runs: ChinchillaObjective, solved: SurfaceSolution, weights: "FloatArray", words: str
) -> SurfaceDraws:
    laws = method.resampled(runs, weights, solved)
    return SurfaceDraws(laws, words.format(count=len(weights), n=len(runs)))


def _parameters(law: Surface, draws: SurfaceDraws | None) -> dict[str, Estimate]:
    if draws is not None:
        return draws.parameters(law)
    return {name: Estimate(finite(getattr(law, name)), None, None) for name in ("E", "A", "B", "alpha", "beta")}


def _exponents(law: Surface, draws: SurfaceDraws | None) -> dict[str, Estimate]:
    spread = None if draws is None else draws.laws.exponent()
    a = law.exponent()
    return {
        "N_opt": Estimate.of(a, spread),
        "D_opt": Estimate.of(1 - a, None if spread is None else 1 - spread),
    }


def _without(
    method: SurfaceMethod, runs: ChinchillaObjective, solved: SurfaceSolution, is_held_out: "BoolArray"
) -> HeldOutSize | None:
    """One size left out; None where the others cannot hold a law."""
    rest = runs.take(~is_held_out)
    if len(rest) < LEAST_RUNS or group_values(rest.params).max() < 1 or group_values(rest.tokens).max() < 1:
        return None
    law = method.near(rest, solved.law).law
    return _left_out(runs.take(is_held_out), law)


def _left_out(held: ChinchillaObjective, law: Surface) -> HeldOutSize:
    import numpy

    predicted = law(held.params, held.tokens)
    return HeldOutSize(
        params=float(numpy.exp(held.x.mean())),
        n_runs=len(held),
        measured=float(numpy.exp(held.z.mean())),
        predicted=float(numpy.exp(numpy.log(predicted).mean())),
        error=float(numpy.expm1((numpy.log(predicted) - held.z).mean())),
        exponent=float(law.exponent()),
    )


def _held(
    method: SurfaceMethod,
    runs: ChinchillaObjective,
    solved: SurfaceSolution,
    size: "IntArray",
    bootstrap: int,
    random_seed: int,
) -> HeldOutSize | None:
    """The largest size from the smaller ones, solved anew, with the interval that its mean log loss should lie in."""
    import numpy

    is_held_out = size == size.max()
    rest, held = runs.take(~is_held_out), runs.take(is_held_out)
    if len(rest) < LEAST_RUNS or group_values(rest.params).max() < 1 or group_values(rest.tokens).max() < 1:
        return None
    solution = method.solve(rest)
    prediction = _left_out(held, solution.law)
    if not bootstrap or len(rest) < RESAMPLED_FROM:
        return prediction
    draws = _draw(method, rest, solution, resample_runs(rest.params, rest.tokens, bootstrap, random_seed), _RUNS)
    with numpy.errstate(all="ignore"):
        law = numpy.log(draws.losses(held.params, held.tokens)).mean(1)
    # A new run scatters around the law as the old ones do; so many residuals are drawn and averaged.
    generator = numpy.random.default_rng(random_seed + 2)
    widen = math.sqrt(len(rest) / max(1, len(rest) - 5))
    scatter = -widen * generator.choice(solution.log_residuals, (len(law), len(held))).mean(1)
    low, high = (finite(end) for end in numpy.exp(quantiles(law + scatter)))
    inside = None if low is None or high is None else bool(low <= prediction.measured <= high)
    return replace(prediction, low=low, high=high, inside=inside)
