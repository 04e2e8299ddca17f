"""Two ladders by their laws of loss over compute, drawn together where their runs belong together."""

from typing import TYPE_CHECKING, Literal

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling.compare.ladders import APART, LadderFit, ModelLadder
from zeroscale.scaling.estimators.bootstrap import RESAMPLE_RUNS_FROM
from zeroscale.scaling.estimators.power_law import fit_power_law
from zeroscale.scaling.estimators.power_law_solver import PowerLawSolutions, solve_power_law
from zeroscale.scaling.estimators.results import PowerLawFit
from zeroscale.scaling.laws.estimate import LEVEL
from zeroscale.scaling.laws.loss_vs_compute import LossVsCompute

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray


def fit_loss_vs_compute(
    law: str, first: ModelLadder, second: ModelLadder, bootstrap: int, random_seed: int, paired: bool
) -> tuple[LadderFit, LadderFit]:
    """Both by L(C) = E + (C_c/C)^gamma, E only where both ladders carry it: else the laws would not be of one form.

    Ladders of ten budgets or more have their runs drawn with replacement, the same runs of both where `paired`. Smaller
    ones are moved by noise of the scale of their residuals, together where `paired`; see `_together`.
    """
    for ladder in (first, second):
        if len(set(ladder.flops.tolist())) < 2:
            raise ZeroscaleError("a law over compute needs runs at two budgets at least, better five")
    many = min(len(set(ladder.flops.tolist())) for ladder in (first, second)) >= RESAMPLE_RUNS_FROM
    seeds = (random_seed, random_seed + (0 if paired and many else APART))

    def fit_both(irreducible: bool | Literal["auto"]) -> list[PowerLawFit]:
        return [
            fit_power_law(
                ladder.flops, ladder.loss, irreducible=irreducible, bootstrap=bootstrap, seed=seed, hold_out=False
            )
            for ladder, seed in zip((first, second), seeds, strict=True)
        ]

    fits = fit_both("auto")
    if fits[0].irreducible != fits[1].irreducible:
        fits = fit_both(False)
    drawn = None
    if paired and not many and bootstrap:
        drawn = _together(fits, (first, second), bootstrap, random_seed)
    ladder_fits = []
    for i, fit in enumerate(fits):
        solutions = drawn[i] if drawn else None if fit.draws is None else fit.draws.fits
        method = (
            None
            if fit.method is None
            else f"{fit.method}, {'the same of both' if paired and many else 'of each alone'}"
        )
        if drawn:
            method = (
                f"{bootstrap} times, the {len(first.loss)} runs kept and their losses moved from the laws by normal "
                "noise of the residuals' scale, as far together as the residuals go together (Student's t); rough"
            )
        tail = (1 - LEVEL) / 2 if fit.draws is None or drawn else fit.draws.tail
        ladder_fits.append(_fitted(fit, solutions, tail, method, bool(drawn) or (paired and many)))
    return ladder_fits[0], ladder_fits[1]


def _together(
    fits: list[PowerLawFit], ladders: tuple[ModelLadder, ModelLadder], count: int, seed: int
) -> tuple[PowerLawSolutions, PowerLawSolutions] | None:
    """Refits of losses moved by noise that two small ladders share as far as their residuals do.

    The residuals' difference d = r2 - r1 has its own scale, drawn with the degrees of freedom that are left (so that
    the difference of two straight lines has Student's interval, as in a paired t-test); r1 is what its regression on d
    says, and a rest of its own. None with fewer than two degrees of freedom.
    """
    import numpy

    freedom = len(ladders[0].loss) - (3 if fits[0].irreducible else 2)
    if freedom < 2:
        return None
    first, second = (numpy.array(fit.log_residuals) for fit in fits)
    apart = second - first
    squares = float((apart**2).sum())
    slope = float((first * apart).sum()) / squares if squares > 0 else 0.0
    rest = float(((first - slope * apart) ** 2).sum())
    generator = numpy.random.default_rng(seed)

    def noise(of: float, left: int) -> "FloatArray":
        scale = numpy.sqrt(of / generator.chisquare(left, count))
        return scale[:, None] * generator.standard_normal((count, len(first)))

    difference = noise(squares, freedom)
    shared = slope * difference + noise(rest, freedom - 1)
    solved = []
    for fit, ladder, moved, off in zip(fits, ladders, (shared, shared + difference), (first, second), strict=True):
        targets = numpy.clip(numpy.log(ladder.loss) - off + moved, -300.0, 300.0)
        solved.append(solve_power_law(ladder.flops, targets, irreducible=fit.irreducible))
    return solved[0], solved[1]


def _fitted(
    fit: PowerLawFit, laws: PowerLawSolutions | None, tail: float, method: str | None, paired: bool
) -> LadderFit:
    draws: dict[str, FloatArray] = {}
    if laws is not None:
        draws = {"gamma": laws.alpha} | ({"E": laws.irreducible} if fit.irreducible else {})
    return LadderFit(
        form="L(C) = E + (C_c/C)^gamma" if fit.irreducible else "L(C) = (C_c/C)^gamma",
        values={"gamma": fit.law.alpha} | ({"E": fit.law.irreducible} if fit.irreducible else {}),
        draws_of=draws.get,
        path=LossVsCompute(fit.law.irreducible, fit.law.log_A, fit.law.alpha),
        drawn=None if laws is None else LossVsCompute(laws.irreducible, laws.log_A, laws.alpha),
        tail=tail,
        method=method,
        paired=paired and laws is not None,
        warnings=fit.warnings,
    )
