"""Each benchmark's loss as a power law of size, and its accuracy from that loss: the two-step way."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs.run import Run
from zeroscale.scaling.estimators.loss_to_accuracy import AccuracyFit, fit_loss_to_accuracy
from zeroscale.scaling.estimators.power_law import PowerLawFit, fit_power_law
from zeroscale.scaling.fit_json import estimates
from zeroscale.scaling.laws.estimate import finite
from zeroscale.scaling.run_selection import Selection

if TYPE_CHECKING:
    from numpy import ndarray

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


def chances(cells: Sequence[Run]) -> dict[str, float]:
    """What guessing gives, by column of the ledger, as the results of a study's cells say it."""
    found: dict[str, float] = {}
    for cell in cells:
        for result in cell.results:
            for metric, score in result.metrics.items():
                chance = score.get("chance")
                if chance is not None and score.get("higher_is_better"):
                    found[f"{result.card}/{metric}"] = float(chance)
    return found


def fit_benchmarks(
    chosen: Selection, chance: Mapping[str, float], bootstrap: int, seed: int, whole: str = "val/loss"
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """({column: its law}, what was not fitted and why) of every benchmark's loss and accuracy in the runs' rows.

    Args:
        chosen: the runs that the law over size rests on; seeds of one size are averaged.
        chance: by column ("arc/acc") or by benchmark ("arc").
        whole: what to call the loss that the law over size is of.
    """
    bootstrap = min(bootstrap, BOOTSTRAP)
    by_column = _columns(chosen)
    fits: dict[str, PowerLawFit] = {}
    laws: dict[str, Any] = {}
    skipped: list[dict[str, str]] = []
    steps: dict[str, tuple[list[float], list[float]]] = {}
    for column, values in by_column.items():
        change = LOSSES.get(column.split("/")[1])
        if change is None:
            continue
        params, losses = _complete(chosen, [None if v is None or v <= 0 else change(v) for v in values])
        if len(params) < 3 or min(losses) <= 0:
            skipped.append(_not(column, f"{len(params)} sizes have a loss above zero; it takes three"))
            continue
        steps[column] = (params, losses)
        fits[column] = fit_power_law(params, losses, bootstrap=bootstrap, seed=seed)
        laws[column] = {"kind": "loss", **_power(fits[column], change is math.log)}
    for column, values in by_column.items():
        task, metric = column.split("/")
        if metric not in ACCURACIES:
            continue
        level = chance.get(column, chance.get(task))
        if level is None:
            skipped.append(_not(column, f"its chance level is not known: give chance={{{task}: 0.25}}"))
            continue
        source = next((f"{task}/{name}" for name in PREFERRED if f"{task}/{name}" in fits), whole)
        try:
            laws[column] = _accuracy(chosen, values, source, by_column, fits, level, bootstrap, seed)
        except ZeroscaleError as error:
            skipped.append(_not(column, str(error)))
    return laws, skipped


def _columns(chosen: Selection) -> dict[str, list[float | None]]:
    """Column → its mean over seeds for each size, None where no run of the size has it."""
    by_cell = {run["cell"]: run.get("row") or {} for run in chosen.runs}
    names = sorted(
        {
            name
            for row in by_cell.values()
            for name in row
            if name.count("/") == 1 and name.split("/")[0] not in NOT_BENCHMARKS
        }
    )
    found = {}
    for name in names:
        column = []
        for size in chosen.sizes:
            values = [_number(by_cell[cell].get(name)) for cell in size["cells"]]
            known = [value for value in values if value is not None]
            column.append(math.fsum(known) / len(known) if known else None)
        if any(value is not None for value in column):
            found[name] = column
    return found


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _complete(chosen: Selection, values: Sequence[float | None]) -> tuple[list[float], list[float]]:
    pairs = [(size["params"], value) for size, value in zip(chosen.sizes, values, strict=True) if value is not None]
    return [float(params) for params, _ in pairs], [value for _, value in pairs]


def _power(fit: PowerLawFit, logarithm: bool) -> dict[str, Any]:
    return {
        "form": fit.form,
        "of": "the logarithm of the perplexity" if logarithm else "the metric itself",
        "parameters": estimates(fit.parameters),
        "objective": fit.objective,
        "n_points": fit.n_points,
        "rms_log_residual": fit.rms_log_residual,
        "hold_out": None if fit.hold_out is None else asdict(fit.hold_out),
        "intervals": None if fit.method is None else {"level": 0.95, "method": fit.method},
        "warnings": list(fit.warnings),
    }


def _accuracy(
    chosen: Selection,
    values: Sequence[float | None],
    source: str,
    by_column: Mapping[str, Sequence[float | None]],
    fits: Mapping[str, PowerLawFit],
    chance: float,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """Both steps: the curve from loss to accuracy, and what it says of the largest size from the smaller ones."""
    if source not in by_column:
        losses: list[float | None] = [size["loss"] for size in chosen.sizes]
    else:
        change = LOSSES[source.split("/")[1]]
        losses = [None if value is None else change(value) for value in by_column[source]]
    rows = [
        (float(size["params"]), loss, score)
        for size, loss, score in zip(chosen.sizes, losses, values, strict=True)
        if loss is not None and score is not None
    ]
    fit = fit_loss_to_accuracy(
        [loss for _, loss, _ in rows],
        [score for *_, score in rows],
        chance=chance,
        bootstrap=bootstrap,
        random_seed=seed,
    )
    return {
        "kind": "accuracy",
        "form": fit.form,
        "loss": source,
        "chance": chance,
        "parameters": estimates(fit.parameters),
        "objective": fit.objective,
        "objective_form": "sum of squares of the accuracies' residuals",
        "n_points": fit.n_points,
        "points": [
            {"params": params, "loss": loss, "accuracy": score, "fitted": float(fit.predict(loss))}
            for params, loss, score in rows
        ],
        "hold_out": _two_steps(rows, chance, bootstrap, seed),
        "intervals": None if fit.method is None else {"level": 0.95, "method": fit.method},
        "diagnostics": {"converged": fit.converged},
        "warnings": list(fit.warnings),
    }


def _two_steps(
    rows: Sequence[tuple[float, float, float]], chance: float, bootstrap: int, seed: int
) -> dict[str, Any] | None:
    """The largest size's accuracy from the smaller ones: its loss by the power law, its accuracy by the curve."""
    import numpy

    *smaller, (params, _, measured) = rows
    if len(smaller) < 3:
        return None
    try:
        law = fit_power_law(
            [n for n, _, _ in smaller], [loss for _, loss, _ in smaller], bootstrap=bootstrap, seed=seed, hold_out=False
        )
        curve = fit_loss_to_accuracy(
            [loss for _, loss, _ in smaller],
            [score for *_, score in smaller],
            chance=chance,
            bootstrap=bootstrap,
            random_seed=seed,
        )
    except ZeroscaleError:
        return None
    loss = float(law.predict(params))
    draws = None if law.draws is None else numpy.exp(law.draws.fits.log_loss(numpy.array([params])))
    low, high = _ends(curve, loss, draws)
    return {
        "params": params,
        "measured": measured,
        "predicted": float(curve.predict(loss)),
        "predicted_loss": loss,
        "low": low,
        "high": high,
        "error": float(curve.predict(loss)) - measured,
        "inside": None if low is None or high is None else low <= measured <= high,
    }


def _ends(curve: AccuracyFit, loss: float, draws: "ndarray | None") -> tuple[float | None, float | None]:
    band = curve.band(loss, draws)
    return (None, None) if band is None else (finite(float(band[0][0])), finite(float(band[1][0])))


def _not(law: str, reason: str) -> dict[str, str]:
    return {"law": law, "reason": reason}
