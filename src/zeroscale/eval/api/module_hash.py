"""What a module in memory is known by: its weights, its settings and its own code."""

import dataclasses
import inspect
import json
from collections.abc import Iterator
from hashlib import sha256
from types import CodeType, FunctionType

import torch
from torch import nn

# What every module has of torch, and what changes nothing or only how it was loaded.
_TORCHS = frozenset({*vars(nn.Module()), "training", "_is_hf_initialized", "name_or_path"})
_LIBRARIES = ("torch", "transformers", "zeroscale", "builtins")


def module_hash(module: nn.Module) -> str:
    """Hex sha256 over a module's tensors (names, types, shapes, bytes), the settings that its parts hold as attributes
    (numbers, texts, dtypes, functions, a `config`), and the code of classes that are no library's: with other
    heads, or another `forward`, the same weights are another model.

    What a module reaches beyond itself (a global, a function that it calls) is not seen.
    """
    digest = sha256()
    tensors = {**module.state_dict(), **dict(module.named_buffers())}
    for name, tensor in sorted(tensors.items()):
        if not isinstance(tensor, torch.Tensor):
            continue  # an extra state of a module's own
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    for name, part in module.named_modules():
        digest.update(f"{name} {type(part).__module__}.{type(part).__qualname__}\n".encode())
        for key, value in sorted(vars(part).items()):
            if key not in _TORCHS and (text := _setting(value)) is not None:
                digest.update(f"{key} = {text}\n".encode("utf-8", "backslashreplace"))
    for line in _own_code(module):
        digest.update(f"{line}\n".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _setting(value: object) -> str | None:
    """An attribute as text that is the same in every process; None for what is no setting."""
    if value is None or isinstance(value, bool | int | float | str | torch.dtype):
        return repr(value)
    if isinstance(value, list | tuple):
        parts = [_setting(item) for item in value]
        return None if None in parts else f"[{', '.join(map(str, parts))}]"
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__} {_code(value.__code__)}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return repr(value)
    if hasattr(value, "to_dict") and not isinstance(value, type):  # a config of transformers
        content = value.to_dict()
        kept = {str(key): item for key, item in content.items() if str(key)[:1] != "_" and key not in _TORCHS}
        kept.pop("transformers_version", None)
        return json.dumps(kept, sort_keys=True, default=str)
    return None


def _own_code(module: nn.Module) -> Iterator[str]:
    """A line for each method of the classes that are no library's."""
    classes = {cls for part in module.modules() for cls in type(part).__mro__}
    own = [cls for cls in classes if cls.__module__.partition(".")[0] not in _LIBRARIES]
    for cls in sorted(own, key=lambda cls: (cls.__module__, cls.__qualname__)):
        for name, member in sorted(vars(cls).items()):
            function = inspect.unwrap(member) if callable(member) else member
            if isinstance(function, FunctionType):
                yield f"{cls.__qualname__}.{name} {_code(function.__code__)}"


def _code(code: CodeType) -> str:
    """sha256 of what a function does: not where it stands."""
    parts = [code.co_code.hex(), *code.co_names, *map(_constant, code.co_consts)]
    return sha256("\n".join(parts).encode("utf-8", "backslashreplace")).hexdigest()


def _constant(value: object) -> str:
    if isinstance(value, CodeType):
        return _code(value)
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
