"""Files of named tensors, read and written one tensor at a time, so that memory never holds a second copy of them."""

import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from zeroscale.core import files
from zeroscale.core.errors import ZeroscaleError

# In the order in which they are looked for: pickles last, and then only what `weights_only=True` lets through.
WHOLE = ("model.safetensors", "pytorch_model.bin")
SHARDED = ("model.safetensors.index.json", "pytorch_model.bin.index.json")

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


def open_directory(directory: Path) -> dict[str, StoredTensor]:
    """Name → tensor of a directory in Hugging Face's layout, whole or in shards, safetensors before pickles.

    Raises:
        ZeroscaleError: no such file, a shard is missing or broken, or a pickle holds more than tensors.
    """
    for whole, sharded in zip(WHOLE, SHARDED, strict=True):
        if (directory / whole).is_file():
            return open_file(directory / whole)
        if (directory / sharded).is_file():
            return _open_shards(directory / sharded)
    raise ZeroscaleError(f"{directory} holds no weights: expected one of {', '.join(WHOLE + SHARDED)}")


def _open_shards(index: Path) -> dict[str, StoredTensor]:
    content = files.read_json(index)
    shards = sorted(set((content if isinstance(content, dict) else {}).get("weight_map", {}).values()))
    outside = [shard for shard in shards if Path(shard).name != shard]
    if not shards or outside:
        raise ZeroscaleError(f"{index}: weight_map must name the files beside it" + f"; not {outside}" * bool(outside))
    absent = [shard for shard in shards if not (index.parent / shard).is_file()]
    if absent:
        raise ZeroscaleError(f"{index} names files that are not there: {', '.join(absent)}")
    tensors: dict[str, StoredTensor] = {}
    for shard in shards:
        tensors.update(open_file(index.parent / shard))
    return tensors


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

    try:
        with safe_open(path, framework="pt") as file:
            return {
                name: StoredTensor(tuple(file.get_slice(name).get_shape()), partial(load, name))
                for name in file.keys()  # noqa: SIM118 — not a dict
            }
    except SafetensorError as error:
        raise ZeroscaleError(f"{path} is no whole safetensors file: {error}") from error


def _open_pickle(path: Path) -> dict[str, StoredTensor]:
    import pickle
    import zipfile

    try:
        # Files from before torch 1.6 are no zip archives and cannot be mapped.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ZeroscaleError(
            f"{path} is no file of tensors alone, nothing else is read from a pickle: {reason}"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise ZeroscaleError(f"{path} does not hold a dictionary of tensors")
    return {
        name: StoredTensor(tuple(tensor.shape), partial(content.__getitem__, name)) for name, tensor in content.items()
    }


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
