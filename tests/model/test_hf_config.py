"""config.json of Hugging Face directories: what is understood, and what is refused by name."""

import json
import math
from pathlib import Path

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.config import GPTConfig
from zeroscale.model.hf_config import ALIASES, config_from_json, read_config_json

TINY = {"model_type": "gpt2", "vocab_size": 257, "n_positions": 64, "n_layer": 2, "n_embd": 48, "n_head": 4}


def read(**changed: object) -> GPTConfig:
    return config_from_json({**TINY, **changed}, "config.json")


def test_the_library_wide_names_are_the_same_keys():
    named = {ALIASES.get(key, key): value for key, value in TINY.items()}
    assert config_from_json(named, "here") == read()
    for key, alias in ALIASES.items():
        assert read(**{alias: TINY[key]}) == read()
        with pytest.raises(ZeroscaleError, match=f"{key} is {TINY[key]} and {alias} 999, which are one thing"):
            read(**{alias: 999})


def test_the_aliases_are_those_of_transformers():
    configs = pytest.importorskip("transformers")
    assert {alias: key for key, alias in ALIASES.items()} == configs.GPT2Config.attribute_map


def test_what_transformers_writes_is_understood():
    transformers = pytest.importorskip("transformers")
    written = transformers.GPT2Config(**TINY).to_dict()
    generation = transformers.GenerationConfig._get_default_generation_params()
    assert config_from_json({**dict.fromkeys(generation, 1), **written}, "here") == read()


# As they stand on the hub: gpt2, gpt2-medium and -xl, distilgpt2, DialoGPT, Cerebras-GPT, Stanford's Mistral.
RELEASED = [
    {
        **{"n_ctx": 1024, "n_positions": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "vocab_size": 50257},
        **{"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "initializer_range": 0.02},
        **{"attn_pdrop": 0.1, "embd_pdrop": 0.1, "resid_pdrop": 0.1, "layer_norm_epsilon": 1e-05},
        **{"bos_token_id": 50256, "eos_token_id": 50256, "model_type": "gpt2"},
        **{"summary_activation": None, "summary_first_dropout": 0.1, "summary_proj_to_labels": True},
        **{"summary_type": "cls_index", "summary_use_proj": True},
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    },
    {"model_type": "gpt2", "n_ctx": 1024, "n_special": 0, "predict_special_tokens": True, "output_past": True},
    {"model_type": "gpt2", "_num_labels": 1, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}},
    {"architectures": ["GPT2LMHeadModel"], "n_layer": 12, "_name_or_path": "x", "transformers_version": "4.6.0.dev0"},
    {"model_type": "gpt2", "activation_function": "gelu_new", "architectures": ["GPT2Model"], "n_inner": 3072},
    {"model_type": "gpt2", "reorder_and_upcast_attn": True, "scale_attn_by_inverse_layer_idx": False},
    {
        "model_type": "gpt2",
        "gradient_checkpointing": False,
        "use_cache": True,
        "torch_dtype": "float16",
        "n_inner": None,
    },
]


@pytest.mark.parametrize("content", RELEASED, ids=range(len(RELEASED)))
def test_released_configurations_pass(content):
    small = config_from_json(content, "here")
    assert (small.n_layer, small.d_model, small.n_head, small.n_positions) == (12, 768, 12, 1024)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("gelu_python", "gelu"),
        ("gelu_python_tanh", "gelu_tanh"),
        ("gelu_accurate", "gelu_tanh"),
        ("gelu_fast", "gelu_tanh"),
        ("swish", "silu"),
    ],
)
def test_activations_go_by_all_their_names(name, ours):
    torch = pytest.importorskip("torch")
    activations = pytest.importorskip("transformers.activations")
    from zeroscale.model.gpt import ACTIVATIONS

    assert read(activation_function=name).activation == ours
    x = torch.linspace(-4, 4, 101)
    torch.testing.assert_close(ACTIVATIONS[ours](x), activations.get_activation(name)(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rope_theta": 1e4}, "GPT-2 has no rope_theta = 10000"),
        ({"use_bias": False}, "GPT-2 has no use_bias = False"),
        ({"hidden_act": "relu"}, "no hidden_act = relu"),
        ({"intermediate_size": 99, "alibi": True}, "no intermediate_size = 99, alibi = True"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads is set"),
        ({"per_layer_config": {"0": {}}}, "per_layer_config is set"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder is on"),
        ({"activation_function": ["gelu"]}, "activation_function is"),
        ({"model_type": "openai-gpt"}, "model_type is 'openai-gpt'"),
    ],
    ids=str,
)
def test_what_may_change_the_forward_pass_is_refused_by_name(changed, words):
    with pytest.raises(ZeroscaleError, match=words):
        read(**changed)


def test_a_missing_model_type_is_gpt2_unless_the_architecture_is_another():
    content = {key: value for key, value in TINY.items() if key != "model_type"}
    assert config_from_json(content, "here") == read() == read(model_type=None)
    with pytest.raises(ZeroscaleError, match='"model_type" is missing, and architectures is LlamaForCausalLM'):
        config_from_json({**content, "architectures": ["LlamaForCausalLM"]}, "here")


@pytest.mark.parametrize("key", ["vocab_size", "n_positions", "n_layer", "n_embd", "n_head", "n_inner"])
@pytest.mark.parametrize("value", [0, -1, 1.5, 12.0, True, "12", 2**31, 10**30, math.inf, [], {}], ids=str)
def test_sizes_are_whole_numbers(key, value):
    with pytest.raises(ZeroscaleError, match=f"here: .*{key} is .*; it must be a whole number of at least 1"):
        config_from_json({**TINY, key: value}, "here")


@pytest.mark.parametrize(
    "changed",
    [
        {"layer_norm_epsilon": "1e-5"},
        {"layer_norm_epsilon": -1e-5},
        {"layer_norm_epsilon": math.inf},
        {"layer_norm_epsilon": True},
        {"resid_pdrop": 1.5},
        {"embd_pdrop": [[1]]},
        {"attn_pdrop": "0.1"},
        {"tie_word_embeddings": "false"},
        {"scale_attn_weights": None},
        {"scale_attn_by_inverse_layer_idx": 1},
        {"n_head": None},
    ],
    ids=str,
)
def test_numbers_and_switches_have_their_types(changed):
    with pytest.raises(ZeroscaleError, match=f"{next(iter(changed))} is .* it must be"):
        read(**changed)


def test_all_faults_come_at_once():
    with pytest.raises(ZeroscaleError, match=r"no alibi = True.*n_layer is -2; .*n_head is 'x'; "):
        read(n_layer=-2, n_head="x", alibi=True)


def write(directory: Path, text: str, name: str = "config.json") -> Path:
    (directory / name).write_text(text)
    return directory


@pytest.mark.parametrize("text", ["[]", "null", "3", '"gpt2"', "[" * 5000, '{"a":' * 5000, "{", "9" * 5000, "\0"])
def test_what_is_no_object_is_named(text, tmp_path):
    with pytest.raises(ZeroscaleError, match=r"config\.json (must hold a JSON object|is not valid JSON)"):
        read_config_json(write(tmp_path, text))


def test_values_that_no_configuration_has_are_named(tmp_path):
    deep = '{"id2label": ' + "[" * 200 + "]" * 200 + "}"
    with pytest.raises(ZeroscaleError, match="id2label is nested more than 50 levels deep"):
        read_config_json(write(tmp_path, deep))
    for kind in ('["gpt2"]', "{}", "3", "true"):
        with pytest.raises(ZeroscaleError, match=r"model_type is .*; it must be a text"):
            read_config_json(write(tmp_path, f'{{"model_type": {kind}}}'))
    with pytest.raises(ZeroscaleError, match="rope is NaN"):
        read_config_json(write(tmp_path, '{"model_type": "llama", "rope": {"theta": [NaN]}}'))


@pytest.mark.parametrize("kind", ["gpt2", "llama", "my_model", None])
@pytest.mark.parametrize("own", [{"AutoModelForCausalLM": "m.My"}, {"AutoConfig": "other/repo--c.C"}, ["t.Slow", None]])
def test_a_directory_with_code_of_its_own_is_refused(kind, own, tmp_path):
    write(tmp_path, json.dumps({"model_type": kind, "auto_map": own}))
    with pytest.raises(ZeroscaleError, match=r"config\.json: auto_map wants .* code run \(.* is ever run here"):
        read_config_json(tmp_path)
    write(tmp_path, json.dumps({"model_type": kind, "auto_map": None}))
    write(tmp_path, json.dumps({"auto_map": own}), "tokenizer_config.json")
    with pytest.raises(ZeroscaleError, match=r"tokenizer_config\.json: auto_map wants"):
        read_config_json(tmp_path)


def test_other_files_and_code_of_the_hub_are_refused(tmp_path):
    for content, words in {
        '{"transformers_weights": "other.safetensors"}': "transformers_weights names other files",
        '{"configuration_files": ["config.4.0.0.json"]}': "configuration_files names other files",
        '{"attn_implementation": "some-one/kernel"}': "attn_implementation is 'some-one/kernel': code of the hub",
    }.items():
        with pytest.raises(ZeroscaleError, match=words):
            read_config_json(write(tmp_path, content))
    write(tmp_path, "{}")
    write(tmp_path, '{"fast_tokenizer_files": ["tokenizer.4.0.0.json", "tokenizer.json"]}', "tokenizer_config.json")
    with pytest.raises(ZeroscaleError, match=r"tokenizer_config\.json: fast_tokenizer_files names other files"):
        read_config_json(tmp_path)
    write(tmp_path, '{"fast_tokenizer_files": ["tokenizer.json"]}', "tokenizer_config.json")
    read_config_json(tmp_path)
    write(tmp_path, "{}", "adapter_config.json")
    with pytest.raises(ZeroscaleError, match=r"adapter_config\.json: an adapter belongs to these weights"):
        read_config_json(tmp_path)
