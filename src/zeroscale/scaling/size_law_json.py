"""A law over size alone as the record of fit.json."""

import math
from collections.abc import Sequence

from zeroscale.scaling import diagnostics
from zeroscale.scaling.estimators.power_law_solver import HUBER_DELTA
from zeroscale.scaling.estimators.results import PowerLawFit
from zeroscale.scaling.fit_json import RESIDUAL, RUN, intervals
from zeroscale.scaling.fit_schema import BandPoint, FittedRun, HoldOut, SizeLaw, SizeMean
from zeroscale.scaling.laws.estimate import finite
from zeroscale.scaling.run_selection import Selection, SizeGroup

BAND_POINTS = 60
# The band is drawn this far beyond the largest size: as far as a ladder is usually asked to point.
BAND_REACH = 10.0
# The keys of the record, in the order in which fit.json has always had them.
SIZE = (
    "form", "parameters", "irreducible", "irreducible_tried", "objective", "objective_form", "converged",
    "rms_log_residual", "n_points", "n_runs", "points", "sizes", "band", "hold_out", "intervals", "warnings",
    "variable",
)  # fmt: skip
BAND = ("params", "low", "value", "high")
SIZE_HOLD_OUT = ("params", "measured", "predicted", "low", "high", "error", "inside", "form", "n_points")


def size_law(fit: PowerLawFit, selection: Selection, variable: str) -> SizeLaw:
    """A law over the sizes of a selection."""
    fitted = {size.params: float(fit.predict(size.params)) for size in selection.sizes}
    points = tuple(
        FittedRun(
            keys=(*RUN, *RESIDUAL),
            **{key: getattr(run, key) for key in RUN},
            fitted=fitted[run.params],
            log_residual=math.log(run.loss / fitted[run.params]),
        )
        for run in selection.runs
    )
    return SizeLaw(
        keys=SIZE,
        form=fit.form,
        parameters=fit.parameters,
        irreducible=fit.irreducible,
        irreducible_tried=fit.tried_irreducible,
        objective=fit.objective,
        objective_form=f"sum of Huber(ln L_law - ln L_measured), delta {HUBER_DELTA:g}",
        converged=fit.converged,
        rms_log_residual=fit.rms_log_residual,
        n_points=fit.n_points,
        n_runs=len(points),
        points=points,
        sizes=tuple(SizeMean(**vars(size)) for size in selection.sizes),
        band=_band(fit, selection.sizes),
        hold_out=_size_hold_out(fit, selection.sizes[-1]),
        intervals=intervals(fit.method),
        warnings=(*fit.warnings, *diagnostics.recipe_warnings(selection.sizes, selection.left_out)),
        variable=variable,
    )


def _size_hold_out(fit: PowerLawFit, largest: SizeGroup) -> HoldOut | None:
    held = fit.hold_out
    if held is None:
        return None
    cell = largest.cells[0] if len(largest.cells) == 1 else None
    values = {key: getattr(held, key) for key in SIZE_HOLD_OUT}
    return HoldOut(keys=("cell", *SIZE_HOLD_OUT), cell=cell, **values)


def _band(fit: PowerLawFit, sizes: Sequence[SizeGroup]) -> tuple[BandPoint, ...]:
    """The law and its 95 % interval from the smallest size to `BAND_REACH` times the largest, evenly in ln N."""
    import numpy

    grid = numpy.geomspace(sizes[0].params, sizes[-1].params * BAND_REACH, BAND_POINTS)
    value = fit.predict(grid)
    ends = fit.band(grid)
    points = []
    for i, params in enumerate(grid.tolist()):
        low, high = (None, None) if ends is None else (finite(ends[0][i]), finite(ends[1][i]))
        points.append(BandPoint(keys=BAND, params=params, low=low, value=float(value[i]), high=high))
    return tuple(points)
