"""Models for scoring in a notebook: loaded by name, or the user's own with their tokenizer."""

import copy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from zeroscale.core import machine
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.paths import expand_home, local_path
from zeroscale.data.hf_tokenizer import TransformersTokenizer
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import load as loading
from zeroscale.eval.api.plain_module import PlainModule
from zeroscale.eval.hf_adapter import TransformersModel
from zeroscale.model.gpt import GPT
from zeroscale.runs.resolve import resolve_checkpoint

ScorableModel = GPT | TransformersModel | PlainModule
ScorableTokenizer = Tokenizer | TransformersTokenizer


class LoadedModel(NamedTuple):
    """A model in evaluation mode and its tokenizer: `model, tokenizer = zs.load(name)`."""

    model: ScorableModel
    tokenizer: ScorableTokenizer


def load(
    name: str | Path, *, revision: str | None = None, device: str = "auto", output_dir: str | Path = "outputs"
) -> LoadedModel:
    """Loads a model and its tokenizer by name.

    Args:
        name: a run's directory (its last checkpoint), one of its checkpoints, a directory in Hugging Face format, or a
            name on the hub (OWNER/NAME, downloaded).
        revision: a branch, tag or commit of the name on the hub.
        device: auto (a GPU where there is one), cpu or cuda.
        output_dir: the directory that holds the studies.

    Returns:
        (model, tokenizer). The model maps token ids [B, T] to logits [B, T, V], weights in fp32, in evaluation mode;
        `tokenizer.encode(text)` gives ids, `tokenizer.decode(ids)` text. GPT-2's architecture is zeroscale's own `GPT`;
        any other is a transformers model behind the same methods.

    Raises:
        ZeroscaleError: there is nothing of that name, weights or tokenizer are missing or damaged, or the two do not
            belong together.
    """
    model, tokenizer = loading.load(resolve_checkpoint(expand_home(str(name)), local_path(output_dir), revision))
    return LoadedModel(model.to(machine.resolve_accelerator(device)), tokenizer)


def from_pretrained(directory: str | Path, *, dtype: torch.dtype | None = torch.float32) -> GPT:
    """Reads a GPT-2 model from a local directory in Hugging Face format, without its tokenizer.

    Args:
        directory: with config.json and model.safetensors (or its shards, or pytorch_model.bin).
        dtype: of the weights in memory; None: as stored.

    Returns:
        The model in evaluation mode: ids [B, T] → logits [B, T, V].

    Raises:
        ZeroscaleError: the architecture is not GPT-2's, or tensors are missing, extra or of the wrong shape.
    """
    from zeroscale.model import weights

    return weights.from_pretrained(local_path(directory), dtype=dtype)


def wrap_model(model: nn.Module, n_positions: int | None = None) -> ScorableModel:
    """A module behind the methods that the engine asks for; what has them already is returned as it is.

    Raises:
        ZeroscaleError: its context length is unknown, or it does not map ids [B, T] to logits [B, T, V].
    """
    if isinstance(model, GPT | TransformersModel | PlainModule):
        return model
    if hasattr(model, "get_output_embeddings") and hasattr(model, "base_model"):
        return TransformersModel(model.eval(), type(model).__name__).eval()
    return PlainModule(model, n_positions)


def wrap_tokenizer(tokenizer: object, rows: int | None = None) -> ScorableTokenizer:
    """A tokenizer of zeroscale's as it is; one of transformers' behind the same methods.

    Args:
        rows: of the model's vocabulary, if known.

    Raises:
        ZeroscaleError: it is neither, or has ids that the model does not know.
    """
    if isinstance(tokenizer, Tokenizer | TransformersTokenizer):
        if rows is not None and tokenizer.base_size > rows:
            raise ZeroscaleError(
                f"the tokenizer is not the model's: it has {tokenizer.base_size:,} tokens, and the model a vocabulary "
                f"of {rows:,}"
            )
        return tokenizer
    if hasattr(tokenizer, "added_tokens_decoder") and hasattr(tokenizer, "get_vocab"):
        # A text that holds a special token's name is text: the copy splits it, the user's own stays as it is.
        literal = copy.deepcopy(tokenizer)
        setattr(literal, "split_special_tokens", True)  # noqa: B010 (an attribute of transformers', unknown here)
        return wrap_tokenizer(TransformersTokenizer(literal, type(tokenizer).__name__, rows), rows)
    raise ZeroscaleError(
        f"tokenizer={type(tokenizer).__name__}: give a tokenizer of transformers, or zeroscale.data.tokenizer.Tokenizer"
    )
