"""Chinchilla's surface, L(N, D) = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022, equation 2), and its optimum."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray, Numbers

FORM = "L(N, D) = E + A/N^alpha + B/D^beta"


@dataclass(frozen=True)
class Surface:
    """The law; A and B are kept as logarithms, because with a steep exponent they leave floating point.

    The fields may also be arrays [S]: then every method answers for S laws at once.
    """

    E: "Numbers"
    log_A: "Numbers"
    log_B: "Numbers"
    alpha: "Numbers"
    beta: "Numbers"

    @classmethod
    def of(cls, *, E: float, A: float, B: float, alpha: float, beta: float) -> "Surface":
        """The law from its five numbers as papers give them."""
        return cls(E, math.log(A), math.log(B), alpha, beta)

    def take(self, index: int) -> "Surface":
        """One of S laws."""
        import numpy

        parts = (self.E, self.log_A, self.log_B, self.alpha, self.beta)
        return Surface(*(float(numpy.asarray(part)[index]) for part in parts))

    @property
    def A(self) -> "Numbers":
        return _exp(self.log_A)

    @property
    def B(self) -> "Numbers":
        return _exp(self.log_B)

    def __call__(self, params: "Numbers", tokens: "Numbers") -> "FloatArray":
        """Loss in nats per token at each (N, D); arrays must broadcast with the fields."""
        import numpy

        with numpy.errstate(over="ignore", divide="ignore"):
            by_size = numpy.exp(self.log_A - self.alpha * numpy.log(params))
            by_data = numpy.exp(self.log_B - self.beta * numpy.log(tokens))
        loss: FloatArray = self.E + by_size + by_data
        return loss

    def optimal_params(self, flops: "Numbers", per_token: "PerToken | None" = None) -> "Numbers":
        """N that minimises the loss for C FLOPs.

        With C = 6 N D (Hoffmann et al. 2022, equation 4): N = G (C/6)^(beta/(alpha+beta)),
        G = (alpha A / (beta B))^(1/(alpha+beta)). With C = k N^g D, exact FLOPs written as a power of N, the same
        derivation gives N = (alpha A / (g beta B))^(1/s) (C/k)^(beta/s), s = alpha + g beta.
        """
        import numpy

        cost = per_token or SIX_ND
        total = self.alpha + cost.power * self.beta
        with numpy.errstate(divide="ignore"):  # an exponent of 0: everything, or nothing, goes into size
            ratio = numpy.log(self.alpha) + self.log_A - numpy.log(cost.power * self.beta) - self.log_B
        return _exp((ratio + self.beta * (numpy.log(flops) - cost.log_scale)) / total)

    def optimal_tokens(self, flops: "Numbers", per_token: "PerToken | None" = None) -> "Numbers":
        """D at that N: what is left of the budget."""
        import numpy

        cost = per_token or SIX_ND
        n = numpy.log(self.optimal_params(flops, cost))
        return _exp(numpy.log(flops) - cost.log_scale - cost.power * n)

    def exponent(self, per_token: "PerToken | None" = None) -> "Numbers":
        """a of N_opt ~ C^a: beta / (alpha + beta) for C = 6 N D, beta / (alpha + g beta) for C ~ N^g D."""
        power = (per_token or SIX_ND).power
        return self.beta / (self.alpha + power * self.beta)


@dataclass(frozen=True)
class PerToken:
    """FLOPs of a token as a power of N: exp(log_scale) N^power."""

    log_scale: float
    power: float


SIX_ND = PerToken(math.log(6.0), 1.0)


def _exp(log_value: "Numbers") -> "Numbers":
    import numpy

    with numpy.errstate(over="ignore"):
        value: FloatArray = numpy.exp(log_value)
    return float(value) if numpy.ndim(value) == 0 else value
