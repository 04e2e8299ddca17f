"""A training state as tensors by name: copied to the host in one go, written in the background, put back to the bit.

Everything that decides how a run goes on is here: weights and the optimizers' moments. The data, the learning rate and
dropout's noise are functions of the step (`data.stream`, `lr_schedule`, `module`), so nothing else has to be kept.
Sharded tensors are gathered on the way out and cut on the way in: a checkpoint does not know how many devices wrote it.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_file, write_directory, write_json
from zeroscale.core.parsing import json_text
from zeroscale.model.tensor_files import open_file, write_safetensors
from zeroscale.runs import checkpoint, layout

NamedTensors = dict[str, Tensor]
Meta = dict[str, object]
"""What meta.json holds: settings, step, tokens, validation loss, fingerprints."""


class StateSnapshot:
    """Copies the state of one model and its optimizers into buffers that are used again.

    A copy is overwritten by the next: it must have been written to disk before.
    """

    def __init__(self, model: nn.Module, optimizers: Sequence[Optimizer], keep: bool) -> None:
        """`keep` is False on ranks that take part in gathering the shards and write nothing."""
        self._model = model
        self._optimizers = optimizers
        self._keep = keep
        self._buffers: NamedTensors = {}

    def capture(self) -> tuple[NamedTensors, NamedTensors]:
        """(weights, optimizer state) on the host. All ranks of a sharded model must call this together."""
        weights = {name: self._copy(f"w/{name}", tensor) for name, tensor in _weights(self._model).items()}
        state = {
            name: self._copy(f"o/{name}", tensor)
            for name, tensor in _optimizer_state(self._model, self._optimizers).items()
        }
        return weights, state

    def _copy(self, name: str, tensor: Tensor) -> Tensor:
        whole = _gather(tensor.detach())
        if not self._keep:
            return whole[:0] if whole.dim() else whole
        buffer = self._buffers.get(name)
        if buffer is None:
            self._buffers[name] = buffer = torch.empty(whole.shape, dtype=whole.dtype)
        return buffer.copy_(whole)


def write(path: Path, weights: NamedTensors, state: NamedTensors, meta: Meta) -> None:
    """Writes a checkpoint, whole or not at all."""

    def fill(directory: Path) -> None:
        write_safetensors(directory / layout.WEIGHTS, weights.items())
        write_safetensors(directory / layout.OPTIMIZER, state.items())
        hashes = {name: sha256_file(directory / name) for name in (layout.WEIGHTS, layout.OPTIMIZER)}
        write_json(directory / layout.META, {"format": checkpoint.FORMAT, **json_text.finite(meta), "sha256": hashes})

    write_directory(path, fill)


@torch.no_grad()
def restore(path: Path, model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
    """Puts a checkpoint back: weights and moments, each onto its parameter's device and shard.

    Raises:
        ZeroscaleError: it belongs to another model or another optimizer.
    """
    stored, weights = open_file(path / layout.WEIGHTS), _weights(model)
    _check_shapes({name: tensor.shape for name, tensor in stored.items()}, weights, path / layout.WEIGHTS)
    for name, tensor in weights.items():
        tensor.copy_(_shard_like(stored[name].load(), tensor))
    moments = open_file(path / layout.OPTIMIZER)
    owners = {
        name: (optimizer, parameter)
        for optimizer in optimizers
        for name, parameter in _parameters_of(model, optimizer).items()
    }
    unknown = sorted({name.partition("/")[2] for name in moments} ^ set(owners))
    if moments and unknown:
        raise ZeroscaleError(f"{path / layout.OPTIMIZER} belongs to another model or optimizer: {unknown[0]}")
    for name, moment in moments.items():
        key, _, parameter_name = name.partition("/")
        optimizer, parameter = owners[parameter_name]
        loaded = moment.load()
        # A count of steps is one number, wherever the parameter's shards are; fused kernels want it on the device.
        placed = loaded.to(parameter.device, copy=True) if key == "step" else _shard_like(loaded, parameter).clone()
        optimizer.state[parameter][key] = placed


def _weights(model: nn.Module) -> NamedTensors:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def _parameters_of(model: nn.Module, optimizer: Optimizer) -> dict[str, nn.Parameter]:
    """The optimizer's parameters by the model's names."""
    ids = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    named = {name: parameter for name, parameter in model.named_parameters() if id(parameter) in ids}
    assert len(named) == len(ids), "the model's parameters are not those that the optimizer was given"
    return named


def _optimizer_state(model: nn.Module, optimizers: Sequence[Optimizer]) -> NamedTensors:
    """ "exp_avg/blocks.0.mlp.up.weight" → that tensor."""
    return {
        f"{key}/{name}": value
        for optimizer in optimizers
        for name, parameter in _parameters_of(model, optimizer).items()
        # Sorted: the optimizer's own order is another after a restore, and equal states should be equal files.
        for key, value in sorted(optimizer.state.get(parameter, {}).items())
    }


def _gather(tensor: Tensor) -> Tensor:
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _shard_like(whole: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor on the parameter's device, cut as the parameter is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    whole = whole.to(parameter.device)
    if not isinstance(parameter, DTensor):
        return whole
    # Every rank has read the file: each cuts its own shard, nothing is sent.
    return distribute_tensor(whole, parameter.device_mesh, parameter.placements, src_data_rank=None)


def _check_shapes(stored: dict[str, tuple[int, ...]], weights: NamedTensors, path: Path) -> None:
    for name in sorted(stored.keys() | weights.keys()):
        stored_shape = list(stored[name]) if name in stored else "missing"
        expected = list(weights[name].shape) if name in weights else "not part of the model"
        if stored_shape != expected:
            raise ZeroscaleError(
                f"{path} holds another model's weights: {name} is {stored_shape} there, {expected} here"
            )
