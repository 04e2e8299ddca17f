"""Fits of laws over size and data as the records of fit.json. No NaN or infinity: what is unknown is null."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from zeroscale.core.json_records import Record
from zeroscale.scaling.fit_schema import (
    DataLaw,
    Diagnostics,
    FittedRun,
    FlopsCount,
    HoldOut,
    Intervals,
    IsoflopCurve,
    LeftOut,
    OneVariableLaw,
    Optimum,
    PerTokenCost,
    SeedSpread,
)
from zeroscale.scaling.laws.compute_optimal import FrontierOptimum, finite_or_none
from zeroscale.scaling.laws.estimate import LEVEL, Estimate
from zeroscale.scaling.laws.surface import SIX_ND

if TYPE_CHECKING:
    from zeroscale.scaling.estimators.bootstrap_surface import SurfaceDraws
    from zeroscale.scaling.estimators.envelope import EnvelopeFit
    from zeroscale.scaling.estimators.isoflop import IsoflopFit
    from zeroscale.scaling.estimators.kaplan import KaplanFit, OneVariableFit
    from zeroscale.scaling.estimators.results import SurfaceFit
    from zeroscale.scaling.numerics.arrays import FloatArray
    from zeroscale.scaling.run_table import RunTable

# The compute-optimal path is written from the smallest run's FLOPs to this many times the largest's, for figures.
FRONTIER_POINTS = 33
FRONTIER_REACH = 10.0
# The keys of each record, in the order in which fit.json has always had them.
SURFACE = (
    "form", "parameters", "exponents", "objective", "objective_form", "n_points", "n_sizes", "n_token_counts",
    "warnings", "intervals", "over_seeds", "compute_optimal", "frontier", "flops", "hold_out", "leave_one_out",
    "left_out", "diagnostics", "points",
)  # fmt: skip
ISOFLOP = (
    "form", "parameters", "exponents", "objective", "objective_form", "n_points", "warnings", "intervals",
    "compute_optimal", "frontier", "flops", "left_out", "diagnostics", "points",
)  # fmt: skip
ENVELOPE = ISOFLOP[:-1]
KAPLAN = (
    *("form", "parameters", "objective", "objective_form", "n_points", "warnings", "intervals", "left_out"),
    *("L(N)", "L(D)", "diagnostics", "points"),
)
SOLVER = ("converged", "starts", "starts_at_optimum", "share_of_starts")
SURFACE_SOLVER = (*SOLVER, "rms_log_residual", "correlation")
ENVELOPE_DIAGNOSTICS = ("sizes", "flops_from", "flops_to")
RUN = (
    *("cell", "model", "seed", "params", "params_non_embedding", "tokens", "flops", "loss", "loss_low", "loss_high"),
)
NAMED_RUN = (*RUN, "name")
RESIDUAL = ("fitted", "log_residual")
LEFT_OUT = ("cell", "rule", "params", "tokens", "flops", "loss")
LEAVE_ONE_OUT = ("params", "n_runs", "measured", "predicted", "error", "exponent")
SURFACE_HOLD_OUT = (*LEAVE_ONE_OUT, "low", "high", "inside")

R = TypeVar("R", bound=Record)


def record_of(record: type[R], source: object, keys: tuple[str, ...]) -> R:
    """The record with these attributes of another object."""
    return record(keys=keys, **{key: getattr(source, key) for key in keys})


def intervals(method: str | None) -> Intervals | None:
    """How intervals were made; None without any."""
    return None if method is None else Intervals(level=LEVEL, method=method)


def surface_law(fit: "SurfaceFit", table: "RunTable", budgets: Sequence[float]) -> DataLaw:
    """`chinchilla` and `vpnls`."""
    per_token = table.per_token()
    held = fit.hold_out
    return DataLaw(
        keys=SURFACE,
        form=fit.form,
        parameters=fit.parameters,
        exponents=fit.exponents,
        objective=fit.objective,
        objective_form=fit.objective_form,
        n_points=fit.n_points,
        n_sizes=fit.n_sizes,
        n_token_counts=fit.n_token_counts,
        warnings=fit.warnings,
        intervals=intervals(None if fit.draws is None else fit.draws.method),
        over_seeds=_seed_spread(fit.over_seeds, fit),
        compute_optimal=tuple(_optimum(fit.optimum(float(budget), per_token)) for budget in budgets),
        frontier=_frontier(lambda flops: fit.optimum(flops, per_token), table),
        flops=_flops_count(table),
        hold_out=None if held is None else record_of(HoldOut, held, SURFACE_HOLD_OUT),
        leave_one_out=tuple(record_of(HoldOut, size, LEAVE_ONE_OUT) for size in fit.leave_one_out),
        diagnostics=Diagnostics(
            keys=SURFACE_SOLVER,
            converged=fit.converged,
            starts=fit.starts,
            starts_at_optimum=fit.reached,
            share_of_starts=fit.share_of_starts,
            rms_log_residual=fit.rms_log_residual,
            correlation=None if fit.draws is None else fit.draws.correlation(),
        ),
        points=_fitted_runs(table, fit.predict(table.params, table.tokens), fit.log_residuals),
    )


def isoflop_law(fit: "IsoflopFit", table: "RunTable", budgets: Sequence[float]) -> DataLaw:
    """Approach 2, with its parabolas."""
    used = {run for budget in fit.budgets if budget.used for run in budget.runs}
    curves = tuple(
        IsoflopCurve(
            flops=budget.flops,
            params=budget.params,
            tokens=finite_or_none(budget.tokens),
            loss=finite_or_none(budget.loss),
            curvature=finite_or_none(budget.curvature),
            used=budget.used,
            reason=budget.reason,
            runs=tuple(table.names[run] for run in budget.runs),
        )
        for budget in fit.budgets
    )
    return DataLaw(
        keys=ISOFLOP,
        form=fit.form,
        parameters=fit.parameters,
        exponents=_exponents(fit.parameters),
        objective=fit.objective,
        objective_form="sum of squares about the parabolas, nats^2; the line by least squares in ln C, ln N",
        n_points=fit.n_points,
        warnings=fit.warnings,
        intervals=intervals(fit.method),
        compute_optimal=tuple(_optimum(fit.optimum(float(budget))) for budget in budgets),
        frontier=_frontier(fit.optimum, table),
        flops=_flops_count(table),
        left_out=_left_out(fit.left_out, table),
        diagnostics=Diagnostics(keys=("budgets",), budgets=curves),
        points=tuple(_run(table, run, NAMED_RUN) for run in sorted(used)),
    )


def envelope_law(fit: "EnvelopeFit", table: "RunTable", budgets: Sequence[float]) -> DataLaw:
    """Approach 1."""
    low, high = fit.span
    return DataLaw(
        keys=ENVELOPE,
        form=fit.form,
        parameters=fit.parameters,
        exponents=_exponents(fit.parameters),
        objective=fit.objective,
        objective_form="mean square of ln N about the line, over 1,500 budgets",
        n_points=fit.n_points,
        warnings=fit.warnings,
        intervals=intervals(fit.method),
        compute_optimal=tuple(_optimum(fit.optimum(float(budget))) for budget in budgets),
        frontier=_frontier(fit.optimum, table),
        flops=_flops_count(table),
        left_out=_left_out(fit.left_out, table),
        diagnostics=Diagnostics(keys=ENVELOPE_DIAGNOSTICS, sizes=fit.sizes, flops_from=low, flops_to=high),
    )


def kaplan_law(fit: "KaplanFit", table: "RunTable") -> DataLaw:
    """Kaplan's three laws; `parameters` are those of L(N, D)."""
    return DataLaw(
        keys=KAPLAN,
        form=fit.form,
        parameters=fit.parameters,
        objective=fit.objective,
        objective_form="sum of Huber(ln L_law - ln L_measured), delta 0.001",
        n_points=fit.n_points,
        warnings=fit.warnings,
        intervals=intervals(fit.method),
        by_size=_one_variable(fit.by_size, table),
        by_data=_one_variable(fit.by_data, table),
        diagnostics=Diagnostics(
            keys=SOLVER,
            converged=fit.converged,
            starts=fit.starts,
            starts_at_optimum=fit.reached,
            share_of_starts=fit.reached / fit.starts,
        ),
        points=_fitted_runs(table, fit.predict(table.params, table.tokens), fit.log_residuals),
    )


def _exponents(parameters: dict[str, Estimate]) -> dict[str, Estimate]:
    return {"N_opt": parameters["a"], "D_opt": parameters["b"]}


def _seed_spread(draws: "SurfaceDraws | None", fit: "SurfaceFit") -> SeedSpread | None:
    if draws is None:
        return None
    return SeedSpread(parameters=draws.parameters(fit.law), intervals=intervals(draws.method))


def _one_variable(fit: "OneVariableFit | None", table: "RunTable") -> OneVariableLaw | None:
    if fit is None:
        return None
    return OneVariableLaw(
        form=fit.form,
        parameters=fit.parameters,
        objective=fit.objective,
        n_points=len(fit.runs),
        rule=fit.rule,
        left_out=tuple(table.names[run] for run in range(len(table.names)) if run not in fit.runs),
    )


def _optimum(best: FrontierOptimum) -> Optimum:
    keys = ("flops", "params", "tokens", *(["loss"] if hasattr(best, "loss") else []))
    return record_of(Optimum, best, keys)


def _frontier(optimum: Callable[[float], FrontierOptimum], table: "RunTable") -> tuple[Optimum, ...]:
    """The optimum over a range of budgets, evenly in ln C."""
    import numpy

    grid = numpy.geomspace(table.flops.min(), FRONTIER_REACH * table.flops.max(), FRONTIER_POINTS)
    return tuple(_optimum(optimum(float(flops))) for flops in grid)


def _flops_count(table: "RunTable") -> FlopsCount:
    cost = table.per_token() or SIX_ND
    return FlopsCount(counted=table.counted, per_token=PerTokenCost(log_scale=cost.log_scale, power=cost.power))


def _left_out(pairs: Sequence[tuple[int, str]], table: "RunTable") -> tuple[LeftOut, ...]:
    """Each run with what it measured, so that a figure can show it among those that count."""
    return tuple(
        LeftOut(
            keys=LEFT_OUT,
            cell=table.names[run],
            rule=rule,
            params=table.runs[run].params,
            tokens=table.runs[run].tokens,
            flops=float(table.flops[run]),
            loss=table.runs[run].loss,
        )
        for run, rule in pairs
    )


def _run(
    table: "RunTable", run: int, keys: tuple[str, ...], fitted: float | None = None, residual: float | None = None
) -> FittedRun:
    """A run as the law saw it: `flops` by the count that the fit used; `name` tells checkpoints of a cell apart."""
    values = {key: getattr(table.runs[run], key) for key in RUN if key != "flops"}
    return FittedRun(
        keys=keys,
        **values,
        flops=float(table.flops[run]),
        name=table.names[run],
        fitted=fitted,
        log_residual=residual,
    )


def _fitted_runs(table: "RunTable", fitted: "FloatArray", residuals: Sequence[float]) -> tuple[FittedRun, ...]:
    keys = (*NAMED_RUN, *RESIDUAL)
    return tuple(
        _run(table, run, keys, finite_or_none(value), finite_or_none(residual))
        for run, (value, residual) in enumerate(zip(fitted, residuals, strict=True))
    )
