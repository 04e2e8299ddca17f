"""Data sets that might as well have been measured: what the intervals of a law are made of."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.scaling.estimators.power_law_solver import HUBER_DELTA, PowerLawSolutions, solve_power_law

if TYPE_CHECKING:
    from numpy.random import Generator

    from zeroscale.scaling.choice.resampling import ChoiceDraws
    from zeroscale.scaling.numerics.arrays import FloatArray

LEVEL = 0.95
# Below this many sizes, runs drawn with replacement miss whole ends of the ladder, and intervals come out too narrow.
RESAMPLE_RUNS_FROM = 10


@dataclass(frozen=True)
class PowerLawDraws:
    """Refits of resampled data. `scatter` [S] is the scale of a run's ln L around the law in each; `tail` the share of
    draws that lies beyond each end of a 95 % interval."""

    fits: PowerLawSolutions
    scatter: "FloatArray"
    tail: float
    method: str
    repeats_choice: bool = False
    """Whether each draw chose among settings anew: then the choice's bias is taken out."""

    def interval(self, values: "FloatArray") -> tuple["FloatArray", "FloatArray"]:
        """The ends, [...] each, of the 95 % interval of a quantity whose draws are `values` [S, ...]."""
        import numpy

        low, high = numpy.quantile(values, [self.tail, 1 - self.tail], axis=0)
        return low, high


def draw_fits(
    params: "FloatArray",
    log_loss: "FloatArray",
    fitted: "FloatArray",
    log_sd: "FloatArray",
    *,
    irreducible: bool,
    count: int,
    seed: int,
    delta: float = HUBER_DELTA,
    choice: "ChoiceDraws | None" = None,
    noun: str = "size",
) -> PowerLawDraws | None:
    """Refits `count` resampled data sets; None where the data say nothing about their own scatter.

    From `RESAMPLE_RUNS_FROM` sizes on, the runs are drawn with replacement (Efron 1979), and the interval's quantiles
    are expanded for the number of runs. With fewer sizes the sizes stay and each run's ln L is moved from the fitted
    law by normal noise, whose variance is the residuals' sum of squares divided by a chi-square draw with as many
    degrees of freedom as are left (n - parameters): for a straight line that gives Student's t intervals, which hold
    for three points too. Where a run's own measured uncertainty (`log_sd`: held-out text, repeated seeds) is larger
    than that scale, it is used instead.

    Args:
        params, log_loss, fitted, log_sd: N, measured and fitted ln L and its measured standard deviation, [n] each.
        choice: where settings were chosen among: the choice is repeated in each draw. With few sizes the noise has the
            scatter and the shape of the chosen mean; always its bias is taken out.
        noun: what the description calls the values of `params`.
    """
    import numpy

    generator = numpy.random.default_rng(seed)
    n, sizes = len(params), len(numpy.unique(params))
    freedom = n - (3 if irreducible else 2)
    squares = float(((log_loss - fitted) ** 2).sum())
    if sizes >= RESAMPLE_RUNS_FROM:
        weights = _drawn_runs(params, 3 if irreducible else 2, count, generator)
        targets = numpy.broadcast_to(log_loss if choice is None else log_loss + choice.bias, (count, n))
        scatter = numpy.full(count, (squares / freedom) ** 0.5)
        tail = _expanded_tail(n, freedom)
        method = f"{count} times, {n} of the {n} runs drawn with replacement (quantiles expanded for so many runs)"
    elif freedom > 0 or log_sd.any():
        scale = squares / generator.chisquare(freedom, count) if freedom > 0 else numpy.zeros(count)
        own = log_sd if choice is None else numpy.fmax(log_sd, choice.sd)
        noise = numpy.sqrt(numpy.maximum(scale[:, None], own**2))
        if choice is None:
            moved = fitted + noise * generator.standard_normal((count, n))
        else:
            moved = fitted + choice.bias + noise * choice.shapes
        # The tails of one degree of freedom are long: e^300 nats is as good as infinity and still a number.
        targets = numpy.clip(moved, -300.0, 300.0)
        weights, scatter, tail = None, numpy.sqrt(scale), (1 - LEVEL) / 2
        method = _small_ladder_method(count, n, freedom, bool(log_sd.any()), noun)
    else:
        return None
    if choice is not None:
        method += "; the choice among settings is repeated in each, with seeds drawn anew"
    fits = solve_power_law(params, targets, weights, irreducible=irreducible, delta=delta)
    return PowerLawDraws(fits, scatter, tail, method, choice is not None)


def _drawn_runs(params: "FloatArray", needed: int, count: int, generator: "Generator") -> "FloatArray":
    """[count, n], how often each run was drawn; draws with too few distinct sizes for the law are drawn again."""
    import numpy

    n = len(params)
    _, size = numpy.unique(params, return_inverse=True)
    weights = numpy.zeros((count, n))
    todo = numpy.arange(count)
    while len(todo):
        drawn = generator.integers(n, size=(len(todo), n))
        weights[todo] = 0.0
        numpy.add.at(weights, (todo[:, None], drawn), 1.0)
        seen = numpy.zeros((len(todo), size.max() + 1), bool)
        numpy.put_along_axis(seen, size[drawn], True, axis=1)
        todo = todo[seen.sum(1) < needed]
    return weights


def _small_ladder_method(count: int, n: int, freedom: int, measured: bool, noun: str) -> str:
    description = f"{count} times, the {n} {noun}s kept and each loss moved from the law by normal noise"
    if freedom <= 0:
        return (
            f"{description} of its own measured uncertainty alone, because the law passes through every point: too "
            "narrow"
        )
    floor = ", or of the run's own measured uncertainty where that is larger" if measured else ""
    freedom_text = f"{freedom} degree{'s' if freedom > 1 else ''} of freedom"
    return (
        f"{description} of the scale of the residuals{floor}, with {freedom_text} (Student's t); rough, because so few "
        "runs say little about their own scatter"
    )


def _expanded_tail(n: int, freedom: int) -> float:
    """Drawn runs scatter sqrt(freedom / n) too little, with normal tails instead of Student's: the quantiles are taken
    further out (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 5.3; there for a mean)."""
    from scipy.special import ndtr, stdtrit

    return float(ndtr((n / freedom) ** 0.5 * stdtrit(freedom, (1 - LEVEL) / 2)))
