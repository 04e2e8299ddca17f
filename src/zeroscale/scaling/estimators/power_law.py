"""Fits the power law of loss against size to plain arrays, with intervals, hold-out and warnings."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling import diagnostics
from zeroscale.scaling.estimators.bootstrap import PowerLawDraws, draw_fits
from zeroscale.scaling.estimators.power_law_solver import HUBER_DELTA, solve_power_law
from zeroscale.scaling.estimators.results import HoldOut, PowerLawFit
from zeroscale.scaling.laws.estimate import Estimate
from zeroscale.scaling.laws.power_law import SIZE, PowerLaw, Subject

if TYPE_CHECKING:
    from zeroscale.scaling.choice.resampling import ChoiceDraws
    from zeroscale.scaling.numerics.arrays import Column, FloatArray

# E is one of three parameters: five sizes leave two degrees of freedom to judge it by.
SIZES_FOR_IRREDUCIBLE = 5
# "Away from zero": the interval's lower end is at least this share of the smallest loss. Numerical dust is not.
SMALLEST_IRREDUCIBLE = 1e-3


class _Options(TypedDict):
    bootstrap: int
    seed: int
    delta: float
    subject: Subject


def fit_power_law(
    params: "Column",
    loss: "Column",
    *,
    loss_sd: "Column | None" = None,
    irreducible: bool | Literal["auto"] = "auto",
    bootstrap: int = 2000,
    seed: int = 0,
    delta: float = HUBER_DELTA,
    hold_out: bool = True,
    subject: Subject = SIZE,
    choice: "ChoiceDraws | None" = None,
) -> PowerLawFit:
    """Fits L(N) = (N_c/N)^alpha or L(N) = E + (N_c/N)^alpha by the robust objective of `power_law_solver`.

    With "auto" the law has an irreducible term E only where the data can carry it: at least five distinct sizes, and
    both E's and alpha's 95 % interval away from zero. Else the law goes without E, and a warning says so.

    Args:
        params: N of each run [n], in any one convention.
        loss: its loss in nats per token [n].
        loss_sd: its measured standard deviation in nats [n], where known; 0 or NaN for unknown.
        bootstrap: resampled fits behind the intervals; see `bootstrap.draw_fits` for what is resampled.
        hold_out: whether the largest size is also predicted from the smaller ones.
        subject: what `params` are; with `DATA` the tokens of each run, and the law is L(D) with D_c and beta.
        choice: where each loss is the best of several settings: what the choice does to it, for the intervals. It has
            `bootstrap` draws.

    Raises:
        ZeroscaleError: lengths differ, a value is not a positive finite number, or there is one size only.
    """
    n, losses, sd = _checked(params, loss, loss_sd, subject)
    if bootstrap < 1:
        raise ZeroscaleError(f"bootstrap={bootstrap}: at least 1 resampled fit is needed")
    options: _Options = {"bootstrap": bootstrap, "seed": seed, "delta": delta, "subject": subject}
    sizes = len(set(n.tolist()))
    fit = _fit(n, losses, sd, False, choice, **options)
    tried = None
    if irreducible is True or (irreducible == "auto" and sizes >= SIZES_FOR_IRREDUCIBLE):
        with_floor = _fit(n, losses, sd, True, choice, **options)
        if irreducible is True or _carried(with_floor, float(losses.min()), subject):
            fit = with_floor
        else:
            tried = with_floor.parameters["E"]
    held = None
    if hold_out and sizes >= 3:
        held = _hold_out(n, losses, sd, irreducible, choice, **options)
    warnings = diagnostics.power_law_warnings(
        n,
        losses,
        fit,
        tried,
        held,
        chosen=irreducible == "auto",
        needed_sizes=SIZES_FOR_IRREDUCIBLE,
        subject=subject,
    )
    return replace(fit, tried_irreducible=tried, hold_out=held, warnings=tuple(warnings))


def _checked(
    params: "Column", loss: "Column", loss_sd: "Column | None", subject: Subject
) -> tuple["FloatArray", "FloatArray", "FloatArray"]:
    import numpy

    columns = []
    for name, values in (("params", params), ("loss", loss)):
        column = numpy.asarray(values, float)
        if column.ndim != 1:
            raise ZeroscaleError(f"{name} has shape {column.shape}: it must be one number for each run")
        bad = numpy.flatnonzero(~(numpy.isfinite(column) & (column > 0)))
        if len(bad):
            raise ZeroscaleError(f"{name}[{bad[0]}] is {column[bad[0]]:g}: it must be a finite number above zero")
        columns.append(column)
    n, losses = columns
    if len(n) != len(losses):
        raise ZeroscaleError(f"{len(n)} params and {len(losses)} losses: each run needs both")
    sizes = len(numpy.unique(n))
    if sizes < 2:
        raise ZeroscaleError(
            f"a law over {subject.cause} needs at least two {subject.noun}s, better five; there "
            f"{'is one' if sizes else 'is none'}"
        )
    sd = numpy.zeros(len(n)) if loss_sd is None else numpy.nan_to_num(numpy.asarray(loss_sd, float))
    if sd.shape != n.shape or (sd < 0).any():
        raise ZeroscaleError("loss_sd must be one number for each run, at least 0")
    return n, losses, sd


def _fit(
    params: "FloatArray",
    loss: "FloatArray",
    sd: "FloatArray",
    irreducible: bool,
    choice: "ChoiceDraws | None",
    **options: Unpack[_Options],
) -> PowerLawFit:
    import numpy

    bootstrap, seed, delta, subject = options["bootstrap"], options["seed"], options["delta"], options["subject"]
    log_loss = numpy.log(loss)
    solutions = solve_power_law(params, log_loss[None], irreducible=irreducible, delta=delta)
    fitted = solutions.log_loss(params)[0]
    draws = draw_fits(
        params,
        log_loss,
        fitted,
        sd / loss,
        irreducible=irreducible,
        count=bootstrap,
        seed=seed,
        delta=delta,
        choice=choice,
        noun=subject.noun,
    )
    return PowerLawFit(
        law=solutions.law(0),
        form=subject.form(irreducible),
        parameters=_estimates(solutions.law(0), draws, irreducible, subject),
        objective=float(solutions.objective[0]),
        converged=bool(solutions.converged[0]),
        log_residuals=tuple((log_loss - fitted).tolist()),
        n_points=len(params),
        n_sizes=len(numpy.unique(params)),
        method=None if draws is None else draws.method,
        tried_irreducible=None,
        hold_out=None,
        warnings=(),
        draws=draws,
    )


def _estimates(law: PowerLaw, draws: PowerLawDraws | None, irreducible: bool, subject: Subject) -> dict[str, Estimate]:
    """With intervals, which hold the value, too, where the bias of a choice was taken out of the draws."""
    import numpy

    values = {subject.exponent: law.alpha, subject.constant: _exp(law.log_N_c)}
    if irreducible:
        values["E"] = law.irreducible
    if draws is None:
        return {name: Estimate(value, None, None) for name, value in values.items()}
    exponent = _ends(draws, draws.fits.alpha)
    ends: dict[str, tuple[float | None, float | None]] = {
        subject.exponent: exponent,
        "E": _ends(draws, draws.fits.irreducible),
    }
    # N_c runs to infinity and comes back as alpha passes through zero: then it has no interval.
    if exponent[0] > 0:
        with numpy.errstate(divide="ignore"):
            low, high = _ends(draws, draws.fits.log_A / draws.fits.alpha)
        ends[subject.constant] = (_exp(low), _exp(high))
    else:
        ends[subject.constant] = (None, None)
    estimates = {name: Estimate(value, *ends[name]) for name, value in values.items()}
    return {name: estimate.around() for name, estimate in estimates.items()} if draws.repeats_choice else estimates


def _ends(draws: PowerLawDraws, values: "FloatArray") -> tuple[float, float]:
    low, high = draws.interval(values)
    return float(low), float(high)


def _exp(log_value: float) -> float | None:
    """exp, or None where that is beyond floating point."""
    return math.exp(log_value) if abs(log_value) < 700 else None


def _carried(fit: PowerLawFit, smallest_loss: float, subject: Subject) -> bool:
    floor, alpha = fit.parameters["E"].low, fit.parameters[subject.exponent].low
    return floor is not None and alpha is not None and floor > SMALLEST_IRREDUCIBLE * smallest_loss and alpha > 0


def _hold_out(
    params: "FloatArray",
    loss: "FloatArray",
    sd: "FloatArray",
    irreducible: bool | Literal["auto"],
    choice: "ChoiceDraws | None",
    **options: Unpack[_Options],
) -> HoldOut:
    """Fits the law, by the same rules, without the largest size, and predicts it."""
    import numpy

    largest = params == params.max()
    rest = fit_power_law(
        params[~largest],
        loss[~largest],
        loss_sd=sd[~largest],
        irreducible=irreducible,
        hold_out=False,
        choice=None if choice is None else choice.take(~largest),
        **options,
    )
    size, measured = float(params.max()), float(loss[largest].mean())
    predicted = float(rest.predict(size))
    low = high = None
    if rest.draws is not None:
        # Where a new run lands: the law's own uncertainty, and the scatter of a run around it.
        generator = numpy.random.default_rng(options["seed"] + 1)
        own = float((sd[largest] / loss[largest]).mean())
        scatter = numpy.maximum(rest.draws.scatter, own) * generator.standard_normal(len(rest.draws.scatter))
        ends = _ends(rest.draws, rest.draws.fits.log_loss(numpy.array([size]))[:, 0] + scatter)
        low, high = (_exp(end) for end in ends)
    inside = None if low is None or high is None else low <= measured <= high
    error = predicted / measured - 1
    return HoldOut(size, measured, predicted, low, high, error, inside, rest.form, rest.n_points)
