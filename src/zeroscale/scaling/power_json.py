"""A power law over size as fit.json holds it. No NaN or infinity: what is unknown is null."""

import math
from dataclasses import asdict
from typing import Any

from zeroscale.scaling import doubts
from zeroscale.scaling.estimate import finite
from zeroscale.scaling.laws import HUBER_DELTA
from zeroscale.scaling.points import Selection
from zeroscale.scaling.power import PowerLawFit, fit_power_law

BAND_POINTS = 60
# The band is drawn this far beyond the largest size: as far as a ladder is usually asked to point.
BAND_REACH = 10.0
# Too long for a run's entry under `points`: the row of the ledger that it came from.
INNER = ("row",)


def fit_sizes(chosen: Selection, bootstrap: int, seed: int) -> PowerLawFit:
    """The law over the sizes of a selection."""
    return fit_power_law(
        [size["params"] for size in chosen.sizes],
        [size["loss"] for size in chosen.sizes],
        loss_sd=[size["loss_sd"] or 0.0 for size in chosen.sizes],
        bootstrap=bootstrap,
        seed=seed,
    )


def power_law(fit: PowerLawFit, chosen: Selection, variable: str) -> dict[str, Any]:
    """One entry of fit.json's `laws`."""
    fitted = {size["params"]: float(fit.predict(size["params"])) for size in chosen.sizes}
    points = [
        {**shown(run), "fitted": fitted[run["params"]], "log_residual": math.log(run["loss"] / fitted[run["params"]])}
        for run in chosen.runs
    ]
    held = None
    if fit.hold_out is not None:
        cells = chosen.sizes[-1]["cells"]
        held = {"cell": cells[0] if len(cells) == 1 else None, **asdict(fit.hold_out)}
    return {
        "form": fit.form,
        "parameters": {name: asdict(estimate) for name, estimate in fit.parameters.items()},
        "irreducible": fit.irreducible,
        "irreducible_tried": None if fit.tried_irreducible is None else asdict(fit.tried_irreducible),
        "objective": fit.objective,
        "objective_form": f"sum of Huber(ln L_law - ln L_measured), delta {HUBER_DELTA:g}",
        "converged": fit.converged,
        "rms_log_residual": fit.rms_log_residual,
        "n_points": fit.n_points,
        "n_runs": len(points),
        "points": points,
        "sizes": chosen.sizes,
        "band": _band(fit, chosen.sizes),
        "hold_out": held,
        "intervals": None if fit.method is None else {"level": 0.95, "method": fit.method},
        "warnings": [*fit.warnings, *doubts.of_points(chosen.sizes, chosen.left_out)],
        "variable": variable,
    }


def shown(run: dict[str, Any]) -> dict[str, Any]:
    """A run without the row that it was read from."""
    return {name: value for name, value in run.items() if name not in INNER}


def _band(fit: PowerLawFit, sizes: list[dict[str, Any]]) -> list[dict[str, float | None]]:
    """The law and its 95 % interval from the smallest size to `BAND_REACH` times the largest, evenly in ln N."""
    import numpy

    grid = numpy.geomspace(sizes[0]["params"], sizes[-1]["params"] * BAND_REACH, BAND_POINTS)
    value = fit.predict(grid)
    ends = fit.band(grid)
    rows = []
    for i, params in enumerate(grid.tolist()):
        low, high = (None, None) if ends is None else (finite(ends[0][i]), finite(ends[1][i]))
        rows.append({"params": params, "low": low, "value": float(value[i]), "high": high})
    return rows
