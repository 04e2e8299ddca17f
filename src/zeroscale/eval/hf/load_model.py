"""A directory of another architecture as transformers' model: its weights as its own files say, read by our reader.

transformers builds the module from config.json, and gets the tensors from `model.tensor_files`: so weight_map decides
which shard gives a tensor, nothing but tensors is read from a pickle, and no code of the directory runs.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.hub.model_files import CONFIG
from zeroscale.model.hf_config import Json
from zeroscale.model.tensor_files import StoredTensor, contiguous_copy, listed, open_directory

# Sizes that architectures call so; each is a whole number of at least 1 where it is given.
SIZES = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "head_dim", "max_position_embeddings", "n_positions", "n_ctx", "n_embd", "n_layer"),
    *("n_layers", "n_head", "n_heads", "n_inner", "d_model", "num_layers", "num_heads", "ffn_dim"),
)
# Numbers of things that are made one by one; the others are dimensions, or no sizes.
_COUNT = re.compile(r"^(num|n)_|(layers?|blocks|heads|experts|labels)$")
_NO_COUNT = re.compile(r"position|ctx|seq|length|window|token|size|chunk|keep")
_FEW = 1024
# Left in files by older versions: computed anew from the configuration.
_BUFFER = re.compile(r"(^|\.)(inv_freq|masked_bias|position_ids|(attn|attention|self_attn)\.bias)$")


def load_model(directory: Path, content: Json) -> Any:
    """transformers' model of a directory whose config.json holds `content`, in fp32 and evaluation mode.

    Raises:
        ZeroscaleError: sizes that no model has or that the weights do not bear out, before memory is taken for them;
            tensors missing, left over or of the wrong shape.
    """
    import transformers

    where = f"{directory / CONFIG}"
    _check_sizes(content, where)
    kind = content.get("model_type")
    if kind not in transformers.CONFIG_MAPPING:
        version = transformers.__version__
        raise ZeroscaleError(f"{directory}: transformers {version} cannot load this {kind} model: it knows none such")
    stored = open_directory(directory)
    _check_counts(content, stored, where)
    config = transformers.AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        empty = transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    _check_shapes(empty, stored, directory)
    state = {name: _copy(tensor) for name, tensor in stored.items()}
    model, report = type(empty).from_pretrained(
        None, config=empty.config, state_dict=state, dtype=torch.float32, output_loading_info=True
    )
    faults = []
    if missing := sorted(report["missing_keys"]):
        faults.append("missing: " + listed(missing))
    if extra := sorted(name for name in report["unexpected_keys"] if not _BUFFER.search(name)):
        faults.append("not part of the model: " + listed(extra))
    if faults:
        raise ZeroscaleError(f"{directory} does not hold this model's weights; " + "; ".join(faults))
    return model.float().eval()


def _check_sizes(content: Json, where: str) -> None:
    """Types and signs; transformers takes true for 1, and -1 layers for none."""
    wrong = [
        f"{name} is {content[name]!r}"
        for name in SIZES
        if content.get(name) is not None
        and not isinstance(content[name], list)
        and not (type(content[name]) is int and 1 <= content[name] < 2**63)  # type: ignore[operator]
    ]
    if wrong:
        raise ZeroscaleError(f"{where}: {listed(wrong)}; it must be a whole number of at least 1")
    if content.get("quantization_config"):
        raise ZeroscaleError(f"{where}: quantization_config is set; only plain floating-point weights can be read")


def _check_counts(content: Json, stored: Mapping[str, StoredTensor], where: str) -> None:
    """What is made one by one is bounded by what the files hold: each layer has a tensor, each head a column."""
    most = max([_FEW, len(stored), *(size for tensor in stored.values() for size in tensor.shape)])
    parts = [content, *(value for value in content.values() if isinstance(value, dict))]
    wrong = [
        f"{name} is {value}"
        for part in parts
        for name, value in part.items()
        if type(value) is int and value > most and _COUNT.search(name) and not _NO_COUNT.search(name)
    ]
    if wrong:
        raise ZeroscaleError(f"{where}: {listed(wrong)}, but the weights hold {len(stored):,} tensors")


def _check_shapes(empty: nn.Module, stored: Mapping[str, StoredTensor], directory: Path) -> None:
    """Holds a model without memory against the files: the sizes of both must agree."""
    parameters = dict(empty.named_parameters())
    wrong = [
        f"{name} is {list(stored[name].shape)}, by config.json {list(parameter.shape)}"
        for name, parameter in parameters.items()
        if name in stored and stored[name].shape != tuple(parameter.shape)
    ]
    if wrong:
        raise ZeroscaleError(f"{directory} does not hold this model's weights; wrong shape: {listed(wrong)}")
    if odd := [f"{name} is {stored[name].fault}" for name in parameters if name in stored and stored[name].fault]:
        raise ZeroscaleError(f"{directory}: no plain floating-point numbers: {listed(odd)}")
    needed = sum(tensor.numel() for tensor in [*parameters.values(), *empty.buffers()])
    held = sum(torch.Size(tensor.shape).numel() for tensor in stored.values())
    if needed > 4 * held + 2**24:
        raise ZeroscaleError(
            f"{directory}: config.json asks for a model of {needed:,} numbers, but the weights hold {held:,}"
        )


def _copy(tensor: StoredTensor) -> Tensor:
    """In memory of its own, not in a mapped file: floating-point numbers as fp32, others as they are."""
    loaded = tensor.load()
    return contiguous_copy(loaded, torch.float32 if loaded.is_floating_point() else loaded.dtype)
