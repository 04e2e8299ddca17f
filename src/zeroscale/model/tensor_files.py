"""Files of named tensors, read and written one tensor at a time, so that memory never holds a second copy of them."""

import json
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from zeroscale.core import files
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.hub import model_files

_SAFETENSORS_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file: its shape is known, its numbers are read by `load`."""

    shape: tuple[int, ...]
    load: Callable[[], Tensor]
    fault: str = ""
    """Why it holds no plain floating-point numbers that can be computed with; "" where it does."""


def contiguous_copy(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A contiguous tensor in memory of its own, not in a mapped file."""
    return torch.empty(tensor.shape, dtype=dtype).copy_(tensor)


def listed(names: Sequence[str]) -> str:
    """The first names for a message, and how many more there are."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def open_directory(directory: Path) -> dict[str, StoredTensor]:
    """Name → tensor of a directory in Hugging Face's layout, whole or in shards, safetensors before pickles. Of shards
    the index decides which one gives a tensor: what else they hold is left over from something else.

    Raises:
        ZeroscaleError: no such file, a shard is missing or broken, or a pickle holds more than tensors.
    """
    weights = model_files.weight_files(directory)
    if not weights:
        raise ZeroscaleError(f"{directory} holds no weights: expected one of {', '.join(model_files.WEIGHTS)}")
    if not model_files.is_index(weights[0]):
        return open_file(directory / weights[0])
    index, *shards = weights
    opened = {shard: open_file(directory / shard) for shard in shards}
    shard_of = model_files.weight_map(directory / index)
    if absent := [name for name, shard in shard_of.items() if name not in opened[shard]]:
        first = f"{absent[0]} is not in {shard_of[absent[0]]}"
        raise ZeroscaleError(f"{directory / index} gives tensors to shards that do not hold them: {first}")
    return {name: opened[shard][name] for name, shard in shard_of.items()}


def open_file(path: Path) -> dict[str, StoredTensor]:
    """Name → tensor of one .safetensors or .bin file."""
    if not path.is_file():
        raise ZeroscaleError(f"{path} does not exist")
    return _open_safetensors(path) if path.suffix == ".safetensors" else _open_pickle(path)


def _open_safetensors(path: Path) -> dict[str, StoredTensor]:
    from safetensors import SafetensorError, safe_open

    def load(name: str) -> Tensor:
        # Opened anew for each: the file is mapped into memory, and what one mapping has touched counts as ours
        # until the mapping goes.
        with safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor

    def describe(name: str, shape: list[int], dtype: str) -> StoredTensor:
        fault = "" if dtype in _SAFETENSORS_NAMES.values() else f"of type {dtype}"
        return StoredTensor(tuple(shape), partial(load, name), fault)

    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 — not a dict
            return {name: describe(name, part.get_shape(), part.get_dtype()) for name, part in slices.items()}
    except (SafetensorError, ValueError, OSError) as error:
        raise ZeroscaleError(f"{path} is no whole safetensors file: {error}") from error


# What torch's unpickler raises on a damaged stream, beside its own error.
_DAMAGED = (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError)


def _open_pickle(path: Path) -> dict[str, StoredTensor]:
    import pickle
    import struct
    import zipfile

    try:
        # Files from before torch 1.6 are no zip archives and cannot be mapped.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, struct.error, OSError, MemoryError, *_DAMAGED) as error:
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise ZeroscaleError(
            f"{path} is no file of tensors alone, nothing else is read from a pickle: {reason}"
        ) from error
    tensors = content.items() if isinstance(content, dict) else ()
    if not isinstance(content, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in tensors):
        raise ZeroscaleError(f"{path} does not hold a dictionary of tensors")
    return {name: _describe(tensor, partial(content.__getitem__, name)) for name, tensor in content.items()}


def _describe(tensor: Tensor, load: Callable[[], Tensor]) -> StoredTensor:
    """A tensor of a pickle, which may be of any kind and may claim more numbers than the file holds."""
    if tensor.is_nested:
        return StoredTensor((), load, "nested")
    shape = tuple(tensor.shape)
    if tensor.layout != torch.strided:
        return StoredTensor(shape, load, f"sparse ({str(tensor.layout).removeprefix('torch.')})")
    if tensor.is_quantized or tensor.dtype not in _SAFETENSORS_NAMES:
        return StoredTensor(shape, load, f"of type {str(tensor.dtype).removeprefix('torch.')}")
    if tensor.is_meta:
        return StoredTensor(shape, load, "without numbers (on torch's meta device)")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return StoredTensor(shape, load, "larger than what the file holds of it")
    return StoredTensor(shape, load)


def write_safetensors(path: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Writes tensors, views included, as one whole file or none (format: 8 bytes of header length, a JSON header,
    the numbers; huggingface/safetensors README, "Format").

    The library's own writer wants every tensor contiguous at once: a second copy of each transposed weight.
    """
    listed = list(tensors)
    header: dict[str, dict[str, object]] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in listed:
        end = offset + tensor.numel() * tensor.element_size()
        dtype = _SAFETENSORS_NAMES[tensor.dtype]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)

    def fill(handle: BinaryIO) -> None:
        handle.write(struct.pack("<Q", len(text)) + text)
        for _, tensor in listed:
            handle.write(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)

    files.write_file(path, fill)
