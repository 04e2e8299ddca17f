"""Data sets that might as well have been measured, for laws over size and data: which runs each of them holds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.scaling.laws.estimate import Estimate, quantiles
from zeroscale.scaling.laws.surface import Surface
from zeroscale.scaling.numerics.arrays import group_values

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray

NAMES = ("E", "A", "B", "alpha", "beta")
# Different sizes and token counts that a resampled law needs.
_LEVELS = 2
_ATTEMPTS = 200


@dataclass(frozen=True)
class SurfaceDraws:
    """Laws [S] refitted to resampled data, and how these were made, in words."""

    laws: Surface
    method: str

    def parameters(self, law: Surface) -> dict[str, Estimate]:
        """The five numbers of the law, each with its interval."""
        return {name: Estimate.of(getattr(law, name), getattr(self.laws, name)) for name in NAMES}

    def correlation(self) -> dict[str, dict[str, float]]:
        """Of the draws of E, ln A, ln B, alpha and beta (A and B themselves are too skewed for one number)."""
        import numpy

        names = ("E", "log_A", "log_B", "alpha", "beta")
        draws = numpy.stack([getattr(self.laws, name) for name in names])
        with numpy.errstate(all="ignore"):
            matrix = numpy.nan_to_num(numpy.corrcoef(draws), posinf=0.0, neginf=0.0)
        return {row: {column: float(matrix[i, j]) for j, column in enumerate(names)} for i, row in enumerate(names)}

    def band(self, params: "FloatArray", tokens: "FloatArray") -> tuple["FloatArray", "FloatArray"]:
        """95 % interval of the *law* at each (N, D) [m]."""
        return quantiles(self.losses(params, tokens))

    def losses(self, params: "FloatArray", tokens: "FloatArray") -> "FloatArray":
        """Loss of every law at each (N, D): [S, m]."""
        each = Surface(*(getattr(self.laws, name)[:, None] for name in ("E", "log_A", "log_B", "alpha", "beta")))
        return each(params[None, :], tokens[None, :])


def resample_runs(
    params: "FloatArray", tokens: "FloatArray", count: int, seed: int, parameters: int = 5
) -> "FloatArray":
    """[count, n]: how often each run is drawn, with replacement (Efron 1979).

    Draws with too few different runs (one more than `parameters`), sizes or token counts to hold a law are drawn again.
    """
    import numpy

    generator = numpy.random.default_rng(seed)
    n = len(params)
    size, data = group_values(params), group_values(tokens)
    needed = (min(parameters + 1, n), min(_LEVELS, size.max() + 1), min(_LEVELS, data.max() + 1))
    weights = numpy.zeros((count, n))
    todo = numpy.arange(count)
    for _ in range(_ATTEMPTS):
        weights[todo] = generator.multinomial(n, numpy.full(n, 1 / n), len(todo))
        drawn = weights[todo] > 0
        enough = drawn.sum(1) >= needed[0]
        for levels, least in ((size, needed[1]), (data, needed[2])):
            seen = drawn @ numpy.eye(levels.max() + 1)[levels] > 0
            enough &= seen.sum(1) >= least
        todo = todo[~enough]
        if not len(todo):
            break
    return weights


def resample_seeds(
    params: "FloatArray", tokens: "FloatArray", seeds: "FloatArray | None", count: int, seed: int
) -> "FloatArray | None":
    """[count, n]: the sizes and token counts stay, and of each the seeds are drawn with replacement.

    None unless some size and token count was trained with two seeds or more. Runs without a twin are always kept.
    """
    import numpy

    if seeds is None:
        return None
    cell = group_values(params) * (len(params) + 1) + group_values(tokens)
    weights = numpy.ones((count, len(params)))
    generator = numpy.random.default_rng(seed + 1)
    repeated = 0
    for group in numpy.unique(cell):
        rows = numpy.flatnonzero(cell == group)
        if len(rows) > 1:
            repeated += 1
            weights[:, rows] = generator.multinomial(len(rows), numpy.full(len(rows), 1 / len(rows)), count)
    return weights if repeated else None
