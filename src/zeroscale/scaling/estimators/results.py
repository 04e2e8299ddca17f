"""What the fits of a law over size, and of a surface over size and data, give back."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zeroscale.scaling.estimators.bootstrap import PowerLawDraws
from zeroscale.scaling.estimators.bootstrap_surface import SurfaceDraws
from zeroscale.scaling.laws.compute_optimal import FrontierOptimum
from zeroscale.scaling.laws.estimate import Estimate
from zeroscale.scaling.laws.power_law import PowerLaw
from zeroscale.scaling.laws.surface import FORM, PerToken, Surface

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import Column, FloatArray, Numbers


@dataclass(frozen=True)
class HoldOut:
    """The largest size predicted from the smaller ones. `low`..`high` is where a new run should land (95 %)."""

    params: float
    measured: float
    predicted: float
    low: float | None
    high: float | None
    error: float
    """predicted / measured - 1."""
    inside: bool | None
    form: str
    n_points: int


@dataclass(frozen=True)
class PowerLawFit:
    """A fitted law. `tried_irreducible` is E with its interval where it was fitted and found not to be carried."""

    law: PowerLaw
    form: str
    parameters: dict[str, Estimate]
    objective: float
    converged: bool
    log_residuals: tuple[float, ...]
    n_points: int
    n_sizes: int
    method: str | None
    """How the intervals were made, in words; None where there are none."""
    tried_irreducible: Estimate | None
    hold_out: HoldOut | None
    warnings: tuple[str, ...]
    draws: PowerLawDraws | None

    @property
    def irreducible(self) -> bool:
        """Whether the law has E."""
        return "E" in self.parameters

    @property
    def rms_log_residual(self) -> float:
        return math.sqrt(sum(value**2 for value in self.log_residuals) / self.n_points)

    def predict(self, params: "Column") -> "FloatArray":
        """Loss at each N."""
        return self.law(params)

    def band(self, params: "Column") -> tuple["FloatArray", "FloatArray"] | None:
        """The 95 % interval of the *law* at each N (a single run scatters more); None without intervals."""
        import numpy

        if self.draws is None:
            return None
        curves = self.draws.fits.log_loss(numpy.asarray(params, float))
        low, high = self.draws.interval(curves)
        with numpy.errstate(over="ignore"):
            low, high = numpy.exp(low), numpy.exp(high)
        if self.draws.repeats_choice:
            value = self.predict(params)
            low, high = numpy.minimum(low, value), numpy.maximum(high, value)
        return low, high


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

    def predict(self, params: "Numbers", tokens: "Numbers") -> "FloatArray":
        """Loss at each (N, D)."""
        return self.law(params, tokens)

    def optimum(self, flops: float, per_token: PerToken | None = None) -> Optimum:
        """The compute-optimal N and D for a budget; `per_token` where C is not 6 N D."""
        laws = [self.law] + ([] if self.draws is None else [self.draws.laws])
        optima = []
        for law in laws:
            n, d = law.optimal_params(flops, per_token), law.optimal_tokens(flops, per_token)
            optima.append((n, d, law(n, d)))
        spread = optima[1] if len(optima) > 1 else (None, None, None)
        return Optimum(flops, *(Estimate.of(value, draws) for value, draws in zip(optima[0], spread, strict=True)))
