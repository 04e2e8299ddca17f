"""The optimizers by name, which of them takes which parameter, and what each keeps for a weight.

A new one is an entry of `OPTIMIZERS` with its builder here, its name in `config.optimizer.OptimizerConfig` and
conf/optimizer/NAME.yaml. Nothing imports torch before a builder is called: `plan` asks for the memory alone.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.own import code as own_code
from zeroscale.core.own.code import is_own
from zeroscale.model.memory import StatesPerWeight

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zeroscale.config.optimizer import OptimizerConfig

Builder = Callable[["nn.Module", "OptimizerConfig", float], "list[torch.optim.Optimizer]"]


@dataclass(frozen=True)
class OptimizerEntry:
    """An optimizer that `optimizer.name` can choose."""

    build: Builder
    """(model, settings, learning rate) → the optimizers that step together, at the same learning rate."""
    states: StatesPerWeight
    """Numbers kept for each weight from step to step, for the memory plan."""


def optimizers(model: "nn.Module", settings: "OptimizerConfig", lr: float) -> "list[torch.optim.Optimizer]":
    """The optimizers that step together, at the same learning rate."""
    if is_own(settings.name):
        return [_own(model, settings, lr)]
    return OPTIMIZERS[settings.name].build(model, settings, lr)


def _adamw_alone(model: "nn.Module", settings: "OptimizerConfig", lr: float) -> "list[torch.optim.Optimizer]":
    return [adamw(list(model.parameters()), settings, lr)]


def _muon_and_adamw(model: "nn.Module", settings: "OptimizerConfig", lr: float) -> "list[torch.optim.Optimizer]":
    """Muon for the matrices of the blocks, AdamW for the rest."""
    matrices = [p for name, p in model.named_parameters() if is_hidden_matrix(name, p)]
    matrix_ids = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in matrix_ids]
    return [muon(matrices, settings, lr), adamw(rest, settings, lr)]


def adamw(parameters: "list[nn.Parameter]", settings: "OptimizerConfig", lr: float) -> "torch.optim.AdamW":
    """AdamW with weight decay on matrices only: gains and biases (one dimension) have nothing to decay towards zero."""
    import torch

    # Fused: 3.5 times the default on a CPU, measured.
    groups = _groups(parameters, settings)
    return torch.optim.AdamW(groups, lr=lr, betas=settings.betas, eps=settings.eps, fused=True)


def _groups(parameters: "list[nn.Parameter]", settings: "OptimizerConfig") -> "list[dict[str, object]]":
    """Matrices, with weight decay, and what has one dimension, without."""
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]


def states_of(name: str) -> StatesPerWeight:
    """The numbers that an optimizer keeps for each weight; for the user's own AdamW's two, which few exceed."""
    return OPTIMIZERS["adamw" if is_own(name) else name].states


def _own(model: "nn.Module", settings: "OptimizerConfig", lr: float) -> "torch.optim.Optimizer":
    """An optimizer of the user's own: called with the two groups, `lr`, those of `betas`, `eps` and `momentum` that its
    signature names, and `optimizer.options`.

    Raises:
        ZeroscaleError: it cannot be called, does not take these, or gives no optimizer.
    """
    import torch

    key = f"optimizer.name={settings.name}"
    made = own_code.load(settings.name, "optimizer.name")
    if not callable(made):
        raise ZeroscaleError(f"{key}: is no class and no function")
    takes = inspect.signature(made).parameters
    given: dict[str, object] = {name: getattr(settings, name) for name in ("betas", "eps", "momentum") if name in takes}
    given |= {"lr": lr, **settings.options}
    groups = _groups(list(model.parameters()), settings)
    try:
        inspect.signature(made).bind(groups, **given)
    except TypeError as error:
        raise ZeroscaleError(
            f"{key}: {error}; it is called as {settings.name.partition(':')[2]}(groups, {', '.join(given)})"
        ) from error
    optimizer = made(groups, **given)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ZeroscaleError(f"{key}: gave {type(optimizer).__name__}, which is no torch.optim.Optimizer")
    return optimizer


def is_hidden_matrix(name: str, parameter: "torch.Tensor") -> bool:
    """A matrix inside a block. Embeddings and the head have a row per token, of which a step sees few: AdamW's."""
    return name.startswith("blocks.") and parameter.dim() == 2


def muon(matrices: "list[nn.Parameter]", settings: "OptimizerConfig", lr: float) -> "torch.optim.Optimizer":
    """Muon (Jordan et al. 2024) in Moonshot's form (Liu et al. 2025, section 2.2, equation 4).

    Updates have AdamW's usual size (root mean square 0.2), so that one learning rate and one weight decay serve both.
    Queries, keys and values are one matrix here and are orthogonalised as one.
    """
    import torch

    return torch.optim.Muon(
        matrices, lr=lr, weight_decay=settings.weight_decay, momentum=settings.momentum, adjust_lr_fn="match_rms_adamw"
    )


OPTIMIZERS: dict[str, OptimizerEntry] = {
    # Two moments for every weight.
    "adamw": OptimizerEntry(_adamw_alone, StatesPerWeight(hidden_matrices=2, rest=2)),
    # One momentum for the matrices of the blocks, AdamW's two moments for the rest.
    "muon": OptimizerEntry(_muon_and_adamw, StatesPerWeight(hidden_matrices=1, rest=2)),
}
