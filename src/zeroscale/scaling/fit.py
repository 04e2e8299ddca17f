"""Fits the laws of a study, writes them with their doubts to fit.json, and says them in plain words."""

import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zeroscale.errors import ZeroscaleError
from zeroscale.files import read_json, sha256_file, write_json
from zeroscale.scaling import doubts, ledger
from zeroscale.scaling.cells import read_cells
from zeroscale.scaling.laws import HUBER_DELTA
from zeroscale.scaling.points import COLUMN_OF, Selection, select
from zeroscale.scaling.power import PowerLawFit, fit_power_law
from zeroscale.scaling.summary import describe

__all__ = ["describe", "fit_study"]

BAND_POINTS = 60
# The band is drawn this far beyond the largest size: as far as a ladder is usually asked to point.
BAND_REACH = 10.0


def fit_study(
    runs: Path,
    out: Path | None = None,
    *,
    convention: str = "non_embedding",
    bootstrap: int = 2000,
    seed: int = 0,
    command: str | None = None,
) -> dict[str, Any]:
    """Fits val/loss against size and writes fit.json; returns what it wrote.

    A study's directory gets its results.csv anew first. The law rests on the last checkpoint of each finished run, the
    mean over seeds where they repeat; all else is listed under `left_out` with its rule.

    Args:
        runs: a study's directory, a results.csv, or a CSV with params, tokens, loss.
        out: where to write; by default fit.json in the study, or NAME.fit.json beside another CSV.
        convention: which count is N: non_embedding (Kaplan's), total or matmul. A CSV of runs has its own.
        bootstrap, seed: of the intervals.
        command: recorded in the file.

    Raises:
        ZeroscaleError: nothing to fit, faults in the CSV, one size only.
    """
    runs = Path(runs)
    frame = ledger.read(runs)
    is_study = runs.is_dir()
    source = ledger.write(runs, frame) if is_study else runs
    from_ledger = "val/loss" in frame.columns
    chosen = select(frame, convention, read_cells(runs) if is_study else ())
    sizes = chosen.sizes
    if len(sizes) < 2:
        raise ZeroscaleError(
            f"{runs} has finished runs of one size only (N = {sizes[0]['params']:,.0f}): a law over size needs at "
            "least two, better five"
        )
    fit = fit_power_law(
        [size["params"] for size in sizes],
        [size["loss"] for size in sizes],
        loss_sd=[size["loss_sd"] or 0.0 for size in sizes],
        bootstrap=bootstrap,
        seed=seed,
    )
    law = _as_json(fit, chosen)
    law["variable"] = COLUMN_OF[convention] if from_ledger else "params"
    value = {
        "study": runs.name if is_study else runs.resolve().parent.name if from_ledger else runs.stem,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "runs": str(runs),
        "results_sha256": sha256_file(source),
        "law": fit.form,
        "convention": convention if from_ledger else "as given in the CSV",
        "bootstrap": bootstrap,
        "seed": seed,
        "laws": {"val/loss": law},
        "left_out": [{key: entry[key] for key in ("cell", "steps", "rule")} for entry in chosen.left_out],
    }
    return _write(out or _default_out(runs, from_ledger), value)


def _default_out(runs: Path, from_ledger: bool) -> Path:
    if runs.is_dir():
        return runs / "fit.json"
    return runs.with_name("fit.json") if from_ledger else runs.with_name(f"{runs.stem}.fit.json")


def _write(path: Path, value: dict[str, Any]) -> dict[str, Any]:
    """Writes unless the same fit is there already: then the file, with its date, stays as it is."""
    if path.is_file():
        try:
            old = read_json(path)
        except ZeroscaleError:
            old = None
        if isinstance(old, dict) and {**old, "created": None, "command": None} == {
            **value,
            "created": None,
            "command": None,
        }:
            return old
    write_json(path, value)
    return value


def _as_json(fit: PowerLawFit, chosen: Selection) -> dict[str, Any]:
    """One entry of fit.json's `laws`. No NaN or infinity: what is unknown is null."""
    fitted = {size["params"]: float(fit.predict(size["params"])) for size in chosen.sizes}
    points = [
        {**run, "fitted": fitted[run["params"]], "log_residual": math.log(run["loss"] / fitted[run["params"]])}
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
    }


def _band(fit: PowerLawFit, sizes: list[dict[str, Any]]) -> list[dict[str, float | None]]:
    """The law and its 95 % interval from the smallest size to `BAND_REACH` times the largest, evenly in ln N."""
    import numpy

    grid = numpy.geomspace(sizes[0]["params"], sizes[-1]["params"] * BAND_REACH, BAND_POINTS)
    value = fit.predict(grid)
    ends = fit.band(grid)
    rows = []
    for i, params in enumerate(grid.tolist()):
        low, high = (None, None) if ends is None else (_finite(ends[0][i]), _finite(ends[1][i]))
        rows.append({"params": params, "low": low, "value": float(value[i]), "high": high})
    return rows


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
