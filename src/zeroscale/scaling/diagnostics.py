"""Warnings about a fit: what it cannot promise, and what would help."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zeroscale.core.format import compact
from zeroscale.scaling.laws.power_law import SIZE, Subject
from zeroscale.scaling.numerics import arrays

if TYPE_CHECKING:
    from zeroscale.scaling.estimators.results import HoldOut, PowerLawFit, SurfaceFit
    from zeroscale.scaling.laws.estimate import Estimate
    from zeroscale.scaling.numerics.arrays import FloatArray
    from zeroscale.scaling.numerics.chinchilla_objective import ChinchillaObjective
    from zeroscale.scaling.run_selection import LeftOutRun, SizeGroup

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
SMALLEST_RANGE = 10.0


def in_words(value: int) -> str:
    """Small numbers as words, as in running text."""
    return WORDS[value] if value < len(WORDS) else str(value)


def capitalize(text: str) -> str:
    return text[0].upper() + text[1:]


def power_law_warnings(
    params: "FloatArray",
    loss: "FloatArray",
    fit: "PowerLawFit",
    tried: "Estimate | None",
    held: "HoldOut | None",
    *,
    chosen: bool,
    needed_sizes: int,
    subject: Subject = SIZE,
) -> list[str]:
    """Warnings about a fit that follow from its numbers alone.

    Args:
        fit: the `PowerLawFit`; tried: E's `Estimate` where it was not carried; held: the `HoldOut`, if any.
        chosen: whether the form was left to the data; needed_sizes: for an irreducible term.
        subject: what the law is over.
    """
    sizes, nouns, letter = fit.n_sizes, f"{subject.noun}s", subject.letter
    warnings = []
    if fit.draws is None:
        warnings.append(
            f"Two {nouns} fix the law exactly: nothing is left to judge its error by. Train at least one more."
        )
    if sizes < needed_sizes and (chosen or fit.irreducible):
        warnings.append(_too_few_for_floor(sizes, needed_sizes, fit.irreducible, subject))
    if tried is not None:
        warnings.append(
            f"{capitalize(in_words(sizes))} {nouns}, but the data do not tell the irreducible term from zero (E = "
            f"{tried.value:.3g}, 95 % interval {tried.low:.3g} to {tried.high:.3g}): the law goes without it, and its "
            f"extrapolation is optimistic. More {nouns}, a wider range or repeated seeds would decide."
        )
    reach = float(params.max() / params.min())
    if reach < SMALLEST_RANGE:
        warnings.append(
            f"The {nouns} span only a factor of {reach:.3g} in {letter}; below a factor of {SMALLEST_RANGE:.0f} the "
            "exponent is loosely held."
        )
    warnings += _rises(params, loss, subject)
    alpha = fit.parameters[subject.exponent]
    if alpha.low is not None and alpha.high is not None and alpha.low <= 0 <= alpha.high:
        warnings.append(
            f"The exponent's interval, {alpha.low:.3g} to {alpha.high:.3g}, includes zero: the data do not show that "
            f"loss depends on {subject.cause}."
        )
    if not fit.converged:
        warnings.append("The solver stopped before its optimum: treat the parameters as approximate.")
    if held is not None and held.inside is False:
        warnings.append(
            f"Hold-out failed: from the {subject.smaller} the law predicts {held.predicted:.4g} at {letter} = "
            f"{compact(held.params)} (95 % interval {held.low:.4g} to {held.high:.4g}), measured {held.measured:.4g}."
        )
    return warnings


def _too_few_for_floor(sizes: int, needed: int, fitted: bool, subject: Subject) -> str:
    few = capitalize(in_words(sizes))
    if fitted:
        return (
            f"{few} {subject.noun}s cannot carry an irreducible term: E was fitted because it was asked for, and is "
            f"hardly more than a guess. Train at least {in_words(needed)} {subject.noun}s."
        )
    return (
        f"{few} {subject.noun}s cannot carry an irreducible term: the law goes without E, so it promises too much far "
        f"beyond the {subject.largest}. Train at least {in_words(needed)} {subject.noun}s."
    )


def _rises(params: "FloatArray", loss: "FloatArray", subject: Subject) -> list[str]:
    """Where a larger size (or a longer run) has no lower loss, by the means of each size."""
    import numpy

    sizes = numpy.unique(params)
    means = [float(loss[params == size].mean()) for size in sizes]
    steps = [
        f"{means[i]:.4g} at {subject.letter} = {compact(sizes[i])} to {means[i + 1]:.4g} at {compact(sizes[i + 1])}"
        for i in range(len(sizes) - 1)
        if means[i + 1] >= means[i]
    ]
    if not steps:
        return []
    return [
        f"Loss is not monotone in {subject.cause}: it goes from {', and from '.join(steps)}. A power law only falls: "
        "look at these runs (learning rate, tokens, divergence) before using it."
    ]


def recipe_warnings(sizes: "Sequence[SizeGroup]", left_out: "Sequence[LeftOutRun]") -> list[str]:
    """Warnings about which runs the law rests on: unequal tokens, runs that are not done."""
    warnings = []
    tokens = [size.tokens for size in sizes]
    if max(tokens) > 1.01 * min(tokens):
        warnings.append(
            f"The sizes were trained on different numbers of tokens ({compact(min(tokens))} to {compact(max(tokens))}):"
            " the exponent is that of this recipe, size and data growing together, not of size alone."
        )
    return warnings + run_warnings(left_out)


def run_warnings(left_out: "Sequence[LeftOutRun]") -> list[str]:
    """Warnings about runs that no law rests on: those that are not done."""
    warnings = []
    undone = {run.cell: run.state for run in left_out if run.state}
    if undone:
        names = ", ".join(f"{cell} ({state})" for cell, state in undone.items())
        warnings.append(
            f"{capitalize(in_words(len(undone)))} {'runs are' if len(undone) > 1 else 'run is'} not done: {names}."
        )
    return warnings


# |correlation| of the exponents' draws from which they are one number rather than two.
STRONG = 0.9
# ln N and ln D this correlated say that data grew with size: then the two terms cannot be told apart.
TIED = 0.99
FEW_STARTS = 0.01
# A term of at most this share of the lowest loss is none: whether the solver leaves 0 or 1e-28 is rounding.
ABSENT = 1e-9
ROUGH = 16
# An exponent this small is as good as none: over a factor of a thousand the term changes by 7 %.
FLAT = 0.01
# Repeated seeds scatter by half a per cent or less: a law that is this far off (root mean square) has the wrong form.
MISFIT = 0.03


def surface_warnings(runs: "ChinchillaObjective", fit: "SurfaceFit", names: Sequence[str] | None = None) -> list[str]:
    """Warnings that follow from the data and the fit's numbers; `names` are what to call the runs."""
    return [
        *arrays.unit_warnings(runs.params, runs.tokens, runs.loss),
        *_design(runs, fit),
        *_solver(fit),
        *_exponents(runs, fit),
        *_misfit(fit, names),
        *_below(runs, fit, names),
        *_held(fit),
    ]


def _design(runs: "ChinchillaObjective", fit: "SurfaceFit") -> list[str]:
    import numpy

    warnings = []
    if fit.n_sizes < 3 or fit.n_token_counts < 3:
        warnings.append(
            f"{capitalize(in_words(fit.n_sizes))} size{'s' * (fit.n_sizes > 1)} x {in_words(fit.n_token_counts)} token "
            f"count{'s' * (fit.n_token_counts > 1)}: fewer than three x three cannot tell the irreducible loss from "
            "slowly falling terms. Take the numbers as a description of these runs, not as a law."
        )
    correlation = float(numpy.corrcoef(runs.x, runs.y)[0, 1])
    if abs(correlation) > TIED:
        warnings.append(
            f"Tokens follow parameters (correlation of their logarithms {correlation:.3f}): what size does and what "
            "data do cannot be told apart. Train some sizes on more, and some on fewer tokens."
        )
    if fit.draws is None and len(runs) < ROUGH:
        warnings.append(
            f"{capitalize(in_words(len(runs)))} runs for five parameters are too few to resample: no intervals. Train "
            "nine or more."
        )
    elif len(runs) < ROUGH:
        warnings.append(
            f"{capitalize(in_words(len(runs)))} runs for five parameters: the intervals, from runs drawn with "
            "replacement, are rough."
        )
    return warnings


def _solver(fit: "SurfaceFit") -> list[str]:
    warnings = []
    if not fit.converged:
        warnings.append("The objective is not converged: treat the parameters as approximate.")
    if fit.starts > 1 and fit.share_of_starts < FEW_STARTS:
        warnings.append(
            f"Only {fit.reached} of {fit.starts} starts reached the best optimum: a better one may have been missed."
        )
    return warnings


def _exponents(runs: "ChinchillaObjective", fit: "SurfaceFit") -> list[str]:
    import numpy

    warnings = []
    absent = ABSENT * float(numpy.min(runs.loss))
    if fit.draws is not None:
        correlation = fit.draws.correlation()["alpha"]["beta"]
        if abs(correlation) >= STRONG:
            warnings.append(
                f"The exponents are strongly correlated ({correlation:+.2f}): the runs hold a combination of alpha and "
                "beta rather than each. Widen the range of tokens at a fixed size."
            )
    for name, height, term, counts in (("alpha", "A", "size", runs.params), ("beta", "B", "data", runs.tokens)):
        estimate = fit.parameters[name]
        weight, exponent = fit.parameters[height].value or 0.0, estimate.value or 0.0
        # In logarithms: counts to the power of a wild exponent overflow.
        largest = numpy.log(weight) + numpy.max(-exponent * numpy.log(counts)) if weight > 0 else -numpy.inf
        lowest = min((end for end in (estimate.value, estimate.low) if end is not None), default=FLAT)
        if largest <= numpy.log(absent):
            warnings.append(f"{height} is zero: the runs do not show that loss depends on {term}.")
        elif lowest <= FLAT:
            warnings.append(
                f"{name} is not away from zero ({estimate.value:.3g}"
                + (", no interval" if estimate.low is None else f", interval from {estimate.low:.3g}")
                + f"): the data do not show how loss depends on {term}."
            )
    if (fit.parameters["E"].value or 0.0) <= absent or (
        fit.draws is not None and (fit.parameters["E"].low or 0.0) < 1e-3
    ):
        warnings.append(
            "The irreducible loss E is not told from zero: extrapolation far beyond these runs is optimistic."
        )
    return warnings


def _misfit(fit: "SurfaceFit", names: Sequence[str] | None) -> list[str]:
    if fit.rms_log_residual < MISFIT:
        return []
    sizes = [abs(residual) for residual in fit.log_residuals]
    worst = sorted(range(len(sizes)), key=lambda run: -sizes[run])[:3]
    names_of_worst = ", ".join(
        f"{names[run] if names else f'run {run}'} ({fit.log_residuals[run]:+.0%})" for run in worst
    )
    return [
        f"The law misses the runs by {fit.rms_log_residual:.1%} (root mean square), most of all {names_of_worst}: some "
        "of them are not what this form describes, such as runs with very few tokens. Leave those out by a rule "
        "(keep.tokens, keep.loss) and see whether the law stays."
    ]


def _below(runs: "ChinchillaObjective", fit: "SurfaceFit", names: Sequence[str] | None) -> list[str]:
    import numpy

    floor = fit.parameters["E"].value or 0.0
    below = numpy.flatnonzero(runs.loss < floor)
    if not len(below):
        return []
    shown = ", ".join(
        f"{names[index] if names else f'run {index}'} (loss {runs.loss[index]:.4g})" for index in below[:5]
    )
    more = f" and {len(below) - 5} more" if len(below) > 5 else ""
    return [
        f"Loss below the irreducible loss E = {floor:.4g}: {shown}{more}. No law of this form reaches it; look for "
        "another tokenizer, other text, or bits instead of nats, and leave the run out if it is another kind."
    ]


def _held(fit: "SurfaceFit") -> list[str]:
    held = fit.hold_out
    if held is None or held.inside is not False:
        return []
    return [
        f"Hold-out failed: from the smaller sizes the law predicts {held.predicted:.4g} at N = {compact(held.params)} "
        f"(95 % interval {held.low:.4g} to {held.high:.4g}), measured {held.measured:.4g}."
    ]
