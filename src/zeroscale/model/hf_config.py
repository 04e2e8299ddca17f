"""config.json of a Hugging Face directory, checked as it is read, and GPT-2's as a `GPTConfig`."""

import math
import warnings
from collections.abc import Mapping
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json
from zeroscale.core.hub.model_files import CONFIG
from zeroscale.model.config import GPTConfig

Json = dict[str, object]

GPT2 = "gpt2"
# GPT2Config.attribute_map of transformers: a key of GPT-2's → the name that all architectures know.
ALIASES = {
    "n_embd": "hidden_size",
    "n_positions": "max_position_embeddings",
    "n_head": "num_attention_heads",
    "n_layer": "num_hidden_layers",
}
# GPT2Config's defaults of what is on or off. Attention that is reordered and upcast is the same function in fp32.
SWITCHES = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "reorder_and_upcast_attn": False,
    "tie_word_embeddings": True,
}
# What no decoder of ours computes, where it is set.
REFUSED = {
    "add_cross_attention": "a decoder alone has nothing to attend to",
    "is_encoder_decoder": "a decoder alone is read here",
    "quantization_config": "only plain floating-point weights can be read",
    "per_layer_config": "all layers have one shape here",
    "pruned_heads": "all layers have the same heads here",
}
# Keys under which transformers reads other files than the usual ones, and keys that can name code of the hub.
OTHER_FILES: dict[str, list[str]] = {
    "configuration_files": [CONFIG],
    "transformers_weights": [],
    "fast_tokenizer_files": ["tokenizer.json"],
}
"""Each with the names that change nothing."""
KERNELS = ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation")
# Keys of GPT2Config and of every config of transformers (4 and 5) that the logits do not depend on: dropout and start
# of training, heads of classifiers, tokens and settings of generation, how and with what the file was saved.
_HARMLESS = """
    model_type architectures transformers_version torch_dtype dtype name_or_path unsloth_version custom_pipelines
    n_ctx n_special predict_special_tokens initializer_range gradient_checkpointing use_cache output_past
    summary_type summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout
    id2label label2id num_labels problem_type finetuning_task task_specific_params classifier_dropout
    tokenizer_class prefix bos_token_id eos_token_id pad_token_id sep_token_id cls_token_id mask_token_id unk_token_id
    decoder_start_token_id is_decoder cross_attention_hidden_size tie_encoder_decoder chunk_size_feed_forward
    output_attentions output_hidden_states return_dict use_return_dict torchscript use_bfloat16 tf_legacy_loss loss_type
    xla_device attn_implementation experts_implementation
    assistant_confidence_threshold assistant_lookbehind bad_words_ids begin_suppress_tokens diversity_penalty do_sample
    early_stopping encoder_no_repeat_ngram_size encoder_repetition_penalty epsilon_cutoff eta_cutoff
    exponential_decay_length_penalty force_words_ids forced_bos_token_id forced_eos_token_id length_penalty max_length
    max_new_tokens min_length min_new_tokens min_p no_repeat_ngram_size num_assistant_tokens
    num_assistant_tokens_schedule num_beam_groups num_beams num_return_sequences output_scores penalty_alpha
    remove_invalid_values renormalize_logits repetition_penalty return_dict_in_generate suppress_tokens
    target_lookbehind temperature top_k top_p typical_p
"""
_READ = "vocab_size n_inner activation_function layer_norm_epsilon resid_pdrop embd_pdrop attn_pdrop"
KNOWN = {*_HARMLESS.split(), *_READ.split(), *REFUSED, *SWITCHES, *ALIASES, *ALIASES.values()}
# Deeper than any real config.json.
DEPTH = 50

# transformers' names of the activations (`ACT2CLS`); GELU's tanh form is written there in five ways.
ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


def read_config_json(directory: Path) -> Json:
    """config.json of a directory of any architecture, once it is known to describe what lies beside it.

    Raises:
        ZeroscaleError: it is missing or no JSON object; or the directory wants code of its own run, or names other
            files than those that a score is known by.
    """
    path = directory / CONFIG
    if not path.is_file():
        raise ZeroscaleError(f"{directory} is no model directory: it has no config.json")
    content = _read_object(path)
    for name, faults in _files_with_faults(directory, content):
        if faults:
            raise ZeroscaleError(f"{directory / name}: " + "; ".join(faults))
    return content


def _read_object(path: Path) -> Json:
    content = read_json(path)
    if not isinstance(content, dict):
        raise ZeroscaleError(f"{path} must hold a JSON object")
    return content


def _files_with_faults(directory: Path, content: Json) -> list[tuple[str, list[str]]]:
    found = [(CONFIG, _own_code(content) + _other_files(content) + _bad_values(content))]
    if (directory / "tokenizer_config.json").is_file():
        settings = _read_object(directory / "tokenizer_config.json")
        found.append(("tokenizer_config.json", _own_code(settings) + _other_files(settings)))
    if (directory / "adapter_config.json").is_file():
        fault = "an adapter belongs to these weights; merge it into them (peft: merge_and_unload), or remove the file"
        found.append(("adapter_config.json", [fault]))
    return found


def is_gpt2(content: Json) -> bool:
    """Whether it is GPT-2's, which it is too where it does not say: the first released ones did not."""
    return content.get("model_type") in (None, GPT2)


def _own_code(content: Json) -> list[str]:
    """Keys that make transformers import code from the directory or from the hub."""
    faults = []
    if own := content.get("auto_map"):
        named = ", ".join(map(str, own.values())) if isinstance(own, dict) else str(own)
        faults.append(
            f"auto_map wants the directory's own code run ({named}), and no code of a checkpoint is ever run here. Take"
            " auto_map out where transformers' own class of that model_type computes the same"
        )
    for key in KERNELS:
        if "/" in str(content.get(key) or ""):
            faults.append(f"{key} is {content[key]!r}: code of the hub, which is never run here")
    return faults


def _other_files(content: Json) -> list[str]:
    return [
        f"{key} names other files to read than those of the directory; take it out, with those files under their usual"
        " names"
        for key, usual in OTHER_FILES.items()
        if content.get(key) and content[key] != usual
    ]


def _bad_values(content: Json) -> list[str]:
    """The keys whose value is NaN or nested without end, and an architecture that is no name."""
    kind = content.get("model_type")
    faults = [] if isinstance(kind, str | None) else [f"model_type is {_shown(kind)}; it must be a text"]
    waiting: list[tuple[str, object, int]] = [(key, value, 1) for key, value in content.items()]
    while waiting:
        key, value, depth = waiting.pop()
        if depth > DEPTH:
            return [f"{key} is nested more than {DEPTH} levels deep"]
        if isinstance(value, dict | list):
            inner = value.values() if isinstance(value, dict) else value
            waiting += [(key, item, depth + 1) for item in inner]
        elif isinstance(value, float) and math.isnan(value):
            faults.append(f"{key} is NaN")
    return faults


def config_from_json(content: Mapping[str, object], where: str) -> GPTConfig:
    """config.json → `GPTConfig`. What is absent has GPT2Config's default; what we cannot compute is refused by name.

    A key of `ALIASES` is that of GPT2Config.attribute_map (transformers) and means the same.
    """
    get = _Reader(content)
    dropouts = [get.share(name, 0.1) for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop")]
    activation = content.get("activation_function", "gelu_new")
    known_activation = isinstance(activation, str) and activation in ACTIVATIONS
    if not known_activation:
        get.faults.append(f"activation_function is {activation!r}; known are {', '.join(ACTIVATIONS)}")
    fields = {
        "vocab_size": get.size("vocab_size", 50257),
        "n_positions": get.positions(),
        "n_layer": get.size("n_layer", 12),
        "d_model": get.size("n_embd", 768),
        "n_head": get.size("n_head", 12),
    }
    inner = get.size("n_inner", 1) if content.get("n_inner") is not None else None
    switches = {name: get.switch(name, default) for name, default in SWITCHES.items()}
    epsilon = get.number("layer_norm_epsilon", 1e-5)
    faults = _foreign(content) + get.faults
    if faults:
        raise ZeroscaleError(f"{where}: " + "; ".join(faults))
    if len(set(dropouts)) > 1:
        warnings.warn(f"{where}: three dropouts {dropouts}; the first is taken for all of them", stacklevel=3)
    try:
        return GPTConfig(
            **fields,
            dropout=dropouts[0],
            tied=switches["tie_word_embeddings"],
            layer_norm_epsilon=epsilon,
            d_inner=inner,
            activation=ACTIVATIONS[str(activation)],
            scale_attn_weights=switches["scale_attn_weights"],
            scale_attn_by_inverse_layer_idx=switches["scale_attn_by_inverse_layer_idx"],
        )
    except ZeroscaleError as error:
        raise ZeroscaleError(f"{where}: {error}") from error


def _foreign(content: Mapping[str, object]) -> list[str]:
    """What another architecture than GPT-2's decoder would need."""
    faults = []
    architectures = content.get("architectures")
    named = [str(name) for name in architectures] if isinstance(architectures, list) else []
    kind = content.get("model_type")
    if kind not in (None, GPT2):
        faults.append(f"model_type is {kind!r}; this reads the gpt2 architecture")
    elif kind is None and named and not any(name.startswith("GPT2") for name in named):
        faults.append(f'"model_type" is missing, and architectures is {", ".join(named)}, none of GPT-2\'s')
    for key, what in REFUSED.items():
        if content.get(key):
            faults.append(f"{key} is {'on' if content[key] is True else 'set'}; {what}")
    unknown = [key for key, value in content.items() if value is not None and key not in KNOWN and key[:1] != "_"]
    if unknown:
        shown = ", ".join(f"{key} = {str(content[key])[:40]}" for key in unknown[:8])
        faults.append(
            f"GPT-2 has no {shown}{' and others' * (len(unknown) > 8)}: whether the model computes something else with"
            " it is not known here. Take it out if it does not"
        )
    return faults


class _Reader:
    """The values of a config.json by their types. Faults are gathered, so that one message names them all."""

    def __init__(self, content: Mapping[str, object]) -> None:
        self.content = content
        self.faults: list[str] = []

    def _value(self, name: str, default: object) -> object:
        """The value under its own name or its alias."""
        alias = ALIASES.get(name, name)
        value = self.content.get(name, self.content.get(alias, default))
        if alias in self.content and self.content[alias] != value:
            fault = f"{name} is {value!r} and {alias} {self.content[alias]!r}, which are one thing; leave one of them"
            self.faults.append(fault)
        return value

    def size(self, name: str, default: int) -> int:
        value = self._value(name, default)
        if type(value) is int and 1 <= value < 2**31:
            return value
        self.faults.append(f"{name} is {_shown(value)}; it must be a whole number of at least 1 and below 2^31")
        return default

    def positions(self) -> int:
        """The context; `n_ctx`, its oldest name, which transformers has stopped to read, where no other is there."""
        named = {"n_positions", ALIASES["n_positions"]} & self.content.keys()
        return self.size("n_positions", 1024) if named or "n_ctx" not in self.content else self.size("n_ctx", 1024)

    def number(self, name: str, default: float) -> float:
        value = self._value(name, default)
        if type(value) in (int, float) and 0 <= value < math.inf:  # type: ignore[operator]
            return float(value)  # type: ignore[arg-type]
        self.faults.append(f"{name} is {_shown(value)}; it must be a finite number of at least 0")
        return default

    def share(self, name: str, default: float) -> float:
        value = self._value(name, default)
        if type(value) in (int, float) and 0 <= value < 1:  # type: ignore[operator]
            return value  # type: ignore[return-value]
        self.faults.append(f"{name} is {_shown(value)}; it must be a number of at least 0 and below 1")
        return default

    def switch(self, name: str, default: bool) -> bool:
        value = self._value(name, default)
        if isinstance(value, bool):
            return value
        self.faults.append(f"{name} is {_shown(value)}; it must be true or false")
        return default


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
