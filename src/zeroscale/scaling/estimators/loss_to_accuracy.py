"""From loss to accuracy: the second of the two steps by which a benchmark's score is predicted from size and data.

    accuracy(L) = c + (t - c) / (1 + exp(k (L - L_0)))

c is the chance level, which is known and not fitted; t the ceiling, 1 unless it is asked for. This is step two of
Bhagia et al. 2024, "Establishing Task Scaling Laws via Compute-Efficient Model Ladders", with their lower asymptote
fixed at chance. Step one, the loss as a law of size (and data), is any other law of this package.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling.estimators.bootstrap_surface import resample_runs
from zeroscale.scaling.laws.estimate import Estimate, quantiles
from zeroscale.scaling.numerics.arrays import check_columns
from zeroscale.scaling.numerics.batched_bfgs import batched_bfgs

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import Column, FloatArray, Numbers

FORM = "accuracy = chance + (ceiling - chance) / (1 + exp(k (L - L_0)))"
# Steepness from which the search starts, in units of one over the range of the losses.
_STEEP = (0.3, 1.0, 3.0, 10.0, 30.0)
_PLACES = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
NEAR_CHANCE = 0.02


@dataclass(frozen=True)
class AccuracyFit:
    """The curve: accuracy against loss. `draws` are (k, L_0, ceiling) [S, 3]."""

    k: float
    L_0: float
    chance: float
    ceiling: float
    parameters: dict[str, Estimate]
    objective: float
    """Sum of squares of the accuracies' residuals."""
    converged: bool
    residuals: tuple[float, ...]
    n_points: int
    method: str | None
    warnings: tuple[str, ...]
    draws: "FloatArray | None"
    form: str = FORM

    def predict(self, loss: "Column") -> "FloatArray":
        """Accuracy at each loss."""
        import numpy

        return _curve(numpy.asarray(loss, float), self.k, self.L_0, self.ceiling, self.chance)

    def band(self, loss: "Column", loss_draws: "FloatArray | None" = None) -> tuple["FloatArray", "FloatArray"] | None:
        """95 % interval of the curve at each loss [m].

        With `loss_draws` [S', m], draws of the losses themselves (step one), the two steps' errors are combined: the
        interval is that of the accuracy at the size those losses were predicted for.
        """
        import numpy

        if self.draws is None:
            return None
        losses = numpy.atleast_1d(numpy.asarray(loss, float))[None, :]
        if loss_draws is not None:
            losses = loss_draws[numpy.arange(len(self.draws)) % len(loss_draws)]
        k, place, ceiling = (self.draws[:, i : i + 1] for i in range(3))
        return quantiles(_curve(losses, k, place, ceiling, self.chance))


def fit_loss_to_accuracy(
    loss: "Column",
    accuracy: "Column",
    *,
    chance: float,
    fit_ceiling: bool = False,
    bootstrap: int = 4000,
    random_seed: int = 0,
) -> AccuracyFit:
    """Fits the curve by least squares; k > 0, so that accuracy falls with loss.

    Args:
        loss: of each model [n], on the benchmark's own text or on held-out text, in nats.
        accuracy: of the same models [n], as a share.
        chance: what guessing gives, such as 0.25 with four choices.
        fit_ceiling: whether the accuracy at the lowest losses is fitted too (at most 1); it takes models near it.

    Raises:
        ZeroscaleError: bad values, an accuracy outside 0 to 1, fewer than three models.
    """
    import numpy

    losses = check_columns(loss=loss)[0]
    scores = numpy.asarray(accuracy, float)
    _valid(losses, scores, chance)
    objective = _Objective(losses, scores, chance, fit_ceiling)
    minima = batched_bfgs(objective, objective.starts())
    best = int(numpy.argmin(minima.value))
    theta = minima.theta[best]
    draws = None
    needed = objective.size + 1
    if bootstrap and len(losses) > needed:
        weights = resample_runs(losses, losses, bootstrap, random_seed, parameters=objective.size)
        refits = batched_bfgs(objective, numpy.repeat(theta[None], bootstrap, axis=0), weights)
        draws = numpy.stack(objective.natural(refits.theta), axis=1)
    k, place, ceiling = (float(part[0]) for part in objective.natural(theta[None]))
    spread = (None, None, None) if draws is None else tuple(draws.T)
    names = {"k": (k, spread[0]), "L_0": (place, spread[1])} | (
        {"ceiling": (ceiling, spread[2])} if fit_ceiling else {}
    )
    residuals = scores - _curve(losses, k, place, ceiling, chance)
    return AccuracyFit(
        k=k,
        L_0=place,
        chance=chance,
        ceiling=ceiling,
        parameters={name: Estimate.of(value, column) for name, (value, column) in names.items()},
        objective=float(minima.value[best]),
        converged=bool(minima.converged[best]),
        residuals=tuple(residuals.tolist()),
        n_points=len(losses),
        method=None
        if draws is None
        else f"{bootstrap} times, {len(losses)} of the {len(losses)} models drawn with replacement",
        warnings=tuple(_warnings(losses, scores, chance, place, draws is None)),
        draws=draws,
    )


class _Objective:
    """Sum of squares [S] and gradient over theta = (ln k, L_0[, logit of the ceiling above chance])."""

    def __init__(self, losses: "FloatArray", scores: "FloatArray", chance: float, fit_ceiling: bool) -> None:
        self.losses, self.scores, self.chance = losses, scores, chance
        self.size = 3 if fit_ceiling else 2

    def __call__(self, theta: "FloatArray", weights: "FloatArray | None") -> tuple["FloatArray", "FloatArray"]:
        import numpy

        k, place, ceiling = (part[:, None] for part in self.natural(theta))
        away = self.losses - place
        share = 1 / (1 + numpy.exp(numpy.clip(k * away, -700, 700)))
        residual = self.chance + (ceiling - self.chance) * share - self.scores
        pull = 2 * residual if weights is None else 2 * residual * weights
        bend = pull * (ceiling - self.chance) * share * (1 - share)
        parts = [(-bend * away * k).sum(1), (bend * k).sum(1)]
        if self.size == 3:
            part = (ceiling - self.chance) / (1 - self.chance)
            parts.append((pull * share).sum(1) * ((1 - self.chance) * part * (1 - part))[:, 0])
        # Steeper than a step between two models, nothing changes any more.
        value = (pull * residual).sum(1) / 2
        value = numpy.where(numpy.abs(theta[:, 0]) > 20, numpy.inf, value)
        return value, numpy.stack(parts, axis=1)

    def natural(self, theta: "FloatArray") -> tuple["FloatArray", "FloatArray", "FloatArray"]:
        """(k, L_0, ceiling) [S] each."""
        import numpy

        ceiling = numpy.ones(len(theta))
        if self.size == 3:
            ceiling = self.chance + (1 - self.chance) / (1 + numpy.exp(-theta[:, 2]))
        with numpy.errstate(over="ignore"):
            return numpy.exp(theta[:, 0]), theta[:, 1], ceiling

    def starts(self) -> "FloatArray":
        import numpy

        low, reach = float(self.losses.min()), float(numpy.ptp(self.losses))
        pairs = [[numpy.log(steep / reach), low + place * reach] for steep in _STEEP for place in _PLACES]
        return numpy.array([pair + [0.0] * (self.size - 2) for pair in pairs])


def _curve(losses: "FloatArray", k: "Numbers", place: "Numbers", ceiling: "Numbers", chance: float) -> "FloatArray":
    import numpy

    accuracy: FloatArray = chance + (ceiling - chance) / (1 + numpy.exp(numpy.clip(k * (losses - place), -700, 700)))
    return accuracy


def _valid(losses: "FloatArray", scores: "FloatArray", chance: float) -> None:
    import numpy

    if scores.shape != losses.shape:
        raise ZeroscaleError(f"{len(losses)} losses and accuracies of shape {scores.shape}: each model needs both")
    bad = numpy.flatnonzero(~((scores >= 0) & (scores <= 1)))
    if len(bad):
        raise ZeroscaleError(
            f"accuracy[{bad[0]}] is {scores[bad[0]]:g}: it must be a share between 0 and 1 (0.43, not 43)"
        )
    if not 0 <= chance < 1:
        raise ZeroscaleError(f"chance={chance:g} is impossible: it is a share, such as 0.25 with four choices")
    if len(numpy.unique(losses)) < 3:
        raise ZeroscaleError(
            "a curve from loss to accuracy needs three different losses, better six; there are "
            f"{len(numpy.unique(losses))}"
        )


def _warnings(
    losses: "FloatArray", scores: "FloatArray", chance: float, place: float, without_intervals: bool
) -> list[str]:
    warnings = []
    if scores.max() < chance + NEAR_CHANCE:
        warnings.append(
            f"No model is {NEAR_CHANCE:.0%} above chance ({chance:.1%}): the curve has nothing to rise "
            "from. Larger models would tell."
        )
    elif place < losses.min():
        warnings.append("All models are on the lower half of the curve: where it levels off is extrapolated.")
    if without_intervals:
        warnings.append("Too few models to resample: no intervals.")
    return warnings
