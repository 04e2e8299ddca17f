"""Hugging Face's format of GPT-2: its config.json as a `GPTConfig` and back, its tensors' names for ours."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.config import GPTConfig

# transformers' names of the activations; three of them are one function, GELU's tanh form, written in three ways.
ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}

# Saved by older versions beside the weights: the causal mask and its fill value.
BUFFER = re.compile(r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)")

HEAD = "lm_head.weight"


@dataclass(frozen=True)
class HFTensor:
    """The name and the layout of a tensor in transformers."""

    name: str
    transposed: bool
    """transformers' Conv1D holds [in, out] where nn.Linear holds [out, in]."""


def tensor_names(config: GPTConfig) -> dict[str, HFTensor]:
    """Our name → transformers' tensor, for every tensor of a model; a tied head has none of its own."""
    names = {
        "wte.weight": HFTensor("transformer.wte.weight", False),
        "wpe.weight": HFTensor("transformer.wpe.weight", False),
        "ln_f.weight": HFTensor("transformer.ln_f.weight", False),
        "ln_f.bias": HFTensor("transformer.ln_f.bias", False),
    }
    modules = {
        "ln_1": ("ln_1", False),
        "attn.qkv": ("attn.c_attn", True),
        "attn.proj": ("attn.c_proj", True),
        "ln_2": ("ln_2", False),
        "mlp.up": ("mlp.c_fc", True),
        "mlp.down": ("mlp.c_proj", True),
    }
    for layer in range(config.n_layer):
        for name, (hf_name, conv1d) in modules.items():
            for kind in ("weight", "bias"):
                tensor = HFTensor(f"transformer.h.{layer}.{hf_name}.{kind}", conv1d and kind == "weight")
                names[f"blocks.{layer}.{name}.{kind}"] = tensor
    if not config.tied:
        names["head.weight"] = HFTensor(HEAD, False)
    return names


def config_from_json(content: Mapping[str, Any], where: str) -> GPTConfig:
    """config.json → `GPTConfig`. What is absent has GPT2Config's default; what we cannot compute is refused by name."""
    get = content.get
    faults = []
    if get("model_type", "gpt2") != "gpt2":
        faults.append(f"model_type is {get('model_type')!r}; this reads the gpt2 architecture")
    if get("activation_function", "gelu_new") not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        faults.append(f"activation_function is {get('activation_function')!r}; known are {known}")
    if get("add_cross_attention"):
        faults.append("add_cross_attention is on; a decoder alone has nothing to attend to")
    if get("quantization_config"):
        faults.append("quantization_config is set; only plain floating-point weights can be read")
    if faults:
        raise ZeroscaleError(f"{where}: " + "; ".join(faults))
    dropouts = [get(name, 0.1) for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop")]
    if len(set(dropouts)) > 1:
        warnings.warn(f"{where}: three dropouts {dropouts}; the first is taken for all of them", stacklevel=3)
    try:
        return GPTConfig(
            vocab_size=get("vocab_size", 50257),
            n_positions=get("n_positions", get("n_ctx", 1024)),
            n_layer=get("n_layer", 12),
            d_model=get("n_embd", 768),
            n_head=get("n_head", 12),
            dropout=dropouts[0],
            tied=get("tie_word_embeddings", True),
            layer_norm_epsilon=get("layer_norm_epsilon", 1e-5),
            d_inner=get("n_inner"),
            activation=ACTIVATIONS[get("activation_function", "gelu_new")],
            scale_attn_weights=get("scale_attn_weights", True),
            scale_attn_by_inverse_layer_idx=get("scale_attn_by_inverse_layer_idx", False),
        )
    except ZeroscaleError as error:
        raise ZeroscaleError(f"{where}: {error}") from error


def config_to_json(config: GPTConfig, dtype: str, eos: int | None) -> dict[str, Any]:
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
