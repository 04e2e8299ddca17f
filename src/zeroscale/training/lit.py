"""The LightningModule: loss, optimizer, learning rate, clipping. What is logged lives in callbacks."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from zeroscale.errors import ZeroscaleError
from zeroscale.model import GPT
from zeroscale.settings import OptimizerSettings


class LanguageModel(pl.LightningModule):
    """A decoder in training.

    `rate(step)` is the learning rate of optimizer step `step` (from 0). After each optimizer step `step_loss` holds
    this rank's mean loss over the step's micro-batches and `grad_norm` the norm before clipping, both on the device.
    """

    def __init__(
        self, model: GPT, optimizer: OptimizerSettings, rate: Callable[[int], float], accumulation: int, seed: int
    ) -> None:
        super().__init__()
        self.model = model
        self._settings = optimizer
        self._rate = rate
        self._accumulation = accumulation
        self._seed = seed
        self.step_loss: Tensor = torch.zeros(())
        self.grad_norm: Tensor = torch.zeros(())
        self.lr = 0.0

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Mean loss (nats per token) of one micro-batch: inputs and targets, both [rows, context]."""
        inputs, targets = batch
        first = index % self._accumulation == 0
        if self.model.config.dropout:
            # Dropout's noise is a function of (seed, micro-batch, rank): a resumed run draws what it would have drawn.
            torch.manual_seed((self._seed * 1_000_003 + index) * 4099 + self.global_rank)
        loss = self.model.loss(inputs, targets)
        share = loss.detach() / self._accumulation
        self.step_loss = share if first else self.step_loss + share
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        from zeroscale.training.optim import adamw

        return adamw(self.model, self._settings, lr=self._rate(0))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.lr = self._rate(self.global_step)
        for group in optimizer.param_groups:
            group["lr"] = self.lr

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clips by the global norm, and refuses to step on a loss that is no number."""
        limit = self._settings.grad_clip
        self.grad_norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit or float("inf"))
        if not torch.isfinite(self.grad_norm):
            raise ZeroscaleError(
                f"the gradient of step {self.global_step + 1} is {self.grad_norm.item()} "
                f"(loss {self.step_loss.item():.4g}): training has diverged. Lower optimizer.lr, lengthen "
                "schedule.warmup_tokens, or use trainer.precision=fp32."
            )
