"""The intervals of a law over size and data, widened by what choosing among settings may have lowered its losses.

These laws resample runs, not sizes. So the choice's bias, by the bootstrap that repeats the choice, is added to the
losses, the law is fitted to them once more, and each interval reaches from the lower to the higher end of both: it
holds whether the bias is there or not.
"""

from collections.abc import Mapping
from dataclasses import replace

from zeroscale.scaling.fit_schema import DataLaw, Intervals, Optimum
from zeroscale.scaling.laws.estimate import Estimate

SAID = "widened to hold those of the losses without what choosing the best setting lowers them by"


def widen(law: DataLaw, unbiased: DataLaw) -> DataLaw:
    """The law with intervals that hold those of the same law fitted to losses without the bias."""
    method = law.intervals.method if law.intervals else None
    return replace(
        law,
        parameters=_both(law.parameters, unbiased.parameters),
        exponents=_both(law.exponents, unbiased.exponents),
        compute_optimal=_optima(law.compute_optimal, unbiased.compute_optimal),
        frontier=_optima(law.frontier, unbiased.frontier),
        intervals=law.intervals and Intervals(level=law.intervals.level, method=f"{method}; {SAID}"),
    )


def _both(one: Mapping[str, Estimate], other: Mapping[str, Estimate]) -> dict[str, Estimate]:
    return {name: estimate.around(other.get(name)) for name, estimate in one.items()}


def _optima(one: tuple[Optimum, ...], other: tuple[Optimum, ...]) -> tuple[Optimum, ...]:
    return tuple(
        replace(
            optimum,
            params=optimum.params and optimum.params.around(moved.params),
            tokens=optimum.tokens and optimum.tokens.around(moved.tokens),
            loss=optimum.loss and optimum.loss.around(moved.loss),
        )
        for optimum, moved in zip(one, other, strict=True)
    )
