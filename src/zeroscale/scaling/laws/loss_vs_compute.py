"""The lowest loss that a budget buys, as a law of compute: L(C) = E + K C^-gamma.

On a surface it is exact: along the compute-optimal path of L = E + A/N^alpha + B/D^beta with C = k N^g D, N_opt grows
as C^(beta/s) and D_opt as C^(alpha/s), s = alpha + g beta, so both terms fall as C^-(alpha beta / s).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.scaling.laws.surface import SIX_ND, PerToken, Surface

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray, Numbers

# Where a surface is evaluated to find K; any budget gives the same.
_ANY_BUDGET = 1e18


@dataclass(frozen=True)
class LossVsCompute:
    """E, ln K and gamma; numbers, or arrays [S] of as many laws."""

    E: "Numbers"
    log_K: "Numbers"
    gamma: "Numbers"

    @classmethod
    def of_surface(cls, law: Surface, per_token: PerToken | None = None) -> "LossVsCompute":
        """The path of the best size at every budget."""
        import numpy

        cost = per_token or SIX_ND
        with numpy.errstate(all="ignore"):
            gamma = law.alpha * law.beta / (law.alpha + cost.power * law.beta)
            n, d = law.optimal_params(_ANY_BUDGET, cost), law.optimal_tokens(_ANY_BUDGET, cost)
            above = Surface(0.0, law.log_A, law.log_B, law.alpha, law.beta)(n, d)
            return cls(law.E, numpy.log(above) + gamma * numpy.log(_ANY_BUDGET), gamma)

    def loss(self, flops: "Numbers") -> "FloatArray":
        """Loss that C buys."""
        import numpy

        with numpy.errstate(all="ignore"):
            loss: FloatArray = self.E + numpy.exp(self.log_K - self.gamma * numpy.log(flops))
        return loss

    def flops_for(self, loss: "Numbers") -> "FloatArray":
        """C that a loss takes; infinite where no compute reaches it (loss <= E)."""
        import numpy

        above = numpy.asarray(loss - self.E, float)
        with numpy.errstate(all="ignore"):
            needed = numpy.exp((self.log_K - numpy.log(numpy.where(above > 0, above, 1.0))) / self.gamma)
        return numpy.where(above > 0, needed, numpy.inf)
