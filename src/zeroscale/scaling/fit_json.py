"""Laws over size and data as fit.json holds them. No NaN or infinity: what is unknown is null."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from zeroscale.scaling import diagnostics
from zeroscale.scaling.estimators.power_law import PowerLawFit, fit_power_law
from zeroscale.scaling.estimators.power_law_solver import HUBER_DELTA
from zeroscale.scaling.laws.compute_optimal import finite_or_none
from zeroscale.scaling.laws.estimate import Estimate, finite
from zeroscale.scaling.laws.surface import SIX_ND
from zeroscale.scaling.run_selection import Selection

if TYPE_CHECKING:
    from zeroscale.scaling.estimators.bootstrap_surface import SurfaceDraws
    from zeroscale.scaling.estimators.envelope import EnvelopeFit
    from zeroscale.scaling.estimators.isoflop import IsoflopFit
    from zeroscale.scaling.estimators.kaplan import KaplanFit
    from zeroscale.scaling.estimators.surface_fit import SurfaceFit
    from zeroscale.scaling.run_table import RunTable

# The compute-optimal path is written from the smallest run's FLOPs to this many times the largest's, for figures.
FRONTIER_POINTS = 33
FRONTIER_REACH = 10.0


def surface(fit: "SurfaceFit", table: "RunTable", budgets: Sequence[float]) -> dict[str, Any]:
    """`chinchilla` and `vpnls`."""
    per_token = table.per_token()
    return {
        "form": fit.form,
        "parameters": estimates(fit.parameters),
        "exponents": estimates(fit.exponents),
        "objective": fit.objective,
        "objective_form": fit.objective_form,
        "n_points": fit.n_points,
        "n_sizes": fit.n_sizes,
        "n_token_counts": fit.n_token_counts,
        "warnings": list(fit.warnings),
        "intervals": _intervals(None if fit.draws is None else fit.draws.method),
        "over_seeds": _over_seeds(fit.over_seeds, fit),
        "compute_optimal": [_optimum(fit.optimum(float(budget), per_token)) for budget in budgets],
        "frontier": _frontier(lambda flops: fit.optimum(flops, per_token), table),
        "flops": _counted(table),
        "hold_out": None if fit.hold_out is None else asdict(fit.hold_out),
        "leave_one_out": [
            {key: value for key, value in asdict(one).items() if key not in ("low", "high", "inside")}
            for one in fit.leave_one_out
        ],
        "left_out": [],
        "diagnostics": {
            "converged": fit.converged,
            "starts": fit.starts,
            "starts_at_optimum": fit.reached,
            "share_of_starts": fit.share_of_starts,
            "rms_log_residual": fit.rms_log_residual,
            "correlation": None if fit.draws is None else fit.draws.correlation(),
        },
        "points": _points(table, fit.predict(table.params, table.tokens), fit.log_residuals),
    }


def isoflop(fit: "IsoflopFit", table: "RunTable", budgets: Sequence[float]) -> dict[str, Any]:
    """Approach 2, with its parabolas."""
    used = {run for one in fit.budgets if one.used for run in one.runs}
    return {
        "form": fit.form,
        "parameters": estimates(fit.parameters),
        "exponents": _exponents(fit.parameters),
        "objective": fit.objective,
        "objective_form": "sum of squares about the parabolas, nats^2; the line by least squares in ln C, ln N",
        "n_points": fit.n_points,
        "warnings": list(fit.warnings),
        "intervals": _intervals(fit.method),
        "compute_optimal": [_optimum(fit.optimum(float(budget))) for budget in budgets],
        "frontier": _frontier(fit.optimum, table),
        "flops": _counted(table),
        "left_out": _left_out(fit.left_out, table),
        "diagnostics": {
            "budgets": [
                {
                    "flops": one.flops,
                    "params": asdict(one.params),
                    "tokens": finite_or_none(one.tokens),
                    "loss": finite_or_none(one.loss),
                    "curvature": finite_or_none(one.curvature),
                    "used": one.used,
                    "reason": one.reason,
                    "runs": [table.names[run] for run in one.runs],
                }
                for one in fit.budgets
            ]
        },
        "points": [_point(table, run) for run in sorted(used)],
    }


def envelope(fit: "EnvelopeFit", table: "RunTable", budgets: Sequence[float]) -> dict[str, Any]:
    """Approach 1."""
    return {
        "form": fit.form,
        "parameters": estimates(fit.parameters),
        "exponents": _exponents(fit.parameters),
        "objective": fit.objective,
        "objective_form": "mean square of ln N about the line, over 1,500 budgets",
        "n_points": fit.n_points,
        "warnings": list(fit.warnings),
        "intervals": _intervals(fit.method),
        "compute_optimal": [_optimum(fit.optimum(float(budget))) for budget in budgets],
        "frontier": _frontier(fit.optimum, table),
        "flops": _counted(table),
        "left_out": _left_out(fit.left_out, table),
        "diagnostics": {"sizes": list(fit.sizes), "flops_from": fit.span[0], "flops_to": fit.span[1]},
    }


def kaplan(fit: "KaplanFit", table: "RunTable") -> dict[str, Any]:
    """Kaplan's three laws; `parameters` are those of L(N, D)."""
    ones = {"L(N)": fit.by_size, "L(D)": fit.by_data}
    return {
        "form": fit.form,
        "parameters": estimates(fit.parameters),
        "objective": fit.objective,
        "objective_form": "sum of Huber(ln L_law - ln L_measured), delta 0.001",
        "n_points": fit.n_points,
        "warnings": list(fit.warnings),
        "intervals": _intervals(fit.method),
        "left_out": [],
        **{
            name: None
            if one is None
            else {
                "form": one.form,
                "parameters": estimates(one.parameters),
                "objective": one.objective,
                "n_points": len(one.runs),
                "rule": one.rule,
                "left_out": [table.names[run] for run in range(len(table.names)) if run not in one.runs],
            }
            for name, one in ones.items()
        },
        "diagnostics": {
            "converged": fit.converged,
            "starts": fit.starts,
            "starts_at_optimum": fit.reached,
            "share_of_starts": fit.reached / fit.starts,
        },
        "points": _points(table, fit.predict(table.params, table.tokens), fit.log_residuals),
    }


def estimates(values: dict[str, Estimate]) -> dict[str, Any]:
    """Each with its value, low and high."""
    return {name: asdict(estimate) for name, estimate in values.items()}


def _exponents(parameters: dict[str, Estimate]) -> dict[str, Any]:
    return {"N_opt": asdict(parameters["a"]), "D_opt": asdict(parameters["b"])}


def _intervals(method: str | None) -> dict[str, Any] | None:
    return None if method is None else {"level": 0.95, "method": method}


def _over_seeds(draws: "SurfaceDraws | None", fit: "SurfaceFit") -> dict[str, Any] | None:
    if draws is None:
        return None
    return {"parameters": estimates(draws.parameters(fit.law)), "intervals": _intervals(draws.method)}


def _optimum(found: Any) -> dict[str, Any]:
    return {"flops": found.flops} | {
        name: asdict(getattr(found, name)) for name in ("params", "tokens", "loss") if hasattr(found, name)
    }


def _frontier(optimum: Callable[[float], Any], table: "RunTable") -> list[dict[str, Any]]:
    """The optimum over a range of budgets, evenly in ln C."""
    import numpy

    grid = numpy.geomspace(table.flops.min(), FRONTIER_REACH * table.flops.max(), FRONTIER_POINTS)
    return [_optimum(optimum(float(flops))) for flops in grid]


def _counted(table: "RunTable") -> dict[str, Any]:
    """How C was counted, and what a token costs as exp(log_scale) N^power where an optimum is asked for."""
    return {"counted": table.counted, "per_token": asdict(table.per_token() or SIX_ND)}


def _left_out(pairs: Sequence[tuple[int, str]], table: "RunTable") -> list[dict[str, Any]]:
    """Each run with what it measured, so that a figure can show it among those that count."""
    return [
        {"cell": table.names[run], "rule": rule}
        | {name: value for name, value in _point(table, run).items() if name in ("params", "tokens", "flops", "loss")}
        for run, rule in pairs
    ]


def _point(table: "RunTable", run: int) -> dict[str, Any]:
    """A run as the law saw it: `flops` by the count that the fit used; `name` tells checkpoints of a cell apart."""
    return {**shown(table.runs[run]), "name": table.names[run], "flops": float(table.flops[run])}


def _points(table: "RunTable", fitted: Any, residuals: Sequence[float]) -> list[dict[str, Any]]:
    return [
        {**_point(table, run), "fitted": finite_or_none(value), "log_residual": finite_or_none(residual)}
        for run, (value, residual) in enumerate(zip(fitted, residuals, strict=True))
    ]


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
        "warnings": [*fit.warnings, *diagnostics.recipe_warnings(chosen.sizes, chosen.left_out)],
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
