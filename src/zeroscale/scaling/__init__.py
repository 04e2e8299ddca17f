"""Parameters, FLOPs, plans, the ledger of a study and the laws fitted to it; the names below work on plain arrays.

    from zeroscale.scaling import fit_power_law
    fit = fit_power_law(params=[1e6, 1e7, 1e8, 1e9, 1e10], loss=[5.1, 4.2, 3.5, 3.0, 2.6])
    fit.parameters["alpha"], fit.band([1e11]), fit.hold_out, fit.warnings

Nothing is imported before it is asked for: `flops` and `budget` stay light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroscale.scaling.fit import fit_study
    from zeroscale.scaling.laws import PowerLaw
    from zeroscale.scaling.power import Estimate, HoldOut, PowerLawFit, fit_power_law
    from zeroscale.scaling.summary import describe

__all__ = ["Estimate", "HoldOut", "PowerLaw", "PowerLawFit", "describe", "fit_power_law", "fit_study"]

_HOME = {
    "Estimate": "power",
    "HoldOut": "power",
    "PowerLawFit": "power",
    "fit_power_law": "power",
    "PowerLaw": "laws",
    "describe": "summary",
    "fit_study": "fit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
