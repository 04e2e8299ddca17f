"""Each benchmark's loss as a power law of size, and its accuracy from that loss: the two-step way."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs.run import Run
from zeroscale.scaling.estimators.loss_to_accuracy import AccuracyFit, fit_loss_to_accuracy
from zeroscale.scaling.estimators.power_law import fit_power_law
from zeroscale.scaling.estimators.results import PowerLawFit
from zeroscale.scaling.fit_json import intervals, record_of
from zeroscale.scaling.fit_schema import BenchmarkLaw, Diagnostics, FittedRun, HoldOut, NotFitted
from zeroscale.scaling.laws.estimate import finite
from zeroscale.scaling.run_selection import Selection
from zeroscale.scaling.size_law_json import SIZE_HOLD_OUT

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray

BOOTSTRAP = 1000
# Metrics that are a loss, and what makes nats (or bits) of them.
LOSSES: dict[str, Callable[[float], float]] = {
    "loss": float,
    "nll": float,
    "bits_per_byte": float,
    "bits_per_character": float,
    "bits_per_char": float,
    "perplexity": math.log,
    "word_perplexity": math.log,
    "byte_perplexity": math.log,
    "token_perplexity": math.log,
}
# Step two starts from the benchmark's own loss, of the first of these kinds that it has, or else from val/loss.
PREFERRED = ("loss", "nll", "perplexity", "word_perplexity", "token_perplexity", "bits_per_byte")
ACCURACIES = ("acc", "accuracy", "acc_norm", "acc_last_token", "acc_stop_words", "exact_match", "em", "full", "partial")
# The validation loss stands in the ledger as a card of its own too; it is the law over size already.
NOT_BENCHMARKS = ("val", "train", "held_out")
# The keys of the records, in the order in which fit.json has always had them.
LOSS_LAW = (
    "kind", "form", "of", "parameters", "objective", "n_points", "rms_log_residual", "hold_out", "intervals",
    "warnings",
)  # fmt: skip
ACCURACY_LAW = (
    "kind", "form", "loss", "chance", "parameters", "objective", "objective_form", "n_points", "points", "hold_out",
    "intervals", "diagnostics", "warnings",
)  # fmt: skip
ACCURACY_HOLD_OUT = (
    "params", "measured", "predicted", "predicted_loss", "low", "high", "error", "inside",
)  # fmt: skip


def chances(study_runs: Sequence[Run]) -> dict[str, float]:
    """What guessing gives, by column of the ledger, as the results of a study's runs say it."""
    levels: dict[str, float] = {}
    for run in study_runs:
        for result in run.results:
            for metric, score in result.metrics.items():
                chance = score.get("chance")
                if chance is not None and score.get("higher_is_better"):
                    levels[f"{result.card}/{metric}"] = float(chance)
    return levels


def fit_benchmarks(
    selection: Selection, chance: Mapping[str, float], bootstrap: int, seed: int, whole: str = "val/loss"
) -> tuple[dict[str, BenchmarkLaw], list[NotFitted]]:
    """({column: its law}, what was not fitted and why) of every benchmark's loss and accuracy in the runs' rows.

    Args:
        selection: the runs that the law over size rests on; seeds of one size are averaged.
        chance: by column ("arc/acc") or by benchmark ("arc").
        whole: what to call the loss that the law over size is of.
    """
    bootstrap = min(bootstrap, BOOTSTRAP)
    columns = _columns(selection)
    fits: dict[str, PowerLawFit] = {}
    laws: dict[str, BenchmarkLaw] = {}
    skipped: list[NotFitted] = []
    for column, values in columns.items():
        to_nats = LOSSES.get(column.split("/")[1])
        if to_nats is None:
            continue
        params, losses = _complete(selection, [None if v is None or v <= 0 else to_nats(v) for v in values])
        if len(params) < 3 or min(losses) <= 0:
            reason = f"{len(params)} sizes have a loss above zero; it takes three"
            skipped.append(NotFitted(law=column, reason=reason))
            continue
        fits[column] = fit_power_law(params, losses, bootstrap=bootstrap, seed=seed)
        laws[column] = _loss_law(fits[column], to_nats is math.log)
    for column, values in columns.items():
        task, metric = column.split("/")
        if metric not in ACCURACIES:
            continue
        level = chance.get(column, chance.get(task))
        if level is None:
            reason = f"its chance level is not known: give chance={{{task}: 0.25}}"
            skipped.append(NotFitted(law=column, reason=reason))
            continue
        source = next((f"{task}/{name}" for name in PREFERRED if f"{task}/{name}" in fits), whole)
        try:
            laws[column] = _accuracy_law(
                _rows(selection, values, columns.get(source), source), source, level, bootstrap, seed
            )
        except ZeroscaleError as error:
            skipped.append(NotFitted(law=column, reason=str(error)))
    return laws, skipped


def _columns(selection: Selection) -> dict[str, list[float | None]]:
    """Column → its mean over seeds for each size, None where no run of the size has it."""
    rows = {run.cell: run.row for run in selection.runs}
    names = sorted(
        {
            name
            for row in rows.values()
            for name in row
            if name.count("/") == 1 and name.split("/")[0] not in NOT_BENCHMARKS
        }
    )
    columns = {}
    for name in names:
        column = []
        for size in selection.sizes:
            values = [_number(rows[cell].get(name)) for cell in size.cells]
            known = [value for value in values if value is not None]
            column.append(math.fsum(known) / len(known) if known else None)
        if any(value is not None for value in column):
            columns[name] = column
    return columns


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _complete(selection: Selection, values: Sequence[float | None]) -> tuple[list[float], list[float]]:
    pairs = [(size.params, value) for size, value in zip(selection.sizes, values, strict=True) if value is not None]
    return [float(params) for params, _ in pairs], [value for _, value in pairs]


def _loss_law(fit: PowerLawFit, is_logarithm: bool) -> BenchmarkLaw:
    held = fit.hold_out
    return BenchmarkLaw(
        keys=LOSS_LAW,
        kind="loss",
        form=fit.form,
        of="the logarithm of the perplexity" if is_logarithm else "the metric itself",
        parameters=fit.parameters,
        objective=fit.objective,
        n_points=fit.n_points,
        rms_log_residual=fit.rms_log_residual,
        hold_out=None if held is None else record_of(HoldOut, held, SIZE_HOLD_OUT),
        intervals=intervals(fit.method),
        warnings=fit.warnings,
    )


# (N, loss, accuracy) of one size.
AccuracyRow = tuple[float, float, float]


def _rows(
    selection: Selection, scores: Sequence[float | None], losses: Sequence[float | None] | None, source: str
) -> list[AccuracyRow]:
    """The sizes that have both; `losses` are those of the column `source`, None for the loss of the law over size."""
    if losses is None:
        nats: list[float | None] = [size.loss for size in selection.sizes]
    else:
        to_nats = LOSSES[source.split("/")[1]]
        nats = [None if value is None else to_nats(value) for value in losses]
    return [
        (float(size.params), loss, score)
        for size, loss, score in zip(selection.sizes, nats, scores, strict=True)
        if loss is not None and score is not None
    ]


def _accuracy_law(rows: Sequence[AccuracyRow], source: str, chance: float, bootstrap: int, seed: int) -> BenchmarkLaw:
    """Both steps: the curve from loss to accuracy, and what it says of the largest size from the smaller ones."""
    fit = fit_loss_to_accuracy(
        [loss for _, loss, _ in rows],
        [score for *_, score in rows],
        chance=chance,
        bootstrap=bootstrap,
        random_seed=seed,
    )
    return BenchmarkLaw(
        keys=ACCURACY_LAW,
        kind="accuracy",
        form=fit.form,
        loss=source,
        chance=chance,
        parameters=fit.parameters,
        objective=fit.objective,
        objective_form="sum of squares of the accuracies' residuals",
        n_points=fit.n_points,
        points=tuple(
            FittedRun(
                keys=("params", "loss", "accuracy", "fitted"),
                params=params,
                loss=loss,
                accuracy=score,
                fitted=float(fit.predict(loss)),
            )
            for params, loss, score in rows
        ),
        hold_out=_hold_out_in_two_steps(rows, chance, bootstrap, seed),
        intervals=intervals(fit.method),
        diagnostics=Diagnostics(keys=("converged",), converged=fit.converged),
        warnings=fit.warnings,
    )


def _hold_out_in_two_steps(rows: Sequence[AccuracyRow], chance: float, bootstrap: int, seed: int) -> HoldOut | None:
    """The largest size's accuracy from the smaller ones: its loss by the power law, its accuracy by the curve."""
    import numpy

    *smaller, (params, _, measured) = rows
    if len(smaller) < 3:
        return None
    losses = [loss for _, loss, _ in smaller]
    try:
        law = fit_power_law([n for n, _, _ in smaller], losses, bootstrap=bootstrap, seed=seed, hold_out=False)
        curve = fit_loss_to_accuracy(
            losses, [score for *_, score in smaller], chance=chance, bootstrap=bootstrap, random_seed=seed
        )
    except ZeroscaleError:
        return None
    loss = float(law.predict(params))
    draws = None if law.draws is None else numpy.exp(law.draws.fits.log_loss(numpy.array([params])))
    low, high = _ends(curve, loss, draws)
    return HoldOut(
        keys=ACCURACY_HOLD_OUT,
        params=params,
        measured=measured,
        predicted=float(curve.predict(loss)),
        predicted_loss=loss,
        low=low,
        high=high,
        error=float(curve.predict(loss)) - measured,
        inside=None if low is None or high is None else low <= measured <= high,
    )


def _ends(curve: AccuracyFit, loss: float, draws: "FloatArray | None") -> tuple[float | None, float | None]:
    band = curve.band(loss, draws)
    return (None, None) if band is None else (finite(float(band[0][0])), finite(float(band[1][0])))
