"""The two sides of a comparison: runs, whether their grids agree, and the law of each with its draws."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zeroscale.scaling.laws.estimate import LEVEL, Estimate, finite
from zeroscale.scaling.laws.loss_vs_compute import LossVsCompute
from zeroscale.scaling.laws.surface import PerToken
from zeroscale.scaling.numerics.arrays import SAME, group_values
from zeroscale.scaling.registry import LAWS

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray, IntArray

# ln N and ln D this correlated: a ladder, on which size and data cannot be told apart.
TIED = 0.99
# Between the seeds of draws that have nothing to do with each other.
APART = 1_000_003


@dataclass(frozen=True)
class ModelLadder:
    """n runs of one recipe: N, D, loss, C, [n] each. `exact`: C is given, else 6 N D."""

    params: "FloatArray"
    tokens: "FloatArray"
    loss: "FloatArray"
    flops: "FloatArray"
    seeds: "FloatArray | None"
    exact: bool

    def take(self, rows: "IntArray") -> "ModelLadder":
        columns = {name: getattr(self, name)[rows] for name in ("params", "tokens", "loss", "flops")}
        return replace(self, **columns, seeds=None if self.seeds is None else self.seeds[rows])

    @property
    def tied(self) -> bool:
        """Whether data follow size."""
        import numpy

        columns = numpy.log(self.params), numpy.log(self.tokens)
        return any(numpy.ptp(column) == 0 for column in columns) or abs(numpy.corrcoef(*columns)[0, 1]) > TIED

    def per_token(self) -> PerToken | None:
        """FLOPs of a token as a power of N, as `RunTable.per_token` fits it; None for 6 N D."""
        import numpy

        if not self.exact or len(numpy.unique(self.params)) < 2:
            return None
        power, scale = numpy.polyfit(numpy.log(self.params), numpy.log(self.flops / self.tokens), 1)
        return PerToken(float(scale), float(power)) if power > 0 else None


@dataclass(frozen=True)
class LadderFit:
    """A law's numbers by name, the draws [S] of each, and its path over compute. `tail`: share beyond each end."""

    form: str
    values: dict[str, float]
    draws_of: Callable[[str], "FloatArray | None"]
    path: LossVsCompute
    drawn: LossVsCompute | None
    tail: float
    method: str | None
    paired: bool
    warnings: tuple[str, ...]

    def parameters(self) -> dict[str, Estimate]:
        return {name: quantile_interval(value, self.draws_of(name), self.tail) for name, value in self.values.items()}


def quantile_interval(value: float, draws: "FloatArray | None", tail: float) -> Estimate:
    """The value with the quantiles of its draws; draws that are no number do not count, infinite ones are large."""
    import numpy

    if draws is None or not (known := draws[~numpy.isnan(draws)]).size:
        return Estimate(finite(value), None, None)
    low, high = numpy.quantile(known, [tail, 1 - tail], method="linear" if numpy.isfinite(known).all() else "nearest")
    return Estimate(finite(value), finite(float(low)), finite(float(high)))


def pair_runs(first: ModelLadder, second: ModelLadder) -> "tuple[IntArray, IntArray] | str":
    """Orders of both in which run i of one belongs to run i of the other; or why there are none.

    Runs belong together where their sizes have the same rank (two architectures hardly have the same N), their token
    counts are the same to 1 %, and their seeds are the same.
    """
    import numpy

    if len(first.params) != len(second.params):
        return f"{len(first.params)} runs and {len(second.params)}"
    if (first.seeds is None) != (second.seeds is None):
        return "only one of the two says its seeds"
    keys, orders = [], []
    for ladder in (first, second):
        size = group_values(ladder.params)
        seeds = numpy.zeros(len(size)) if ladder.seeds is None else ladder.seeds
        order = numpy.lexsort((seeds, ladder.tokens, size))
        keys.append((size[order], ladder.tokens[order], seeds[order]))
        orders.append(order)
    (sizes, tokens, seeds), (sizes_too, tokens_too, seeds_too) = keys
    if not numpy.array_equal(sizes, sizes_too):
        return "they have other numbers of runs for a size"
    if not numpy.allclose(tokens, tokens_too, rtol=SAME, atol=0):
        return "their token counts differ"
    if not numpy.array_equal(seeds, seeds_too):
        return "their seeds differ"
    return orders[0], orders[1]


def fit_surfaces(
    law: str, first: ModelLadder, second: ModelLadder, bootstrap: int, random_seed: int, paired: bool
) -> tuple[LadderFit, LadderFit]:
    """Both by Chinchilla's form; runs in the same order draw the same runs where `paired`."""
    fitter = LAWS[law].surface
    assert fitter is not None, f"{law} is no surface"
    names = ("E", "A", "B", "alpha", "beta")
    fits = []
    for ladder, seed in ((first, random_seed), (second, random_seed + (0 if paired else APART))):
        fit = fitter(ladder.params, ladder.tokens, ladder.loss, bootstrap=bootstrap, random_seed=seed, hold_out=False)
        cost = ladder.per_token()
        laws = None if fit.draws is None else fit.draws.laws
        draws = {} if laws is None else {"a": laws.exponent(cost)} | {name: getattr(laws, name) for name in names}
        method = (
            None if fit.draws is None else fit.draws.method + (", the same of both" if paired else ", of each alone")
        )
        fits.append(
            LadderFit(
                form=fit.form,
                values={"a": float(fit.law.exponent(cost))} | {name: float(getattr(fit.law, name)) for name in names},
                draws_of=draws.get,
                path=LossVsCompute.of_surface(fit.law, cost),
                drawn=None if laws is None else LossVsCompute.of_surface(laws, cost),
                tail=(1 - LEVEL) / 2,
                method=method,
                paired=paired and fit.draws is not None,
                warnings=fit.warnings,
            )
        )
    return fits[0], fits[1]
