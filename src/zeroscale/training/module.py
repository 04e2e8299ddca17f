"""The LightningModule: what Lightning needs to place a model on devices, and what the training loop calls on it.

Lightning's Trainer moves the model to its device, wraps it for DDP or FSDP and iterates over the loader. The loop
itself is ours (`train.TrainingLoop`): Lightning's own logs, clips and saves by other rules, and costs more per step.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from zeroscale.config.optimizer import OptimizerConfig
from zeroscale.data.loader import MicroBatch
from zeroscale.model.gpt import GPT
from zeroscale.training.optimizer import optimizers

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


class Loop(Protocol):
    """What the module hands Lightning's calls to."""

    def begin(self, module: "LanguageModel") -> None:
        """The model is on its devices, the optimizers exist, no step has been done."""

    def run(self, module: "LanguageModel", batches: Iterable[list[MicroBatch]]) -> None:
        """One optimizer step for each batch, which is a list of this rank's micro-batches."""


class LanguageModel(pl.LightningModule):
    """A decoder in training with its optimizers.

    The loss of a step is the mean over all tokens of the global batch: ranks and micro-batches hold equally many, so
    the mean of their means is that mean, however the batch is cut.
    """

    def __init__(
        self,
        model: GPT,
        optimizer: OptimizerConfig,
        lr_at: Callable[[int], float],
        loop: Loop,
        *,
        seed: int,
        first_step: int = 0,
        mixed: bool = False,
        shard: Callable[[GPT, DeviceMesh], None] | None = None,
    ) -> None:
        """
        Args:
            lr_at: the learning rate of an optimizer step, counted from 0.
            seed: of dropout's noise.
            first_step: steps that were done before.
            mixed: forward passes in bf16 autocast.
            shard: cuts the model for FSDP.
        """
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.step = first_step
        """Optimizer steps done."""
        self.optimizer_list: list[torch.optim.Optimizer] = []
        self._optimizer_config = optimizer
        self._lr_at = lr_at
        self._loop = loop
        self._seed = seed
        self._mixed = mixed
        self._shard = shard

    # Lightning calls these, in this order.

    def configure_model(self) -> None:
        if self._shard is not None:
            assert self.device_mesh is not None
            self._shard(self.model, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        self.optimizer_list = optimizers(self.model, self._optimizer_config, lr=self._lr_at(self.step))
        return self.optimizer_list

    def on_train_start(self) -> None:
        self._parameter_list = list(self.model.parameters())
        self._loop.begin(self)

    def transfer_batch_to_device(
        self, batch: Iterable[list[MicroBatch]], device: torch.device, dataloader_idx: int
    ) -> Iterable[list[MicroBatch]]:
        """Moves nothing: an item of the loader is many steps, each made when its turn comes (`to_device`)."""
        return batch

    def training_step(self, batches: Iterable[list[MicroBatch]], batch_idx: int) -> None:
        """Several optimizer steps: Lightning's own loop costs 0.2 ms per item (`data.loader.STEPS_PER_ITEM`)."""
        self._loop.run(self, batches)

    # The training loop calls these, in this order.

    def to_device(self, micro_batches: list[MicroBatch]) -> list[MicroBatch]:
        device = self.device
        if device.type == "cpu":
            return micro_batches
        # Pinned and not waited for: the copies of later micro-batches run beside the first one's passes.
        return [
            (inputs.pin_memory().to(device, non_blocking=True), targets.pin_memory().to(device, non_blocking=True))
            for inputs, targets in micro_batches
        ]

    def loss(self, micro_batch: MicroBatch, index: int, count: int) -> Tensor:
        """The mean cross-entropy (nats) of micro-batch `index` of `count`, divided by `count`: they add up to the mean
        over this rank's tokens of the step."""
        if self.model.config.dropout:
            # Dropout's noise is a function of (seed, micro-batch, rank): a resumed run draws what it would have.
            number = self.step * count + index
            torch.manual_seed((self._seed * 1_000_003 + number) * 4099 + self.global_rank)
        autocast: AbstractContextManager[object] = nullcontext()
        if self._mixed:
            autocast = torch.autocast(self.device.type, torch.bfloat16)
        with autocast:
            loss = self.model.loss(*micro_batch)
        return loss / count

    def accumulate_gradients(self, loss: Tensor, last: bool) -> None:
        """The backward pass; gradients are summed over ranks once a step, in its last micro-batch's."""
        if self._shard is not None:
            from zeroscale.training.distributed import sum_gradients_now

            sum_gradients_now(self.model, last)
            loss.backward()
        elif self.trainer.world_size > 1:
            # Lightning's own way prepares DDP's buckets; without DDP its hooks would only cost time.
            with nullcontext() if last else cast(DDPStrategy, self.trainer.strategy).block_backward_sync():
                self.manual_backward(loss)
        else:
            loss.backward()

    def clip_gradients_by_norm(self) -> float:
        """Scales the gradient to a norm of at most `grad_clip`; the norm of the whole gradient before."""
        limit = self._optimizer_config.grad_clip
        norm = torch.nn.utils.get_total_norm([p.grad for p in self._parameter_list if p.grad is not None])
        if self._shard is not None:
            norm = cast("DTensor", norm).full_tensor()
        grad_norm = norm.item()
        # Below the limit clipping multiplies by one: left out, a pass over all gradients saved.
        if limit is not None and grad_norm + 1e-6 > limit:
            torch.nn.utils.clip_grads_with_norm_(self._parameter_list, limit, norm)
        return grad_norm

    def update_weights(self) -> float:
        """The step of all optimizers; the learning rate that they took."""
        lr = self._lr_at(self.step)
        for optimizer in self.optimizer_list:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        return lr

    def mean_over_ranks(self, value: float) -> float:
        """The mean of a number that each rank has; all ranks must call this together."""
        if self.trainer.world_size == 1:
            return value
        return self.trainer.strategy.reduce(
            torch.tensor(value, device=self.device, dtype=torch.float32), reduce_op="mean"
        ).item()
