"""Weights in and out: directories in Hugging Face's GPT-2 format, and the model.safetensors of our own checkpoints."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from zeroscale.core import files
from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT
from zeroscale.model.hf_format import BUFFER, HEAD, config_from_json, config_to_json, tensor_names
from zeroscale.model.tensor_files import StoredTensor, open_directory, open_file, write_safetensors


def read_config(directory: str | Path) -> GPTConfig:
    """The shape of the model in a Hugging Face directory, from its config.json alone."""
    path = Path(directory) / "config.json"
    if not path.is_file():
        raise ZeroscaleError(f"{directory} is no model directory: it has no config.json")
    content = files.read_json(path)
    if not isinstance(content, dict):
        raise ZeroscaleError(f"{path} must hold a JSON object")
    return config_from_json(content, str(path))


def from_pretrained(
    directory: str | Path, *, vocab_size: int | None = None, dtype: torch.dtype | None = torch.float32
) -> GPT:
    """Reads a local directory as `GPT2LMHeadModel.save_pretrained` writes it; the model comes in evaluation mode.

    Args:
        directory: with config.json and model.safetensors, or its shards, or pytorch_model.bin.
        vocab_size: ids the tokenizer has, where the model was padded beyond them; else config.json's.
        dtype: of the weights in memory; None: as stored.

    Raises:
        ZeroscaleError: an architecture that is not GPT-2's, or tensors missing, extra or of the wrong shape.
    """
    directory = Path(directory)
    config = read_config(directory)
    stored = _with_prefix(open_directory(directory))
    rows = stored["transformer.wte.weight"].shape[0] if "transformer.wte.weight" in stored else config.vocab_size
    vocab_size = vocab_size or config.vocab_size
    if vocab_size > rows:
        raise ZeroscaleError(f"{directory}: a vocabulary of {vocab_size}, but wte.weight has {rows} rows")
    config = replace(config, vocab_size=vocab_size, padded_vocab_size=rows if rows > vocab_size else None)
    if config.tied and HEAD in stored:
        _check_tied(stored, directory)
        del stored[HEAD]
    names = tensor_names(config)
    with torch.device("meta"):
        model = GPT(config)
    shapes = {hf.name: _stored_shape(model.get_parameter(name).shape, hf.transposed) for name, hf in names.items()}
    _check(stored, shapes, str(directory))
    for name, hf in names.items():
        tensor = stored[hf.name].load()
        tensor = tensor.t() if hf.transposed else tensor
        _assign(model, name, _contiguous_copy(tensor, dtype or tensor.dtype))
    return model.eval()


def save_pretrained(model: GPT, directory: str | Path, *, eos: int | None = None) -> None:
    """Writes config.json, generation_config.json and model.safetensors for `GPT2LMHeadModel.from_pretrained`.

    Rows that only pad the vocabulary stay behind. Other files in `directory` are left alone. `eos` is the id of the
    end-of-text token.
    """
    directory = Path(directory)
    config, state = model.config, state_tensors(model)
    tensors = []
    for name, hf in tensor_names(config).items():
        tensor = state[name]
        if name in ("wte.weight", "head.weight"):
            tensor = tensor[: config.vocab_size]
        tensors.append((hf.name, tensor.t() if hf.transposed else tensor))
    dtype = str(model.wte.weight.dtype).removeprefix("torch.")
    write_safetensors(directory / "model.safetensors", tensors)
    files.write_json(
        directory / "generation_config.json",
        {"_from_model_config": True, "bos_token_id": eos, "eos_token_id": eos, "pad_token_id": eos},
    )
    files.write_json(directory / "config.json", config_to_json(config, dtype, eos))


def state_tensors(model: GPT) -> dict[str, Tensor]:
    """Our names → the model's tensors themselves (no copies): what a checkpoint's model.safetensors holds.

    A tied head is not among them: it is wte.weight.
    """
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def save_state(model: GPT, path: str | Path) -> None:
    """Writes `state_tensors` to one safetensors file, whole or not at all."""
    write_safetensors(Path(path), state_tensors(model).items())


def load_state(model: GPT, path: str | Path) -> None:
    """Fills a model from a safetensors file in our names, in place, tensor by tensor.

    Raises:
        ZeroscaleError: tensors missing, extra or of the wrong shape; the model is then unchanged.
    """
    path = Path(path)
    stored = open_file(path)
    state = state_tensors(model)
    _check(stored, {name: tuple(tensor.shape) for name, tensor in state.items()}, str(path))
    for name, tensor in state.items():
        tensor.copy_(stored[name].load())


def _with_prefix(stored: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Names as GPT2LMHeadModel has them, from a file of the bare GPT2Model too (OpenAI's on the hub); no buffers."""
    return {
        name if name.startswith("transformer.") or name == HEAD or "." not in name else _prefixed(name): tensor
        for name, tensor in stored.items()
        if not BUFFER.fullmatch(name)
    }


def _prefixed(name: str) -> str:
    return f"transformer.{name}" if name.split(".")[0] in ("wte", "wpe", "h", "ln_f") else name


def _check_tied(stored: Mapping[str, StoredTensor], directory: Path) -> None:
    """A tied head that was stored as well must be the embedding: else one of the two would be silently lost."""
    embedding = stored.get("transformer.wte.weight")
    if embedding is not None and not torch.equal(stored[HEAD].load(), embedding.load()):
        raise ZeroscaleError(
            f"{directory}: {HEAD} differs from wte.weight, but config.json ties them;"
            ' set "tie_word_embeddings": false there if the head is one of its own'
        )


def _stored_shape(shape: torch.Size, transposed: bool) -> tuple[int, ...]:
    return tuple(reversed(shape)) if transposed else tuple(shape)


def _check(stored: Mapping[str, StoredTensor], expected: Mapping[str, tuple[int, ...]], where: str) -> None:
    """All faults in one message."""
    faults = []
    if missing := [name for name in expected if name not in stored]:
        faults.append("missing: " + _listed(missing))
    if extra := [name for name in stored if name not in expected]:
        faults.append("not part of the model: " + _listed(extra))
    wrong = [
        f"{name} is {list(stored[name].shape)}, expected {list(shape)}"
        for name, shape in expected.items()
        if name in stored and stored[name].shape != shape
    ]
    if wrong:
        faults.append("wrong shape: " + _listed(wrong))
    if faults:
        raise ZeroscaleError(f"{where} does not hold this model's weights; " + "; ".join(faults))


def _listed(items: list[str]) -> str:
    return ", ".join(items[:8]) + (f" and {len(items) - 8} more" if len(items) > 8 else "")


def _contiguous_copy(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A contiguous tensor in memory of its own, not in a mapped file."""
    return torch.empty(tensor.shape, dtype=dtype).copy_(tensor)


def _assign(model: GPT, name: str, tensor: Tensor) -> None:
    module, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(module), leaf, torch.nn.Parameter(tensor))
