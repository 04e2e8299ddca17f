"""A power law through compute-optimal points: N_opt and D_opt against C, as approaches 1 and 2 give them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.scaling.laws.estimate import Estimate, finite

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray, Numbers

FORM = "N_opt = G C^a, D_opt = H C^b"


@dataclass(frozen=True)
class OptimumPowerLaw:
    """ln N_opt and ln D_opt as straight lines of ln C, each an intercept and a slope [..] at ln C = `middle`."""

    middle: float
    n_height: "Numbers"
    n_slope: "Numbers"
    d_height: "Numbers"
    d_slope: "Numbers"

    @classmethod
    def through(
        cls, log_flops: "FloatArray", log_params: "FloatArray", log_tokens: "FloatArray", middle: float
    ) -> "OptimumPowerLaw":
        """Ordinary least squares; log_params and log_tokens [..., m] may hold many sets of points."""
        x = log_flops - middle
        n_height, n_slope = _straight(x, log_params)
        d_height, d_slope = _straight(x, log_tokens)
        return cls(middle, n_height, n_slope, d_height, d_slope)

    def params(self, flops: float) -> "Numbers":
        """N_opt for a budget."""
        import numpy

        with numpy.errstate(over="ignore"):
            best: Numbers = numpy.exp(self.n_height + self.n_slope * (numpy.log(flops) - self.middle))
        return best

    def tokens(self, flops: float) -> "Numbers":
        """D_opt for a budget."""
        import numpy

        with numpy.errstate(over="ignore"):
            best: Numbers = numpy.exp(self.d_height + self.d_slope * (numpy.log(flops) - self.middle))
        return best

    def parameters(self, draws: "OptimumPowerLaw | None") -> dict[str, Estimate]:
        """a, b, G and H with their intervals."""

        def coefficient(line: "OptimumPowerLaw", height: "Numbers", slope: "Numbers") -> "Numbers":
            import numpy

            with numpy.errstate(over="ignore"):
                return numpy.exp(height - slope * line.middle)

        def estimate(quantity: "Callable[[OptimumPowerLaw], Numbers]") -> Estimate:
            return Estimate.of(quantity(self), None if draws is None else quantity(draws))

        return {
            "a": estimate(lambda line: line.n_slope),
            "b": estimate(lambda line: line.d_slope),
            "G": estimate(lambda line: coefficient(line, line.n_height, line.n_slope)),
            "H": estimate(lambda line: coefficient(line, line.d_height, line.d_slope)),
        }


def _straight(x: "FloatArray", y: "FloatArray") -> tuple["Numbers", "Numbers"]:
    centred = x - x.mean()
    slope = (y * centred).sum(-1) / (centred**2).sum()
    return y.mean(-1) - slope * x.mean(), slope


@dataclass(frozen=True)
class FrontierOptimum:
    """N and D to train with `flops`."""

    flops: float
    params: Estimate
    tokens: Estimate


def optimum_with_interval(line: OptimumPowerLaw, draws: OptimumPowerLaw | None, flops: float) -> FrontierOptimum:
    """The compute-optimal N and D of a line, with the interval of its draws."""
    return FrontierOptimum(
        flops,
        Estimate.of(float(line.params(flops)), None if draws is None else draws.params(flops)),
        Estimate.of(float(line.tokens(flops)), None if draws is None else draws.tokens(flops)),
    )


@dataclass(frozen=True, kw_only=True)
class OptimumFit:
    """A line through compute-optimal points, as approaches 1 and 2 fit it."""

    line: OptimumPowerLaw
    parameters: dict[str, Estimate]
    left_out: tuple[tuple[int, str], ...]
    """(run, rule) of every run that the line does not rest on."""
    objective: float
    n_points: int
    method: str | None
    warnings: tuple[str, ...]
    draws: OptimumPowerLaw | None
    form: str = FORM

    def optimum(self, flops: float) -> FrontierOptimum:
        """The compute-optimal N and D for a budget."""
        return optimum_with_interval(self.line, self.draws, flops)


def finite_or_none(value: "Numbers | None") -> float | None:
    """A number for JSON."""
    return None if value is None else finite(float(value))
