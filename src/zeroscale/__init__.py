"""zeroscale: ladders of GPT-2-style models, zero-shot scores by the GPT-2 paper's protocol, and scaling laws.

    import zeroscale as zs

    model, tokenizer = zs.load("outputs/pocket/RUN")             # or a Hugging Face directory, or a name on the hub
    scores = zs.evaluate("outputs/pocket/RUN", ["lambada"], cards_from="sample")
    zs.compare("outputs/pocket/RUN", "outputs/pocket/OTHER")     # paired differences on the same examples
    study = zs.open_study("outputs/pocket")
    study.ledger, study.fit(), study.figure("law")
    zs.fit_chinchilla(params, tokens, loss)

These names come from rooms whose modules may move; import them from here. Nothing is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroscale.core.errors import ZeroscaleError
    from zeroscale.eval.api.comparison import PairedComparison, compare
    from zeroscale.eval.api.evaluation import Evaluation, evaluate
    from zeroscale.eval.api.model import LoadedModel, from_pretrained, load
    from zeroscale.report.notebook import Study, StudyFigure, StudyFit, open_study
    from zeroscale.scaling.compare.compare_laws import compare_laws
    from zeroscale.scaling.estimators.chinchilla import fit_chinchilla
    from zeroscale.scaling.estimators.envelope import fit_envelope
    from zeroscale.scaling.estimators.isoflop import fit_isoflop
    from zeroscale.scaling.estimators.kaplan import fit_kaplan
    from zeroscale.scaling.estimators.loss_to_accuracy import fit_loss_to_accuracy
    from zeroscale.scaling.estimators.power_law import fit_power_law
    from zeroscale.scaling.estimators.variable_projection import fit_vpnls

__version__ = "0.1.0"

__all__ = [
    "Evaluation",
    "LoadedModel",
    "PairedComparison",
    "Study",
    "StudyFigure",
    "StudyFit",
    "ZeroscaleError",
    "compare",
    "compare_laws",
    "evaluate",
    "fit_chinchilla",
    "fit_envelope",
    "fit_isoflop",
    "fit_kaplan",
    "fit_loss_to_accuracy",
    "fit_power_law",
    "fit_vpnls",
    "from_pretrained",
    "load",
    "open_study",
]

_MODULES = {
    "Evaluation": "eval.api.evaluation",
    "LoadedModel": "eval.api.model",
    "PairedComparison": "eval.api.comparison",
    "Study": "report.notebook",
    "StudyFigure": "report.notebook",
    "StudyFit": "report.notebook",
    "ZeroscaleError": "core.errors",
    "compare": "eval.api.comparison",
    "compare_laws": "scaling",
    "evaluate": "eval.api.evaluation",
    "fit_chinchilla": "scaling",
    "fit_envelope": "scaling",
    "fit_isoflop": "scaling",
    "fit_kaplan": "scaling",
    "fit_loss_to_accuracy": "scaling",
    "fit_power_law": "scaling",
    "fit_vpnls": "scaling",
    "from_pretrained": "eval.api.model",
    "load": "eval.api.model",
    "open_study": "report.notebook",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
