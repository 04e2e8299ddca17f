"""A number with its 95 % interval, and how draws become one."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray, Numbers

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with the ends of its 95 % interval; None where there is none, or it is beyond floating point."""

    value: float | None
    low: float | None
    high: float | None

    def around(self, other: "Estimate | None" = None) -> "Estimate":
        """The same number with an interval that holds it, and all of another one's interval; an end that one of the two
        lacks stays away."""
        others = [self] if other is None else [self, other]
        value = [] if self.value is None else [self.value]
        lows, highs = [one.low for one in others], [one.high for one in others]
        low = None if None in lows else min([end for end in lows if end is not None] + value)
        high = None if None in highs else max([end for end in highs if end is not None] + value)
        return Estimate(self.value, low, high)

    @classmethod
    def of(cls, value: "Numbers", draws: "Numbers | None") -> "Estimate":
        """The interval is between the 2.5 % and 97.5 % quantiles of the draws [S]."""
        if draws is None:
            return cls(finite(value), None, None)
        low, high = quantiles(draws)
        return cls(finite(value), finite(low), finite(high))


def quantiles(draws: "Numbers") -> tuple["FloatArray", "FloatArray"]:
    """The ends, [...] each, of the 95 % interval of draws [S, ...]; draws that are no number do not count."""
    import numpy

    tail = (1 - LEVEL) / 2
    if numpy.isfinite(draws).all():
        low, high = numpy.quantile(draws, [tail, 1 - tail], axis=0)
    else:
        # An infinite draw is a very large number; only NaN tells nothing. Order, not arithmetic, decides.
        low, high = numpy.nanquantile(draws, [tail, 1 - tail], axis=0, method="nearest")
    return low, high


def finite(value: "Numbers") -> float | None:
    """The number, or None where it is beyond floating point."""
    return float(value) if math.isfinite(value) else None
