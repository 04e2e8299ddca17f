"""The bootstrap that repeats the choice: how far the best of several noisy means lies from its true one.

Of each size the seeds are resampled, the same for all its settings, and the best setting is chosen anew. The best of
several means is too low by as much as their noise let it win (the winner's curse): a resampled best is too low in the
same way against the measured one as the measured one against the truth (Efron & Tibshirani 1993, chapter 10). So the
measured loss is moved by measured less resampled, which both widens the interval and takes the bias out of it.

Seeds are resampled by weights, exponential draws over their sum (Rubin 1981), which unlike counts leave no setting
without runs. The variance of such a mean of n seeds is (n - 1) / (n + 1) of what it should be, and a few seeds know
their own scale badly: the draws are widened by the root of that factor and by Student's t.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zeroscale.core.best_mean import Seed
from zeroscale.scaling.choice.record import Choice

if TYPE_CHECKING:
    from numpy.random import Generator

    from zeroscale.scaling.numerics.arrays import BoolArray, FloatArray


@dataclass(frozen=True)
class ChoiceDraws:
    """What the choice does to n points of a law: `bias` [n] in ln L, by which each is expected to lie too low, its
    standard deviation `sd` [n], and `shapes` [count, n], draws around it of mean 0 and standard deviation 1. Where
    nothing was chosen, or no seed repeated, the bias is 0, the deviation NaN and the draws are normal."""

    bias: "FloatArray"
    sd: "FloatArray"
    shapes: "FloatArray"

    def take(self, mask: "BoolArray") -> "ChoiceDraws":
        return ChoiceDraws(self.bias[mask], self.sd[mask], self.shapes[:, mask])


def resample_choice(losses: Sequence[Mapping[Seed, float]], count: int, generator: "Generator") -> "FloatArray | None":
    """[count]: measured less resampled loss of the best setting, in nats; the first of `losses` is the measured best.

    None where no setting has two seeds: then nothing says how large the noise is.

    Args:
        losses: of each setting of one size, by seed.
    """
    import numpy

    seeds = list(dict.fromkeys(seed for own in losses for seed in own))
    table = numpy.array([[own.get(seed, numpy.nan) for seed in seeds] for own in losses])
    known = ~numpy.isnan(table)
    numbers = known.sum(1)
    if numbers.max() < 2:
        return None
    means = numpy.nanmean(table, axis=1)
    residuals = numpy.where(known, table - means[:, None], 0.0)
    weights = generator.exponential(size=(count, len(seeds)))
    repeated = numbers > 1
    widen = numpy.sqrt((numbers + 1) / numpy.maximum(numbers - 1, 1))
    moved = (weights @ residuals.T) / (weights @ known.T) * widen
    # A setting with one seed scatters as the others of its size do.
    pooled = float(numpy.sqrt((residuals[repeated] ** 2).sum() / (numbers[repeated] - 1).sum()))
    moved[:, ~repeated] = pooled * generator.standard_normal((count, int((~repeated).sum())))
    freedom = int(numbers.max()) - 1
    moved /= numpy.sqrt(generator.chisquare(freedom, count) / freedom)[:, None]
    best: FloatArray = means[0] - (means + moved).min(axis=1)
    return best


def repeat_choices(
    choice: Choice, losses: Sequence[Sequence[Mapping[Seed, float]]], count: int, seed: int
) -> tuple[Choice, list["FloatArray | None"]]:
    """(the choice, saying of each size by how much choosing lowers its mean; `resample_choice` of each size, None where
    it has one setting)."""
    import numpy

    generator = numpy.random.default_rng(seed + 3)
    draws = [resample_choice(own, count, generator) if len(own) > 1 else None for own in losses]
    sizes = tuple(
        replace(size, bias=None if draw is None else max(0.0, float(draw.mean())))
        for size, draw in zip(choice.sizes, draws, strict=True)
    )
    return replace(choice, sizes=sizes), draws


def choice_draws(
    choice: Choice,
    draws: Sequence["FloatArray | None"],
    points: Sequence[tuple[float, float, float]],
    count: int,
    seed: int,
) -> ChoiceDraws:
    """What the choice does to the points of a law: (params, tokens, mean loss) each."""
    import numpy

    where = {(size.params, size.tokens): draw for size, draw in zip(choice.sizes, draws, strict=True)}
    generator = numpy.random.default_rng(seed + 4)
    bias, sd = numpy.zeros(len(points)), numpy.full(len(points), numpy.nan)
    shapes = generator.standard_normal((count, len(points)))
    for i, (params, tokens, loss) in enumerate(points):
        draw = where.get((params, tokens))
        if draw is None:
            continue
        bias[i], sd[i] = max(0.0, draw.mean()) / loss, draw.std() / loss
        if sd[i] > 0:
            shapes[:, i] = (draw - draw.mean()) / draw.std()
    return ChoiceDraws(bias, sd, shapes)
