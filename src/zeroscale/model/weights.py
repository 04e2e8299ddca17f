"""Weights in and out: directories in Hugging Face's GPT-2 format, and the model.safetensors of our own checkpoints."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from zeroscale.core import files
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.hub.model_files import CONFIG
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT
from zeroscale.model.hf_config import config_from_json, read_config_json
from zeroscale.model.hf_format import BUFFER, EMBEDDING, HEAD, config_to_json, layers_of, plain_name, tensor_names
from zeroscale.model.tensor_files import (
    StoredTensor,
    contiguous_copy,
    listed,
    open_directory,
    open_file,
    write_safetensors,
)


def read_config(directory: str | Path) -> GPTConfig:
    """The shape of the model in a Hugging Face directory, from its config.json alone."""
    directory = Path(directory)
    return config_from_json(read_config_json(directory), str(directory / CONFIG))


def from_pretrained(
    directory: str | Path, *, vocab_size: int | None = None, dtype: torch.dtype | None = torch.float32
) -> GPT:
    """Reads a local directory as `GPT2LMHeadModel.save_pretrained` writes it; the model comes in evaluation mode.

    Args:
        directory: with config.json and model.safetensors, or its shards, or pytorch_model.bin.
        vocab_size: ids the tokenizer has, where the model was padded beyond them; else config.json's.
        dtype: of the weights in memory; None: as stored.

    Raises:
        ZeroscaleError: an architecture that is not GPT-2's, or tensors missing, extra, of the wrong shape or no plain
            floating-point numbers. It comes before memory is taken for them.
    """
    directory = Path(directory)
    config = read_config(directory)
    stored = _plain(open_directory(directory), directory)
    _settle_head(stored, config.tied, directory)
    rows = stored[EMBEDDING].shape[0] if EMBEDDING in stored and stored[EMBEDDING].shape else config.vocab_size
    vocab_size = vocab_size or config.vocab_size
    if vocab_size > rows:
        raise ZeroscaleError(f"{directory}: a vocabulary of {vocab_size}, but wte.weight has {rows} rows")
    config = replace(config, vocab_size=vocab_size, padded_vocab_size=rows if rows > vocab_size else None)
    _check_layers(stored, config.n_layer, directory)
    names = tensor_names(config)
    _check(stored, {hf.name: hf.shape for hf in names.values()}, str(directory))
    with torch.device("meta"):
        model = GPT(config)
    for name, hf in names.items():
        tensor = stored[hf.name].load()
        tensor = tensor.t() if hf.transposed else tensor
        _assign(model, name, contiguous_copy(tensor, dtype or tensor.dtype))
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


def _plain(stored: Mapping[str, StoredTensor], directory: Path) -> dict[str, StoredTensor]:
    """The tensors under GPT2LMHeadModel's names; no buffers."""
    found: dict[str, StoredTensor] = {}
    given: dict[str, str] = {}
    for name, tensor in stored.items():
        plain = plain_name(name)
        if BUFFER.fullmatch(plain):
            continue
        if plain in found and not _same(found[plain], tensor):
            raise ZeroscaleError(f"{directory}: {given[plain]} and {name} are one tensor by name, and differ")
        found[plain], given[plain] = tensor, name
    return found


def _settle_head(stored: dict[str, StoredTensor], tied: bool, directory: Path) -> None:
    """Of a tied pair the embedding alone is kept, whichever of the two was stored. A head that was stored as well must
    be the embedding: else one of the two would be silently lost."""
    if not tied or HEAD not in stored:
        return
    head = stored.pop(HEAD)
    if not _same(stored.setdefault(EMBEDDING, head), head):
        raise ZeroscaleError(
            f"{directory}: {HEAD} differs from wte.weight, but config.json ties them;"
            ' set "tie_word_embeddings": false there if the head is one of its own'
        )


def _same(one: StoredTensor, other: StoredTensor) -> bool:
    if one is other:
        return True
    whole = not one.fault and not other.fault and one.shape == other.shape
    return whole and torch.equal(one.load(), other.load())


def _check_layers(stored: Mapping[str, StoredTensor], n_layer: int, directory: Path) -> None:
    """Before anything is done for each layer: a config.json may claim a thousand million of them."""
    layers = layers_of(stored)
    if len(layers) != n_layer and layers:
        raise ZeroscaleError(
            f"{directory}: config.json says n_layer = {n_layer:,}, but the weights hold {len(layers):,} layers"
            f" (h.{min(layers)} to h.{max(layers)})"
        )
    if not layers:
        shown = listed(sorted(stored))
        raise ZeroscaleError(f"{directory} does not hold this model's weights; it has no layer h.0 …, but {shown}")


def _check(stored: Mapping[str, StoredTensor], expected: Mapping[str, tuple[int, ...]], where: str) -> None:
    """All faults in one message."""
    faults = []
    if missing := [name for name in expected if name not in stored]:
        faults.append("missing: " + listed(missing))
    if extra := [name for name in stored if name not in expected]:
        faults.append("not part of the model: " + listed(extra))
    wrong = [
        f"{name} is {list(stored[name].shape)}, expected {list(shape)}"
        for name, shape in expected.items()
        if name in stored and stored[name].shape != shape
    ]
    if wrong:
        faults.append("wrong shape: " + listed(wrong))
    if odd := [f"{name} is {stored[name].fault}" for name in expected if name in stored and stored[name].fault]:
        faults.append("no plain floating-point numbers: " + listed(odd))
    if faults:
        raise ZeroscaleError(f"{where} does not hold this model's weights; " + "; ".join(faults))


def _assign(model: GPT, name: str, tensor: Tensor) -> None:
    module, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(module), leaf, torch.nn.Parameter(tensor))
