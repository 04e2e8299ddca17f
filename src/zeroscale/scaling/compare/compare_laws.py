"""Two recipes by their own laws: difference of exponents, of loss at a budget, and how much more compute one needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling.compare.ladders import LadderFit, ModelLadder, fit_surfaces, pair_runs, quantile_interval
from zeroscale.scaling.compare.loss_vs_compute import fit_loss_vs_compute
from zeroscale.scaling.laws.estimate import Estimate, finite
from zeroscale.scaling.laws.loss_vs_compute import LossVsCompute
from zeroscale.scaling.numerics.arrays import check_columns, check_seeds, group_values
from zeroscale.scaling.registry import SURFACES

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray

Columns = Mapping[str, Any]
LAWS = ("auto", *SURFACES, "compute")
# "auto": a surface needs runs enough to resample, on a cross wide enough to tell size from data.
SURFACE_RUNS, SURFACE_LEVELS = 9, 3
# A budget this many times beyond the range that both have is said to be extrapolated to.
FAR = 1.5


@dataclass(frozen=True)
class AtBudget:
    """What a budget buys with each, and the compute that the second needs for the first's loss, over the budget."""

    flops: float
    first: Estimate
    second: Estimate
    difference: Estimate
    """Of the losses, second less first, in nats."""
    multiplier: Estimate
    """Above 1: the second needs more. `value` or `high` None where no compute reaches the first's loss."""


@dataclass(frozen=True)
class LawComparison:
    """`differences` are the second's parameters less the first's. `paired`: both were resampled alike."""

    law: str
    form: str
    first: dict[str, Estimate]
    second: dict[str, Estimate]
    differences: dict[str, Estimate]
    at: tuple[AtBudget, ...]
    paired: bool
    method: str | None
    """How the intervals were made; None where there are none."""
    flops: str
    """How C was counted for both: "exact" or "6nd"."""
    warnings: tuple[str, ...]


def compare_laws(
    first: Columns,
    second: Columns,
    *,
    law: str = "auto",
    budgets: Sequence[float] = (),
    bootstrap: int = 4000,
    random_seed: int = 0,
    paired: bool | Literal["auto"] = "auto",
    names: tuple[str, str] = ("first", "second"),
) -> LawComparison:
    """Fits one law to each of two sets of runs and compares them.

    A recipe is compared where it is best: at each budget, by the loss of its compute-optimal size on the fitted surface
    (`chinchilla`, `vpnls`), or by the law of loss over compute along its own ladder (`compute`: one size, one number of
    tokens each). "auto" takes the surface where both have three sizes times three token counts, nine runs or more.

    Where both have the same grid (as many sizes, the same token counts, the same seeds), what is drawn for one is drawn
    for the other: what the two have in common, such as a seed's data order, then leaves the difference.

    Args:
        first, second: columns `params`, `tokens`, `loss` and, where known, `flops` and `seed`: a dict of lists, a
            DataFrame. C is `flops` where both have it, else 6 N D for both.
        budgets: C to compare at; by default the middle and the end of the range that both have, and ten times that.
        bootstrap, random_seed: refits behind the intervals, 0 for none.
        paired: "auto" pairs where the grids agree; True insists; False does not.
        names: what messages call the two.

    Raises:
        ZeroscaleError: bad values, too few runs for the law, `paired=True` where the grids differ.
    """
    if law not in LAWS:
        raise ZeroscaleError(f"law={law} is unknown here: use {', '.join(LAWS)}")
    if any(not (finite(float(budget)) and budget > 0) for budget in budgets):
        raise ZeroscaleError(f"budgets must be FLOPs above zero: {', '.join(f'{budget:g}' for budget in budgets)}")
    exact = all("flops" in columns and columns["flops"] is not None for columns in (first, second))
    first_ladder, second_ladder = (
        _ladder(columns, name, exact) for columns, name in zip((first, second), names, strict=True)
    )
    chosen = _chosen(law, first_ladder, second_ladder)
    order = pair_runs(first_ladder, second_ladder)
    if paired is True and isinstance(order, str):
        raise ZeroscaleError(f"{names[0]} and {names[1]} cannot be paired: {order}")
    pairs = order if paired is not False and not isinstance(order, str) else None
    if pairs is not None:
        first_ladder, second_ladder = first_ladder.take(pairs[0]), second_ladder.take(pairs[1])
    fit = fit_loss_vs_compute if chosen == "compute" else fit_surfaces
    fits = fit(chosen, first_ladder, second_ladder, bootstrap, random_seed, pairs is not None)
    at_budgets = tuple(_at(float(budget), fits) for budget in budgets or _budgets(first_ladder, second_ladder))
    grids_differ = "" if pairs is not None or not isinstance(order, str) else order
    return LawComparison(
        law=chosen,
        form=fits[0].form,
        first=fits[0].parameters(),
        second=fits[1].parameters(),
        differences=_differences(*fits),
        at=at_budgets,
        paired=fits[0].paired,
        method=fits[0].method and f"{fits[0].method}{f' (their grids differ: {grids_differ})' if grids_differ else ''}",
        flops="exact" if exact else "6nd",
        warnings=tuple(_warnings(first_ladder, second_ladder, fits, at_budgets, names)),
    )


def _ladder(columns: Columns, name: str, exact: bool) -> ModelLadder:
    missing = [key for key in ("params", "tokens", "loss") if key not in columns]
    if missing:
        raise ZeroscaleError(f"{name} has no {' and no '.join(missing)}: it needs params, tokens and loss of each run")
    given = {key: columns[key] for key in ("params", "tokens", "loss", *(["flops"] if exact else []))}
    try:
        values = check_columns(**given)
        seeds = check_seeds(columns.get("seed"), len(values[0]))
    except ZeroscaleError as error:
        raise ZeroscaleError(f"{name}: {error}") from error
    if not len(values[0]):
        raise ZeroscaleError(f"{name} has no runs")
    flops = values[3] if exact else 6 * values[0] * values[1]
    params, tokens, loss = values[:3]
    return ModelLadder(params, tokens, loss, flops, seeds, exact)


def _chosen(law: str, first: ModelLadder, second: ModelLadder) -> str:
    if law != "auto":
        return law
    wide = all(
        len(ladder.params) >= SURFACE_RUNS
        and min(int(group_values(column).max()) + 1 for column in (ladder.params, ladder.tokens)) >= SURFACE_LEVELS
        for ladder in (first, second)
    )
    return "chinchilla" if wide and not (first.tied or second.tied) else "compute"


def _budgets(first: ModelLadder, second: ModelLadder) -> tuple[float, ...]:
    low = max(float(first.flops.min()), float(second.flops.min()))
    high = min(float(first.flops.max()), float(second.flops.max()))
    return ((low * high) ** 0.5, high, 10 * high) if low < high else (high, 10 * high)


def _at(flops: float, fits: tuple[LadderFit, LadderFit]) -> AtBudget:
    import numpy

    def quantities(first: LossVsCompute, second: LossVsCompute) -> "tuple[FloatArray, ...]":
        """Both losses, their difference, and the compute multiplier."""
        first_loss, second_loss = first.loss(flops), second.loss(flops)
        return first_loss, second_loss, second_loss - first_loss, second.flops_for(first_loss) / flops

    first, second = fits
    values = quantities(first.path, second.path)
    drawn: Sequence[FloatArray | None] = (None,) * 4
    if first.drawn is not None and second.drawn is not None:
        with numpy.errstate(all="ignore"):
            drawn = quantities(first.drawn, second.drawn)
    tail = min(fit.tail for fit in fits)
    return AtBudget(
        flops, *(quantile_interval(float(value), draws, tail) for value, draws in zip(values, drawn, strict=True))
    )


def _differences(first: LadderFit, second: LadderFit) -> dict[str, Estimate]:
    differences = {}
    for name, value in first.values.items():
        if name not in second.values or name in ("A", "B"):
            continue  # A and B mean nothing apart from their exponents
        first_draws, second_draws = first.draws_of(name), second.draws_of(name)
        draws = None if first_draws is None or second_draws is None else second_draws - first_draws
        differences[name] = quantile_interval(second.values[name] - value, draws, min(first.tail, second.tail))
    return differences


def _warnings(
    first: ModelLadder,
    second: ModelLadder,
    fits: tuple[LadderFit, LadderFit],
    at: Sequence[AtBudget],
    names: tuple[str, str],
) -> list[str]:
    warnings = [f"{name}: {warning}" for name, fit in zip(names, fits, strict=True) for warning in fit.warnings]
    begin = max(float(first.flops.min()), float(second.flops.min()))
    end = min(float(first.flops.max()), float(second.flops.max()))
    beyond = [f"{budget.flops:.3g}" for budget in at if not begin / FAR <= budget.flops <= FAR * end]
    if beyond:
        reach = f"both have runs from {begin:.3g} to {end:.3g}" if begin <= end else "no budget has runs of both"
        warnings.append(
            f"C = {', '.join(beyond)} is beyond the runs of one of the two ({reach}): what stands there is "
            "extrapolated, and its interval does not cover a form that is wrong."
        )
    never = [f"{budget.flops:.3g}" for budget in at if budget.multiplier.value is None]
    if never:
        warnings.append(f"{names[1]} never reaches the loss of {names[0]} at C = {', '.join(never)} by these laws.")
    if fits[0].method is None:
        warnings.append("Too few runs to resample: no intervals, so no difference here is known to be one.")
    return warnings
