"""The law over data alone, L(D), of each size that was trained at several lengths, as the record of fit.json."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import compact
from zeroscale.scaling.estimators.power_law import fit_power_law
from zeroscale.scaling.estimators.power_law_solver import HUBER_DELTA
from zeroscale.scaling.estimators.results import PowerLawFit
from zeroscale.scaling.fit_json import NAMED_RUN, RESIDUAL, intervals
from zeroscale.scaling.fit_schema import BandPoint, FittedRun, HoldOut, LengthLaw, SizeMean
from zeroscale.scaling.laws.estimate import finite
from zeroscale.scaling.laws.power_law import DATA
from zeroscale.scaling.options import Options
from zeroscale.scaling.run_selection import SelectedRun, SizeGroup, select_lengths
from zeroscale.scaling.size_law_json import BAND_POINTS, BAND_REACH

if TYPE_CHECKING:
    from collections.abc import Callable

    from zeroscale.scaling.choice.resampling import ChoiceDraws

LEAST_LENGTHS = 3
# Of each of several sizes: more resamples than this change no digit that a line of text shows.
BOOTSTRAP = 1000
LENGTH_HOLD_OUT = ("measured", "predicted", "low", "high", "error", "inside", "form", "n_points")


def fit_data_laws(
    runs: Sequence[SelectedRun],
    options: Options,
    repeat_choice: "Callable[[Sequence[SizeGroup], int], ChoiceDraws | None]",
) -> dict[str, LengthLaw]:
    """L(D) = E + (D_c/D)^beta, E only where five lengths or more carry it, of each size, by the size's name.

    Args:
        repeat_choice: what choosing among settings does to the means of a size, in so many draws.

    Raises:
        ZeroscaleError: no size has three lengths.
    """
    laws: dict[str, LengthLaw] = {}
    sizes = select_lengths(runs, LEAST_LENGTHS)
    bootstrap = options.bootstrap if len(sizes) == 1 else min(options.bootstrap, BOOTSTRAP)
    for own, lengths in sizes:
        fit = fit_power_law(
            [length.tokens for length in lengths],
            [length.loss for length in lengths],
            loss_sd=[length.loss_sd or 0.0 for length in lengths],
            bootstrap=bootstrap,
            seed=options.seed,
            subject=DATA,
            choice=repeat_choice(lengths, bootstrap),
        )
        models = {run.model for run in own}
        model = own[0].model if len(models) == 1 else None
        name = model or f"N = {compact(own[0].params)}"
        laws[name if name not in laws else f"{name}, N = {own[0].params:,.0f}"] = _law(fit, own, lengths, model)
    if not laws:
        raise ZeroscaleError(
            f"no size was trained on {LEAST_LENGTHS} numbers of tokens: a law over data needs "
            f"{LEAST_LENGTHS}, better five; train with trainer.tokens=A,B,C,… or +sweeps=pocket-wsd"
        )
    return laws


def _law(fit: PowerLawFit, runs: Sequence[SelectedRun], lengths: Sequence[SizeGroup], model: str | None) -> LengthLaw:
    fitted = {length.tokens: float(fit.predict(length.tokens)) for length in lengths}
    return LengthLaw(
        model=model,
        params=runs[0].params,
        form=fit.form,
        parameters=fit.parameters,
        irreducible=fit.irreducible,
        irreducible_tried=fit.tried_irreducible,
        objective=fit.objective,
        objective_form=f"sum of Huber(ln L_law - ln L_measured), delta {HUBER_DELTA:g}",
        converged=fit.converged,
        rms_log_residual=fit.rms_log_residual,
        n_points=fit.n_points,
        n_runs=len(runs),
        points=tuple(
            FittedRun(
                keys=(*NAMED_RUN, *RESIDUAL),
                **{key: getattr(run, key) for key in NAMED_RUN},
                fitted=fitted[run.tokens],
                log_residual=math.log(run.loss / fitted[run.tokens]),
            )
            for run in runs
        ),
        lengths=tuple(SizeMean(**vars(length)) for length in lengths),
        band=_band(fit, lengths),
        hold_out=_hold_out(fit, lengths[-1]),
        intervals=intervals(fit.method),
        warnings=fit.warnings,
    )


def _hold_out(fit: PowerLawFit, longest: SizeGroup) -> HoldOut | None:
    held = fit.hold_out
    if held is None:
        return None
    cell = longest.cells[0] if len(longest.cells) == 1 else None
    values = {key: getattr(held, key) for key in LENGTH_HOLD_OUT}
    return HoldOut(keys=("cell", "tokens", *LENGTH_HOLD_OUT), cell=cell, tokens=longest.tokens, **values)


def _band(fit: PowerLawFit, lengths: Sequence[SizeGroup]) -> tuple[BandPoint, ...]:
    """The law and its 95 % interval from the shortest run to `BAND_REACH` times the longest, evenly in ln D."""
    import numpy

    grid = numpy.geomspace(lengths[0].tokens, lengths[-1].tokens * BAND_REACH, BAND_POINTS)
    value, ends = fit.predict(grid), fit.band(grid)
    points = []
    for i, tokens in enumerate(grid.tolist()):
        low, high = (None, None) if ends is None else (finite(ends[0][i]), finite(ends[1][i]))
        points.append(
            BandPoint(keys=("tokens", "low", "value", "high"), tokens=tokens, low=low, value=float(value[i]), high=high)
        )
    return tuple(points)
