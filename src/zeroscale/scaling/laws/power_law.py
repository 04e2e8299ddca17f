"""L(N) = E + A N^-alpha."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import Column, FloatArray


@dataclass(frozen=True)
class PowerLaw:
    """L(N) = E + exp(log_A - alpha ln N); N_c = exp(log_A / alpha). `irreducible` is E, 0 in the law without it."""

    alpha: float
    log_A: float
    irreducible: float = 0.0

    @property
    def log_N_c(self) -> float:
        """ln N_c; infinite where the loss does not change with size."""
        return self.log_A / self.alpha if self.alpha else float("inf")

    def __call__(self, params: "Column") -> "FloatArray":
        """Loss in nats per token at each N."""
        import numpy

        log_n = numpy.log(numpy.asarray(params, float))
        loss: FloatArray = self.irreducible + numpy.exp(self.log_A - self.alpha * log_n)
        return loss
