"""L(N) = E + A N^-alpha, and the same of data: L(D) = E + A D^-beta."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import Column, FloatArray


@dataclass(frozen=True)
class Subject:
    """What a law of one variable is over: the letters of its formula and the words of its messages."""

    letter: str
    exponent: str
    noun: str
    cause: str
    """What loss depends on."""
    largest: str
    smaller: str

    @property
    def constant(self) -> str:
        return f"{self.letter}_c"

    def form(self, irreducible: bool) -> str:
        floor = "E + " if irreducible else ""
        return f"L({self.letter}) = {floor}({self.constant}/{self.letter})^{self.exponent}"


SIZE = Subject("N", "alpha", "size", "size", "largest size", "smaller sizes")
DATA = Subject("D", "beta", "length", "data", "longest run", "shorter runs")


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
