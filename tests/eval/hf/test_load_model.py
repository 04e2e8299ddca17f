"""Directories of other architectures: weights as their own files say, sizes that the weights bear out, no code run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import hf_adapter
from zeroscale.runs.resolve import resolve_checkpoint

transformers = pytest.importorskip("transformers")

TOKENS = torch.arange(20).view(2, 10)
UP = "model.layers.0.mlp.up_proj.weight"
SHAPE = {
    **{"vocab_size": 257, "hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 64},
    **{"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1},
    **{"bos_token_id": 256, "eos_token_id": 256, "initializer_range": 0.3},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A Llama with random weights and a tokenizer of bytes."""
    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("made")
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE)).save_pretrained(directory)
    Tokenizer.bytes().save(directory)
    return directory


@pytest.fixture
def llama(made, tmp_path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(made, tmp_path / "llama"))


@pytest.fixture(scope="module")
def logits(made) -> Tensor:
    with torch.no_grad():
        return transformers.AutoModelForCausalLM.from_pretrained(made).eval()(TOKENS).logits


@torch.no_grad()
def ours(directory: Path) -> Tensor:
    return hf_adapter.load(directory)[0](TOKENS)


def change(directory: Path, **fields: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def rewrite(directory: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    path = directory / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in safetensors.torch.load_file(path).items()}
    edit(tensors)
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})


def test_the_index_decides_which_shard_gives_a_tensor(llama, logits):
    """transformers 5.23 takes the stale tensor."""
    tensors = safetensors.torch.load_file(llama / "model.safetensors")
    (llama / "model.safetensors").unlink()
    last = {UP: tensors.pop(UP)}
    stale = {**tensors, UP: torch.zeros_like(last[UP])}
    for name, shard in (("z.safetensors", stale), ("a.safetensors", last)):
        safetensors.torch.save_file({n: t.clone() for n, t in shard.items()}, llama / name, metadata={"format": "pt"})
    given = {**dict.fromkeys(tensors, "z.safetensors"), UP: "a.safetensors"}
    (llama / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": given}))
    torch.testing.assert_close(ours(llama), logits)


def test_pickles_are_read_too(llama, logits):
    tensors = safetensors.torch.load_file(llama / "model.safetensors")
    (llama / "model.safetensors").unlink()
    torch.save(tensors, llama / "pytorch_model.bin")
    torch.testing.assert_close(ours(llama), logits)


def test_numbers_are_those_of_the_files_whatever_type_the_configuration_names(llama, logits):
    change(llama, dtype="bfloat16", torch_dtype="float16")
    torch.testing.assert_close(ours(llama), logits)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: t.pop(UP), f"missing: {UP}"),
        (lambda t: t.update({"left.over": torch.ones(2)}), "not part of the model: left.over"),
        (lambda t: t.update({UP: torch.ones(3, 4)}), rf"wrong shape: {UP} is \[3, 4\], by config.json \[64, 32\]"),
        (lambda t: t.update({UP: torch.ones(64, 32).to(torch.int8)}), f"no plain floating-point numbers: {UP} is of"),
    ],
    ids=["missing", "extra", "shape", "type"],
)
def test_tensors_that_do_not_fit_are_named(llama, edit, words):
    rewrite(llama, edit)
    with pytest.raises(ZeroscaleError, match=words):
        ours(llama)


def test_buffers_of_older_versions_are_left_alone(llama, logits):
    rewrite(llama, lambda t: t.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}))
    torch.testing.assert_close(ours(llama), logits)


@pytest.mark.parametrize(
    "key", ["num_hidden_layers", "vocab_size", "hidden_size", "intermediate_size", "num_key_value_heads"]
)
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2", 10**9, 10**30], ids=str)
def test_sizes_that_no_model_has_end_at_once(llama, key, value):
    change(llama, **{key: value})
    with pytest.raises(ZeroscaleError, match=r"config\.json|does not hold this model's weights|cannot load this llama"):
        ours(llama)


@pytest.mark.parametrize(
    "fields",
    [
        {"num_labels": 10**9},
        {"num_attention_heads": 10**9},
        {"max_position_embeddings": -4},
        {"num_hidden_layers": 1},
        {"rms_norm_eps": float("nan")},
        {"rms_norm_eps": "small"},
        {"quantization_config": {"quant_method": "gptq"}},
    ],
    ids=str,
)
def test_configurations_that_do_not_fit_are_refused(llama, fields):
    change(llama, **fields)
    with pytest.raises(ZeroscaleError, match=str(llama)):
        ours(llama)


@pytest.mark.parametrize("fields", [{"rope_theta": 500.0}, {"rms_norm_eps": 0.1}, {"hidden_act": "gelu"}], ids=str)
def test_another_configuration_is_another_model(llama, logits, fields):
    before = resolve_checkpoint(llama, Path("outputs"))
    content = json.loads((llama / "config.json").read_text())
    content.pop("rope_parameters", None)
    (llama / "config.json").write_text(json.dumps({**content, **fields}))
    after = resolve_checkpoint(llama, Path("outputs"))
    assert after.weights_hash != before.weights_hash and after.out != before.out
    assert not torch.allclose(ours(llama), logits)


CODE = """
from pathlib import Path
Path({marker!r}).touch()
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class Config(LlamaConfig): model_type = "mine"
class Model(LlamaForCausalLM): config_class = Config
class Tokens(PreTrainedTokenizerFast): pass
"""


@pytest.mark.parametrize("kind", ["llama", "mine", "gpt2"])
@pytest.mark.parametrize("devices", [1, 2])
def test_code_of_a_directory_never_runs_and_nobody_is_asked(llama, tmp_path, monkeypatch, capsys, kind, devices):
    from zeroscale.cli.main import main

    marker = tmp_path / "ran"
    (llama / "own.py").write_text(CODE.format(marker=str(marker)))
    classes = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model", "AutoTokenizer": ["own.Tokens", None]}
    change(llama, model_type=kind, auto_map=classes)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    command = ["eval", f"checkpoint={llama}", "cards=[wikitext2]", "cards_from=sample", f"devices={devices}"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "auto_map wants the directory's own code run" in said and said.count("auto_map wants") == 1
    assert not marker.exists()
