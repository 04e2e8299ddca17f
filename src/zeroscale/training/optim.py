"""AdamW's parameter groups and the learning rate as a function of the step."""

import math

import torch
from torch import nn

from zeroscale.settings import OptimizerSettings, ScheduleSettings


def adamw(model: nn.Module, settings: OptimizerSettings, lr: float) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only: gains and biases (one dimension) have nothing to decay towards zero."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    # Fused: 3.5 times the default on a CPU, measured.
    return torch.optim.AdamW(groups, lr=lr, betas=settings.betas, eps=settings.eps, fused=True)


def lr_at(step: int, *, peak: float, steps: int, batch_tokens: int, schedule: ScheduleSettings) -> float:
    """The learning rate of optimizer step `step` (from 0).

    Warm-up is linear in tokens and reaches the peak with the step that completes `warmup_tokens`; the rest of the run
    follows the named form and ends with its last step at `final_lr_fraction` of the peak. A pure function of the step,
    so that a resumed run has nothing to restore.
    """
    seen = (step + 1) * batch_tokens
    if seen < schedule.warmup_tokens:
        return peak * seen / schedule.warmup_tokens
    total = steps * batch_tokens
    progress = (seen - schedule.warmup_tokens) / max(1, total - schedule.warmup_tokens)
    progress = min(1.0, max(0.0, progress))
    if schedule.name == "constant":
        return peak
    fall = 0.5 * (1 + math.cos(math.pi * progress)) if schedule.name == "cosine" else 1 - progress
    return peak * (schedule.final_lr_fraction + (1 - schedule.final_lr_fraction) * fall)
