"""Parameters, FLOPs, plans, the ledger of a study and the laws fitted to it; the names below work on plain arrays.

    from zeroscale.scaling import fit_chinchilla, fit_power_law
    fit = fit_power_law(params=[1e6, 1e7, 1e8, 1e9, 1e10], loss=[5.1, 4.2, 3.5, 3.0, 2.6])
    fit.parameters["alpha"], fit.band([1e11]), fit.hold_out, fit.warnings

    fit = fit_chinchilla(params, tokens, loss)
    fit.law, fit.parameters["E"], fit.exponents["N_opt"], fit.optimum(1e21), fit.warnings

    found = compare_laws({"params": …, "tokens": …, "loss": …}, other_runs)
    found.differences["alpha"], found.at[0].multiplier

Nothing is imported before it is asked for: `flops` and `budget` stay light, and no fit needs torch or Hydra.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroscale.scaling.chinchilla import fit_chinchilla
    from zeroscale.scaling.comparison import AtBudget, LawComparison, compare_laws
    from zeroscale.scaling.envelope import EnvelopeFit, fit_envelope
    from zeroscale.scaling.estimate import Estimate
    from zeroscale.scaling.fit import fit_study
    from zeroscale.scaling.isoflop import IsoflopFit, fit_isoflop
    from zeroscale.scaling.kaplan import KaplanFit, KaplanLaw, fit_kaplan
    from zeroscale.scaling.laws import PowerLaw
    from zeroscale.scaling.loss_to_accuracy import AccuracyFit, fit_loss_to_accuracy
    from zeroscale.scaling.options import Options
    from zeroscale.scaling.power import HoldOut, PowerLawFit, fit_power_law
    from zeroscale.scaling.summary import describe
    from zeroscale.scaling.surface import PerToken, Surface
    from zeroscale.scaling.surface_fit import LeftOut, Optimum, SurfaceFit
    from zeroscale.scaling.vpnls import fit_vpnls

__all__ = [
    "AccuracyFit",
    "AtBudget",
    "EnvelopeFit",
    "Estimate",
    "HoldOut",
    "IsoflopFit",
    "KaplanFit",
    "KaplanLaw",
    "LawComparison",
    "LeftOut",
    "Optimum",
    "Options",
    "PerToken",
    "PowerLaw",
    "PowerLawFit",
    "Surface",
    "SurfaceFit",
    "compare_laws",
    "describe",
    "fit_chinchilla",
    "fit_envelope",
    "fit_isoflop",
    "fit_kaplan",
    "fit_loss_to_accuracy",
    "fit_power_law",
    "fit_study",
    "fit_vpnls",
]

_HOME = {
    "AccuracyFit": "loss_to_accuracy",
    "AtBudget": "comparison",
    "EnvelopeFit": "envelope",
    "Estimate": "estimate",
    "HoldOut": "power",
    "IsoflopFit": "isoflop",
    "KaplanFit": "kaplan",
    "KaplanLaw": "kaplan",
    "LawComparison": "comparison",
    "LeftOut": "surface_fit",
    "Optimum": "surface_fit",
    "Options": "options",
    "PerToken": "surface",
    "PowerLaw": "laws",
    "PowerLawFit": "power",
    "Surface": "surface",
    "SurfaceFit": "surface_fit",
    "compare_laws": "comparison",
    "describe": "summary",
    "fit_chinchilla": "chinchilla",
    "fit_envelope": "envelope",
    "fit_isoflop": "isoflop",
    "fit_kaplan": "kaplan",
    "fit_loss_to_accuracy": "loss_to_accuracy",
    "fit_power_law": "power",
    "fit_study": "fit",
    "fit_vpnls": "vpnls",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
