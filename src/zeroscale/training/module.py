"""The LightningModule: optimizer steps with their micro-batches, their guard, and what is done around them."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from zeroscale.config.optimizer import OptimizerConfig
from zeroscale.data.loader import MicroBatch
from zeroscale.model.gpt import GPT
from zeroscale.training import guards, train_state
from zeroscale.training.optimizer import optimizers


@dataclass
class Progress:
    """The last step: how many steps are done, this rank's mean loss over its tokens (nats), the norm of the whole
    gradient before clipping, and the learning rate."""

    step: int
    loss: float = 0.0
    grad_norm: float = 0.0
    lr: float = 0.0


class Callback:
    """What acts around optimizer steps; every method may be left out."""

    def begin(self, trainer: pl.Trainer, lit: "LanguageModel") -> None:
        """Training starts, the state restored."""

    def before_step(self) -> None:
        """The step's batch has come."""

    def after_step(self, trainer: pl.Trainer, lit: "LanguageModel", step: int) -> None:
        """`step` optimizer steps are done."""


class LanguageModel(pl.LightningModule):
    """A decoder in training; `rate(step)` is the learning rate of optimizer step `step` (from 0).

    The loss of a step is the mean over all tokens of the global batch: ranks and micro-batches hold equally many, so
    the mean of their means is that mean, however the batch is cut.
    """

    def __init__(
        self,
        model: GPT,
        optimizer: OptimizerConfig,
        rate: Callable[[int], float],
        *,
        seed: int,
        around: Sequence[Callback] = (),
        start: Path | None = None,
        first_step: int = 0,
        mixed: bool = False,
        shard: Callable[[GPT, Any], None] | None = None,
    ) -> None:
        """`start` is the checkpoint that the run goes on from, with `first_step` steps behind it."""
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.progress = Progress(first_step)
        self.optimizer_list: list[torch.optim.Optimizer] = []
        self._settings = optimizer
        self._rate = rate
        self._seed = seed
        self._around = around
        self._start = start
        self._mixed = mixed
        self._shard = shard

    def configure_model(self) -> None:
        if self._shard is not None:
            assert self.device_mesh is not None
            self._shard(self.model, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        self.optimizer_list = optimizers(self.model, self._settings, lr=self._rate(self.progress.step))
        return self.optimizer_list

    def on_train_start(self) -> None:
        if self._start is not None:
            train_state.restore(self._start, self.model, self.optimizer_list)
        self._parameter_list = list(self.model.parameters())
        for one in self._around:
            one.begin(self.trainer, self)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Nothing yet: a step's batch is made when the step comes."""
        return batch

    def training_step(self, stretch: Iterable[list[MicroBatch]], index: int) -> None:
        """The optimizer steps of a stretch, over this rank's micro-batches."""
        for batch in stretch:
            for one in self._around:
                one.before_step()
            self.progress.loss = self._backward(self._on_device(batch)).item()
            self._optimizer_step()
            for one in self._around:
                one.after_step(self.trainer, self, self.progress.step)

    def _on_device(self, batch: list[MicroBatch]) -> list[MicroBatch]:
        device = self.device
        if device.type == "cpu":
            return batch
        # Pinned and not waited for: the copies of later micro-batches run beside the first one's passes.
        return [tuple(one.pin_memory().to(device, non_blocking=True) for one in micro) for micro in batch]

    def _backward(self, batch: list[MicroBatch]) -> Tensor:
        """Accumulates the gradient; the mean loss over the micro-batches."""
        count, total = len(batch), None
        for micro, (inputs, targets) in enumerate(batch, start=1):
            if self.model.config.dropout:
                # Dropout's noise is a function of (seed, micro-batch, rank): a resumed run draws what it would have.
                number = self.progress.step * count + micro - 1
                torch.manual_seed((self._seed * 1_000_003 + number) * 4099 + self.global_rank)
            with self._summing(micro == count):
                with self._forward_precision():
                    loss = self.model.loss(inputs, targets)
                share = loss if count == 1 else loss / count
                self._pass_back(share)
            share = share.detach()
            total = share if total is None else total + share
        assert total is not None
        return total

    def _forward_precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self._mixed else nullcontext()

    def _pass_back(self, loss: Tensor) -> None:
        # Lightning's own way prepares DDP's buckets; without DDP its hooks would only cost time.
        if self._shard is None and self.trainer.world_size > 1:
            self.manual_backward(loss)
        else:
            loss.backward()

    def _summing(self, last: bool) -> AbstractContextManager[Any]:
        """Gradients are summed over ranks once a step, in the last micro-batch's backward pass."""
        if self._shard is not None:
            from zeroscale.training.distributed import sum_gradients_now

            sum_gradients_now(self.model, last)
        elif not last and self.trainer.world_size > 1:
            return self.trainer.strategy.block_backward_sync()
        return nullcontext()

    def _optimizer_step(self) -> None:
        done, limit = self.progress, self._settings.grad_clip
        norm = torch.nn.utils.get_total_norm([p.grad for p in self._parameter_list if p.grad is not None])
        if self._shard is not None:
            norm = norm.full_tensor()
        done.grad_norm = norm.item()
        guards.check_finite(done.step + 1, done.loss, done.grad_norm)
        # Below the limit clipping multiplies by one: left out, a pass over all gradients saved.
        if limit is not None and done.grad_norm + 1e-6 > limit:
            torch.nn.utils.clip_grads_with_norm_(self._parameter_list, limit, norm)
        done.lr = self._rate(done.step)
        for optimizer in self.optimizer_list:
            for group in optimizer.param_groups:
                group["lr"] = done.lr
            optimizer.step()
            optimizer.zero_grad()
        done.step += 1

    def mean_loss(self) -> float:
        """The last step's loss over all ranks."""
        if self.trainer.world_size == 1:
            return self.progress.loss
        loss = torch.tensor(self.progress.loss, device=self.device, dtype=torch.float32)
        return self.trainer.strategy.reduce(loss, reduce_op="mean").item()
