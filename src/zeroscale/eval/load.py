"""A checkpoint's model and tokenizer, ours or in Hugging Face format, ready to be scored."""

from typing import TYPE_CHECKING, TypeAlias

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import checkpoint, layout, resolve
from zeroscale.runs.resolve import CheckpointRef

if TYPE_CHECKING:
    from torch import nn

    from zeroscale.data.hf_tokenizer import TransformersTokenizer
    from zeroscale.data.tokenizer import Tokenizer
    from zeroscale.eval.hf_adapter import TransformersModel
    from zeroscale.model.gpt import GPT
    from zeroscale.model.protocol import LanguageModel

Pair: TypeAlias = "tuple[GPT | TransformersModel, Tokenizer | TransformersTokenizer]"

# A model may have more rows in its vocabulary than its tokenizer has tokens (padding to a multiple of some power of
# two: 2.4 % at most in released models); where it has many more, the two are no pair.
PADDING = 0.1


def load(target: CheckpointRef) -> Pair:
    """The model in evaluation mode and its tokenizer."""
    from zeroscale.data.tokenizer import Tokenizer
    from zeroscale.model import weights
    from zeroscale.model.gpt import GPT

    if target.run is None:
        pair = _load_external(target)
        resolve.check_unchanged(target)
        return pair
    from zeroscale.config import train as composition

    tokenizer = Tokenizer.load(target.run_directory / layout.TOKENIZER)
    gpt = GPT(composition.model_config(target.run, tokenizer.vocab_size))
    weights.load_state(gpt, target.path / layout.WEIGHTS)
    expected = checkpoint.meta(target.path).get("tokenizer", "")
    if tokenizer.fingerprint != expected:
        raise ZeroscaleError(
            f"{target.run_directory / layout.TOKENIZER} is not the tokenizer that {target.path} was trained with "
            f"(fingerprint {tokenizer.fingerprint[:12]}, not {expected[:12]})"
        )
    return gpt.eval(), tokenizer


def _load_external(target: CheckpointRef) -> Pair:
    from zeroscale.data import hf_tokenizer
    from zeroscale.model import hf_config, weights

    if not hf_config.is_gpt2(hf_config.read_config_json(target.path)):
        from zeroscale.eval import hf_adapter

        return _paired(*hf_adapter.load(target.path), target.origin)
    rows = weights.read_config(target.path).vocab_size
    tokenizer = hf_tokenizer.load(target.path, rows)  # before the weights take memory
    return _paired(weights.from_pretrained(target.path).eval(), tokenizer, target.origin)


def _paired(model: "GPT | TransformersModel", tokenizer: "Tokenizer | TransformersTokenizer", where: str) -> Pair:
    """Both, if they can belong together.

    Raises:
        ZeroscaleError: the tokenizer has ids that the model does not know, or far fewer than it knows.
    """
    rows, tokens = model.config.vocab_size, tokenizer.base_size
    if tokens > rows or tokenizer.vocab_size < (1 - PADDING) * rows:
        raise ZeroscaleError(
            f"{where}: the tokenizer is not the model's: it has {tokens:,} tokens, and the model a vocabulary of "
            f"{rows:,}. Put the tokenizer's files that the model was trained with beside its weights"
        )
    return model, tokenizer


DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def load_as(target: CheckpointRef, dtype: str) -> Pair:
    """`load`, with weights in another dtype: fp32, bf16 or fp16."""
    import torch

    model, tokenizer = load(target)
    return model.to(getattr(torch, DTYPES[dtype])), tokenizer


def params_non_embedding(model: "LanguageModel | nn.Module") -> int:
    """Weights without the embeddings, and without the head where it is not tied to them (Kaplan's N)."""
    from torch import nn

    transformers_head = getattr(getattr(model, "model", None), "get_output_embeddings", lambda: None)()
    heads = [head for head in (getattr(model, "head", None), transformers_head) if head is not None]
    excluded = [*heads, *(module for module in model.modules() if isinstance(module, nn.Embedding))]
    left_out = {id(weight) for module in excluded for weight in module.parameters()}
    return sum(weight.numel() for weight in model.parameters() if id(weight) not in left_out)
