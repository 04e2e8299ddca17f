"""What a law cannot promise, in words a researcher can act on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zeroscale.core.format import compact

if TYPE_CHECKING:
    from numpy import ndarray

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
SMALLEST_RANGE = 10.0


def number(value: int) -> str:
    """Small numbers as words, as in running text."""
    return WORDS[value] if value < len(WORDS) else str(value)


def sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def of_fit(
    params: "ndarray", loss: "ndarray", fit: Any, tried: Any, held: Any, *, chosen: bool, needed_sizes: int
) -> list[str]:
    """Warnings about a fit that follow from its numbers alone.

    Args:
        fit: the `PowerLawFit`; tried: E's `Estimate` where it was not carried; held: the `HoldOut`, if any.
        chosen: whether the form was left to the data; needed_sizes: for an irreducible term.
    """
    sizes = fit.n_sizes
    found = []
    if fit.draws is None:
        found.append("Two sizes fix the law exactly: nothing is left to judge its error by. Train at least one more.")
    if sizes < needed_sizes and (chosen or fit.irreducible):
        found.append(_too_few_for_floor(sizes, needed_sizes, fit.irreducible))
    if tried is not None:
        found.append(
            f"{sentence(number(sizes))} sizes, but the data do not tell the irreducible term from zero (E = "
            f"{tried.value:.3g}, 95 % interval {tried.low:.3g} to {tried.high:.3g}): the law goes without it, and its "
            "extrapolation is optimistic. More sizes, a wider range or repeated seeds would decide."
        )
    reach = float(params.max() / params.min())
    if reach < SMALLEST_RANGE:
        found.append(
            f"The sizes span only a factor of {reach:.3g} in N; below a factor of {SMALLEST_RANGE:.0f} the exponent is "
            "loosely held."
        )
    found += _rises(params, loss)
    alpha = fit.parameters["alpha"]
    if alpha.low is not None and alpha.low <= 0 <= alpha.high:
        found.append(
            f"The exponent's interval, {alpha.low:.3g} to {alpha.high:.3g}, includes zero: the data do not show that "
            "loss depends on size."
        )
    if not fit.converged:
        found.append("The solver stopped before its optimum: treat the parameters as approximate.")
    if held is not None and held.inside is False:
        found.append(
            f"Hold-out failed: from the smaller sizes the law predicts {held.predicted:.4g} at N = "
            f"{compact(held.params)} (95 % interval {held.low:.4g} to {held.high:.4g}), measured {held.measured:.4g}."
        )
    return found


def _too_few_for_floor(sizes: int, needed: int, fitted: bool) -> str:
    few = sentence(number(sizes))
    if fitted:
        return (
            f"{few} sizes cannot carry an irreducible term: E was fitted because it was asked for, and is hardly more "
            f"than a guess. Train at least {number(needed)} sizes."
        )
    return (
        f"{few} sizes cannot carry an irreducible term: the law goes without E, so it promises too much far beyond the "
        f"largest size. Train at least {number(needed)} sizes."
    )


def _rises(params: "ndarray", loss: "ndarray") -> list[str]:
    """Where a larger size has no lower loss, by the means of each size."""
    import numpy

    sizes = numpy.unique(params)
    means = [float(loss[params == size].mean()) for size in sizes]
    steps = [
        f"{means[i]:.4g} at N = {compact(sizes[i])} to {means[i + 1]:.4g} at {compact(sizes[i + 1])}"
        for i in range(len(sizes) - 1)
        if means[i + 1] >= means[i]
    ]
    if not steps:
        return []
    return [
        f"Loss is not monotone in size: it goes from {', and from '.join(steps)}. A power law only falls: look at "
        "these runs (learning rate, tokens, divergence) before using it."
    ]


def of_points(points: Sequence[dict[str, Any]], left_out: Sequence[dict[str, Any]]) -> list[str]:
    """Warnings about which runs the law rests on: unequal tokens, runs that are not done, twins of one seed."""
    found = []
    tokens = [point["tokens"] for point in points]
    if max(tokens) > 1.01 * min(tokens):
        found.append(
            f"The sizes were trained on different numbers of tokens ({compact(min(tokens))} to {compact(max(tokens))}):"
            " the exponent is that of this recipe, size and data growing together, not of size alone."
        )
    return found + of_runs(left_out)


def of_runs(left_out: Sequence[dict[str, Any]]) -> list[str]:
    """Warnings about runs that no law rests on: those that are not done, and twins of one seed."""
    found = []
    undone = {entry["cell"]: entry["state"] for entry in left_out if entry.get("state")}
    if undone:
        names = ", ".join(f"{cell} ({state})" for cell, state in undone.items())
        found.append(
            f"{sentence(number(len(undone)))} {'runs are' if len(undone) > 1 else 'run is'} not done: {names}."
        )
    twins = [entry["cell"] for entry in left_out if entry.get("twin")]
    if twins:
        found.append(
            "Runs with the same size, tokens and seed differ in other settings; of each the one with the lowest loss "
            f"counts (left out: {', '.join(twins)})."
        )
    return found
