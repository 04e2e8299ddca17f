"""How the compute-optimal exponent moves with what counts as N and as FLOPs.

Porian et al. 2024 trace Kaplan's exponent of 0.88 against Chinchilla's 0.5 to such choices, and to training: counting
the head's FLOPs alone moved theirs from 0.84 to 0.71.
"""

from collections.abc import Callable, Sequence

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling.estimators.chinchilla import fit_chinchilla
from zeroscale.scaling.estimators.isoflop import fit_isoflop
from zeroscale.scaling.fit_schema import ConventionExponent
from zeroscale.scaling.laws.estimate import Estimate
from zeroscale.scaling.options import Options
from zeroscale.scaling.run_table import EXACT, SIX_ND, RunTable

# Refits behind each interval of this table: two digits of a quantile are enough here.
BOOTSTRAP = 1000
# The laws whose exponent is compared.
LAWS = ("chinchilla", "isoflop")


def exponents_by_convention(
    tables: Callable[[str, str], RunTable | None], conventions: Sequence[str], options: Options, laws: Sequence[str]
) -> list[ConventionExponent]:
    """A row for each law, convention of N and count of FLOPs.

    Args:
        tables: (convention, "exact" or "6nd") → the runs so counted; None where a run has no exact FLOPs.
        conventions: of N to try; one alone where the runs come with one count only.
        laws: of LAWS, as many as were fitted.
    """
    rows = []
    bootstrap = min(options.bootstrap, BOOTSTRAP)
    for convention in conventions:
        surface = None
        for counted in (SIX_ND, EXACT):
            table = tables(convention, counted)
            if table is None or (counted == EXACT and table.is_six_nd):
                # Nothing new to show: C is missing, or is 6 N D to the last digits.
                continue
            if "chinchilla" in laws:
                # The surface knows N and D alone: what FLOPs are only bends the path along which it is minimised.
                surface = surface or fit_chinchilla(
                    table.params,
                    table.tokens,
                    table.loss,
                    delta=options.delta,
                    bootstrap=bootstrap,
                    random_seed=options.seed,
                    hold_out=False,
                )
                cost = table.per_token()
                spread = None if surface.draws is None else surface.draws.laws.exponent(cost)
                exponent = Estimate.of(surface.law.exponent(cost), spread)
                rows.append(_row("chinchilla", convention, counted, exponent))
            if "isoflop" in laws:
                rows.append(_isoflop(table, convention, counted, bootstrap, options))
    return rows


def _isoflop(table: RunTable, convention: str, counted: str, bootstrap: int, options: Options) -> ConventionExponent:
    try:
        fit = fit_isoflop(
            table.params,
            table.tokens,
            table.loss,
            flops=table.flops,
            window=options.window,
            tolerance=options.tolerance,
            bootstrap=bootstrap,
            random_seed=options.seed,
        )
    except ZeroscaleError:
        return _row("isoflop", convention, counted, None, "the runs do not form budgets when counted so")
    return _row("isoflop", convention, counted, fit.parameters["a"])


def _row(
    law: str, convention: str, counted: str, exponent: Estimate | None, note: str | None = None
) -> ConventionExponent:
    return ConventionExponent(law=law, convention=convention, flops=counted, exponent=exponent, note=note)
