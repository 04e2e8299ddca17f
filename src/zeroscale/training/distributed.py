"""One device, DDP or FSDP, and what is done to the model for them: sharding, activation checkpointing, compiling."""

from functools import partial
from typing import cast

import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.utils.checkpoint import checkpoint

from zeroscale.config.trainer import TrainerConfig
from zeroscale.core.machine import read_number
from zeroscale.model.gpt import GPT


def strategy(config: TrainerConfig) -> Strategy | str:
    """Lightning's strategy; it saves and loads nothing (`train_state` does)."""
    if config.devices == 1:
        return "auto"
    if config.strategy == "fsdp":
        return ModelParallelStrategy(
            data_parallel_size=config.devices, tensor_parallel_size=1, save_distributed_checkpoint=False
        )
    # Gradients live in the buckets that are summed: one copy less of the model's size.
    return DDPStrategy(gradient_as_bucket_view=True)


def environment(config: TrainerConfig) -> ClusterEnvironment:
    """Where the ranks come from: torchrun; a single-rank run inside a SLURM job must not be taken for one of many."""
    return TorchElasticEnvironment() if config.devices > 1 else LightningEnvironment()


def machines(config: TrainerConfig) -> tuple[int, int]:
    """(machines, devices on each), as torchrun has shared out the ranks."""
    local = read_number("LOCAL_WORLD_SIZE", config.devices) if config.devices > 1 else 1
    return config.devices // local, local


def checkpoint_activations(gpt: GPT) -> None:
    """Keeps each block's input alone and computes the block again in the backward pass."""
    for block in gpt.blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def shard(gpt: GPT, mesh: DeviceMesh) -> None:
    """FSDP2: each block a group, embeddings, head and the last norm another. Parameters stay fp32 where they were."""
    for block in gpt.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(gpt, mesh=mesh)
    register_fsdp_forward_method(gpt, "loss")
    unsharded_loss = gpt.loss

    def loss(tokens: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        # Validation measures in inference mode, whose tensors FSDP's buffers must never be: training uses them next.
        gradients = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.set_grad_enabled(gradients):
            value = unsharded_loss(tokens, targets, reduction)
        if not gradients:
            # Without a backward pass the embeddings would stay gathered, and a snapshot would not find their shards.
            cast(FSDPModule, gpt).reshard()
        return value

    gpt.loss = loss  # type: ignore[method-assign]


def sum_gradients_now(gpt: GPT, now: bool) -> None:
    """FSDP: whether the next backward pass sums gradients over ranks, or leaves that to a later micro-batch's."""
    if isinstance(gpt, FSDPModule):
        gpt.set_requires_gradient_sync(now)


def compile_model(gpt: GPT, mode: str, by_block: bool) -> None:
    """torch.compile over all below the head, which has its own chunks; or block by block, between FSDP's hooks."""
    torch_mode = None if mode == "default" else mode
    if by_block:
        for block in gpt.blocks:
            block.forward = torch.compile(block.forward, mode=torch_mode)
    else:
        gpt.hidden = torch.compile(gpt.hidden, mode=torch_mode)  # type: ignore[method-assign]
