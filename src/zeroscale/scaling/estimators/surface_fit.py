"""A law over size and data with its doubts: intervals, correlations, hold-outs and warnings, whatever the method."""

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import diagnostics
from zeroscale.scaling.estimators.bootstrap_surface import SurfaceDraws, resample_runs, resample_seeds
from zeroscale.scaling.laws.compute_optimal import FrontierOptimum
from zeroscale.scaling.laws.estimate import Estimate, finite, quantiles
from zeroscale.scaling.laws.surface import FORM, PerToken, Surface
from zeroscale.scaling.numerics.arrays import check_columns, check_seeds, group_values
from zeroscale.scaling.numerics.chinchilla_objective import HUBER_DELTA, ChinchillaObjective

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray

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


@dataclass(frozen=True)
class HeldOutSize:
    """One size predicted from all others. `error` is the mean of ln(predicted / measured) over its runs, as a share."""

    params: float
    n_runs: int
    measured: float
    predicted: float
    error: float
    exponent: float
    """a of N_opt ~ C^a without this size."""
    low: float | None = None
    high: float | None = None
    inside: bool | None = None
    """Whether the mean loss lies between low and high, where a new mean of so many runs should (95 %)."""


@dataclass(frozen=True)
class Optimum(FrontierOptimum):
    """What to train with `flops`: N, D and the loss to expect, each with the interval of the law."""

    loss: Estimate


@dataclass(frozen=True)
class SurfaceFit:
    """A fitted surface. All runs keep the order they were given in."""

    method: str
    law: Surface
    parameters: dict[str, Estimate]
    exponents: dict[str, Estimate]
    """N_opt and D_opt: powers of C in the compute-optimal size and data, for C = 6 N D."""
    objective: float
    objective_form: str
    converged: bool
    starts: int
    reached: int
    log_residuals: tuple[float, ...]
    """ln measured - ln law."""
    n_points: int
    n_sizes: int
    n_token_counts: int
    draws: SurfaceDraws | None
    over_seeds: SurfaceDraws | None
    hold_out: HeldOutSize | None
    leave_one_out: tuple[HeldOutSize, ...]
    warnings: tuple[str, ...]
    form: str = field(default=FORM)

    @property
    def share_of_starts(self) -> float:
        """Of the starts, how many reached the best optimum."""
        return self.reached / self.starts

    @property
    def rms_log_residual(self) -> float:
        return math.sqrt(sum(value**2 for value in self.log_residuals) / self.n_points)

    def predict(self, params: Any, tokens: Any) -> "FloatArray":
        """Loss at each (N, D)."""
        return self.law(params, tokens)

    def optimum(self, flops: float, per_token: PerToken | None = None) -> Optimum:
        """The compute-optimal N and D for a budget; `per_token` where C is not 6 N D."""
        laws = [self.law] + ([] if self.draws is None else [self.draws.laws])
        found = []
        for law in laws:
            n, d = law.optimal_params(flops, per_token), law.optimal_tokens(flops, per_token)
            found.append((n, d, law(n, d)))
        spread = found[1] if len(found) > 1 else (None, None, None)
        return Optimum(flops, *(Estimate.of(value, draws) for value, draws in zip(found[0], spread, strict=True)))


def fit_surface(
    method: SurfaceMethod,
    params: Any,
    tokens: Any,
    loss: Any,
    *,
    seed: Any,
    names: Any = None,
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
        left = [_without(method, runs, solved, size == one) for one in range(fit.n_sizes)]
        kept = tuple(one for one in left if one is not None)
        fit = replace(fit, leave_one_out=kept, hold_out=_held(method, runs, solved, size, bootstrap, random_seed))
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
    method: SurfaceMethod, runs: ChinchillaObjective, solved: SurfaceSolution, left: "FloatArray"
) -> HeldOutSize | None:
    """One size left out; None where the others cannot hold a law."""
    rest = runs.take(~left)
    if len(rest) < LEAST_RUNS or group_values(rest.params).max() < 1 or group_values(rest.tokens).max() < 1:
        return None
    law = method.near(rest, solved.law).law
    return _left_out(runs.take(left), law)


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
    size: "FloatArray",
    bootstrap: int,
    random_seed: int,
) -> HeldOutSize | None:
    """The largest size from the smaller ones, solved anew, with the interval that its mean log loss should lie in."""
    import numpy

    left = size == size.max()
    rest, held = runs.take(~left), runs.take(left)
    if len(rest) < LEAST_RUNS or group_values(rest.params).max() < 1 or group_values(rest.tokens).max() < 1:
        return None
    found = method.solve(rest)
    told = _left_out(held, found.law)
    if not bootstrap or len(rest) < RESAMPLED_FROM:
        return told
    draws = _draw(method, rest, found, resample_runs(rest.params, rest.tokens, bootstrap, random_seed), _RUNS)
    with numpy.errstate(all="ignore"):
        law = numpy.log(draws.losses(held.params, held.tokens)).mean(1)
    # A new run scatters around the law as the old ones do; so many residuals are drawn and averaged.
    generator = numpy.random.default_rng(random_seed + 2)
    widen = math.sqrt(len(rest) / max(1, len(rest) - 5))
    scatter = -widen * generator.choice(found.log_residuals, (len(law), len(held))).mean(1)
    low, high = (finite(end) for end in numpy.exp(quantiles(law + scatter)))
    inside = None if low is None or high is None else bool(low <= told.measured <= high)
    return replace(told, low=low, high=high, inside=inside)
