"""The best of several settings that were each tried with several seeds: by the mean, and how sure that is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

Seed = int | str | None
"""Of a repeat; a text for a repeat whose seed is not known, which is no other setting's."""
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A setting's mean less the best one's, with its 95 % interval; no interval where seeds were not repeated."""

    value: float
    low: float | None
    high: float | None

    @property
    def within_noise(self) -> bool | None:
        """Whether the seeds do not tell the two apart; None where that is not known."""
        return None if self.low is None or self.high is None else self.low <= 0 <= self.high


def rank(losses: Sequence[Mapping[Seed, float]]) -> tuple[list[int], tuple[Seed, ...] | None]:
    """(settings, the best mean first; the seeds that the means are over).

    Where the settings were tried with different seeds the means are over those that all of them share, if these are
    two or more; else each is over its own, and the seeds are None.

    Args:
        losses: of each setting, by seed.
    """
    common = [seed for seed in losses[0] if all(seed in other for other in losses)]
    equal = all(len(other) == len(common) for other in losses)
    paired = equal or len(common) >= 2
    means = [fmean(own[seed] for seed in common) if paired else fmean(own.values()) for own in losses]
    return sorted(range(len(losses)), key=lambda index: means[index]), tuple(common) if paired else None


def difference(other: Mapping[Seed, float], best: Mapping[Seed, float]) -> Difference:
    """How much worse another setting is: by Student's t on the seeds that both have, where these are two or more, else
    by Welch's test on all of both."""
    common = [seed for seed in best if seed in other]
    if len(common) >= 2:
        apart = [other[seed] - best[seed] for seed in common]
        mean = fmean(apart)
        return _interval(mean, variance(apart) / len(apart), len(apart) - 1)
    mean = fmean(other.values()) - fmean(best.values())
    if min(len(other), len(best)) < 2:
        return Difference(mean, None, None)
    parts = [(variance(list(own.values())) / len(own), len(own) - 1) for own in (other, best)]
    total = math.fsum(part for part, _ in parts)
    freedom = total**2 / math.fsum(part**2 / own for part, own in parts) if total else 1.0
    return _interval(mean, total, freedom)


def student(freedom: float) -> float:
    """Student's t: so many standard errors to either side hold 95 %."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def _interval(mean: float, variance: float, freedom: float) -> Difference:
    half = student(freedom) * math.sqrt(variance)
    return Difference(mean, mean - half, mean + half)


def beyond(values: Sequence[float], best: float) -> float | None:
    """The next value to try where the best is the smallest or the largest tried: the tried ones' own step further, as a
    factor. None where it lies between others, or where that step is no factor (zero, negative values, one value)."""
    tried = sorted(set(values))
    if len(tried) < 2 or tried[0] <= 0 or best not in (tried[0], tried[-1]):
        return None
    step = tried[1] / tried[0] if best == tried[0] else tried[-1] / tried[-2]
    further = float(f"{best / step if best == tried[0] else best * step:.3g}")
    if all(isinstance(value, int) for value in values):
        return max(1, round(further)) if round(further) != best else None
    return further
