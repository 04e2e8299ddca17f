"""Scaling laws fitted to runs; the names below work on plain arrays.

    from zeroscale.scaling import fit_chinchilla, fit_power_law
    fit = fit_power_law(params=[1e6, 1e7, 1e8, 1e9, 1e10], loss=[5.1, 4.2, 3.5, 3.0, 2.6])
    fit.parameters["alpha"], fit.band([1e11]), fit.hold_out, fit.warnings

    fit = fit_chinchilla(params, tokens, loss)
    fit.law, fit.parameters["E"], fit.exponents["N_opt"], fit.optimum(1e21), fit.warnings

    comparison = compare_laws({"params": …, "tokens": …, "loss": …}, other_runs)
    comparison.differences["alpha"], comparison.at[0].multiplier

Nothing is imported before it is asked for, and no fit needs torch or Hydra.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroscale.scaling.compare.compare_laws import AtBudget, LawComparison, compare_laws
    from zeroscale.scaling.estimators.chinchilla import fit_chinchilla
    from zeroscale.scaling.estimators.envelope import EnvelopeFit, fit_envelope
    from zeroscale.scaling.estimators.isoflop import IsoflopFit, fit_isoflop
    from zeroscale.scaling.estimators.kaplan import KaplanFit, KaplanLaw, fit_kaplan
    from zeroscale.scaling.estimators.loss_to_accuracy import AccuracyFit, fit_loss_to_accuracy
    from zeroscale.scaling.estimators.power_law import fit_power_law
    from zeroscale.scaling.estimators.results import HeldOutSize, HoldOut, Optimum, PowerLawFit, SurfaceFit
    from zeroscale.scaling.estimators.variable_projection import fit_vpnls
    from zeroscale.scaling.fit import fit_study
    from zeroscale.scaling.laws.estimate import Estimate
    from zeroscale.scaling.laws.power_law import PowerLaw
    from zeroscale.scaling.laws.surface import PerToken, Surface
    from zeroscale.scaling.options import Options
    from zeroscale.scaling.summary import describe

__all__ = [
    "AccuracyFit",
    "AtBudget",
    "EnvelopeFit",
    "Estimate",
    "HeldOutSize",
    "HoldOut",
    "IsoflopFit",
    "KaplanFit",
    "KaplanLaw",
    "LawComparison",
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
    "AccuracyFit": "estimators.loss_to_accuracy",
    "AtBudget": "compare.compare_laws",
    "EnvelopeFit": "estimators.envelope",
    "Estimate": "laws.estimate",
    "HoldOut": "estimators.results",
    "IsoflopFit": "estimators.isoflop",
    "KaplanFit": "estimators.kaplan",
    "KaplanLaw": "estimators.kaplan",
    "LawComparison": "compare.compare_laws",
    "HeldOutSize": "estimators.results",
    "Optimum": "estimators.results",
    "Options": "options",
    "PerToken": "laws.surface",
    "PowerLaw": "laws.power_law",
    "PowerLawFit": "estimators.results",
    "Surface": "laws.surface",
    "SurfaceFit": "estimators.results",
    "compare_laws": "compare.compare_laws",
    "describe": "summary",
    "fit_chinchilla": "estimators.chinchilla",
    "fit_envelope": "estimators.envelope",
    "fit_isoflop": "estimators.isoflop",
    "fit_kaplan": "estimators.kaplan",
    "fit_loss_to_accuracy": "estimators.loss_to_accuracy",
    "fit_power_law": "estimators.power_law",
    "fit_study": "fit",
    "fit_vpnls": "estimators.variable_projection",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
