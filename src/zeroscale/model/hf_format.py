"""Hugging Face's format of GPT-2: its tensors' names and shapes for ours, and a `GPTConfig` as its config.json."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from zeroscale.model.config import GPTConfig

# Saved by older versions beside the weights: the causal mask and its fill value.
BUFFER = re.compile(r"transformer\.h\.\d+\.attn\.(bias|masked_bias)")

HEAD = "lm_head.weight"
EMBEDDING = "transformer.wte.weight"
_LAYER = re.compile(r"transformer\.h\.(\d{1,9})\.")
# What wraps a module of torch leaves a part of its own in the names: DataParallel, torch.compile, FSDP, checkpointing
# of activations. Lightning and trainers put the whole under `model.`.
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_OUTER = "model"
_BODY = {"wte", "wpe", "h", "ln_f"}


@dataclass(frozen=True)
class HFTensor:
    """The name, the layout and the shape of a tensor in transformers."""

    name: str
    transposed: bool
    """transformers' Conv1D holds [in, out] where nn.Linear holds [out, in]."""
    shape: tuple[int, ...]


def plain_name(name: str) -> str:
    """A tensor's name as GPT2LMHeadModel has it, from that of the bare GPT2Model (OpenAI's on the hub) or of a wrapped
    model."""
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    while parts[:1] == [_OUTER]:
        parts = parts[1:]
    if parts[:1] and parts[0] in _BODY and len(parts) > 1:
        parts = ["transformer", *parts]
    return ".".join(parts)


def layers_of(names: Iterable[str]) -> set[int]:
    """The layers that plain names speak of."""
    return {int(match[1]) for name in names if (match := _LAYER.match(name))}


def tensor_names(config: GPTConfig) -> dict[str, HFTensor]:
    """Our name → transformers' tensor, for every tensor of a model; a tied head has none of its own."""
    d, inner, rows = config.d_model, config.d_inner or 4 * config.d_model, config.padded_vocab_size or config.vocab_size
    names = {
        "wte.weight": HFTensor(EMBEDDING, False, (rows, d)),
        "wpe.weight": HFTensor("transformer.wpe.weight", False, (config.n_positions, d)),
        "ln_f.weight": HFTensor("transformer.ln_f.weight", False, (d,)),
        "ln_f.bias": HFTensor("transformer.ln_f.bias", False, (d,)),
    }
    # The weights of transformers' Conv1D: [in, out].
    modules = {
        "ln_1": ("ln_1", (d,)),
        "attn.qkv": ("attn.c_attn", (d, 3 * d)),
        "attn.proj": ("attn.c_proj", (d, d)),
        "ln_2": ("ln_2", (d,)),
        "mlp.up": ("mlp.c_fc", (d, inner)),
        "mlp.down": ("mlp.c_proj", (inner, d)),
    }
    for layer in range(config.n_layer):
        for name, (hf_name, shape) in modules.items():
            weight = HFTensor(f"transformer.h.{layer}.{hf_name}.weight", len(shape) == 2, shape)
            names[f"blocks.{layer}.{name}.weight"] = weight
            bias = HFTensor(f"transformer.h.{layer}.{hf_name}.bias", False, shape[-1:])
            names[f"blocks.{layer}.{name}.bias"] = bias
    if not config.tied:
        names["head.weight"] = HFTensor(HEAD, False, (rows, d))
    return names


def config_to_json(config: GPTConfig, dtype: str, eos: int | None) -> dict[str, object]:
    """The config.json with which `GPT2LMHeadModel.from_pretrained` builds the same model.

    `dtype` is that of the tensors beside it ("float32"); padding rows of the embedding are left behind by the export,
    so `vocab_size` is the real one. `eos` is the id of the end-of-text token, GPT-2's only special one.
    """
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.n_positions,
        "n_ctx": config.n_positions,
        "n_layer": config.n_layer,
        "n_embd": config.d_model,
        "n_head": config.n_head,
        "n_inner": config.d_inner,
        "activation_function": {"gelu_tanh": "gelu_new"}.get(config.activation, config.activation),
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.dropout,
        "scale_attn_weights": config.scale_attn_weights,
        "scale_attn_by_inverse_layer_idx": config.scale_attn_by_inverse_layer_idx,
        "tie_word_embeddings": config.tied,
        "initializer_range": 0.02,
        "bos_token_id": eos,
        "eos_token_id": eos,
        "use_cache": True,
        "torch_dtype": dtype,
    }
