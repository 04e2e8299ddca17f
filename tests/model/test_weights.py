"""Weights in and out: directories that transformers wrote and reads, and our own checkpoints."""

import json
import os
import pickle
import subprocess
import sys

import pytest
import safetensors.torch
import torch

from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT
from zeroscale.model.weights import from_pretrained, load_state, read_config, save_pretrained, save_state, state_tensors

TOKENS = torch.arange(20).view(2, 10)


def change(directory, **fields) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def rewrite(directory, edit) -> None:
    """Saves the directory's tensors again after `edit(dictionary)`."""
    path = directory / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    edit(tensors)
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})


@torch.no_grad()
def same(directory, theirs, **options) -> bool:
    model = from_pretrained(directory, **options)
    return torch.allclose(model(TOKENS), theirs(TOKENS).logits, rtol=1e-4, atol=1e-5)


def test_shards_are_read(saved):
    theirs, directory = saved()
    (directory / "model.safetensors").unlink()
    theirs.save_pretrained(directory, max_shard_size="60KB")
    assert len(list(directory.glob("*.safetensors"))) > 2
    assert same(directory, theirs)
    next(directory.glob("*-00002-of*")).unlink()
    with pytest.raises(ZeroscaleError, match=r"names files that are not there: model-00002-of"):
        from_pretrained(directory)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_pickles_of_tensors_are_read(saved, zipped):
    theirs, directory = saved()
    (directory / "model.safetensors").unlink()
    torch.save(theirs.state_dict(), directory / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert same(directory, theirs)


def test_pickles_of_anything_else_are_refused_and_not_run(saved, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    _, directory = saved()
    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(pickle.dumps({"wte.weight": Evil()}))
    with pytest.raises(ZeroscaleError, match=r"pytorch_model\.bin is no file of tensors alone"):
        from_pretrained(directory)
    assert not (tmp_path / "ran").exists()


def test_the_bare_model_with_old_buffers_is_read(saved):
    """OpenAI's files on the hub: no `transformer.` before the names, causal masks among the tensors."""
    theirs, directory = saved()

    def old(tensors):
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        for layer in range(3):
            tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 32, 32)
            tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)

    rewrite(directory, old)
    assert same(directory, theirs)


def test_a_padded_vocabulary_keeps_its_rows_but_not_its_logits(saved):
    theirs, directory = saved()
    rewrite(directory, lambda tensors: tensors.update({"transformer.wte.weight": padded(tensors, 45)}))
    model = from_pretrained(directory)
    assert model.wte.weight.shape[0] == 256
    assert model(TOKENS).shape[-1] == 211
    assert same(directory, theirs)
    narrow = from_pretrained(directory, vocab_size=200)
    torch.testing.assert_close(narrow(TOKENS), model(TOKENS)[..., :200])
    with pytest.raises(ZeroscaleError, match=r"a vocabulary of 300, but wte\.weight has 256 rows"):
        from_pretrained(directory, vocab_size=300)


def padded(tensors, rows: int) -> torch.Tensor:
    weight = tensors["transformer.wte.weight"]
    return torch.cat([weight, torch.full((rows, weight.shape[1]), 9.0)])


def test_missing_extra_and_misshapen_tensors_are_named_together(saved):
    _, directory = saved()

    def damage(tensors):
        del tensors["transformer.h.1.mlp.c_fc.bias"]
        tensors["score.weight"] = torch.zeros(2, 48)
        tensors["transformer.h.0.attn.c_attn.weight"] = torch.zeros(48, 100)

    rewrite(directory, damage)
    with pytest.raises(ZeroscaleError) as error:
        from_pretrained(directory)
    assert "missing: transformer.h.1.mlp.c_fc.bias" in str(error.value)
    assert "not part of the model: score.weight" in str(error.value)
    assert "transformer.h.0.attn.c_attn.weight is [48, 100], expected [48, 144]" in str(error.value)


def test_a_stored_head_must_agree_with_a_tied_config(saved):
    theirs, directory = saved()
    rewrite(directory, lambda t: t.update({"lm_head.weight": t["transformer.wte.weight"].clone()}))
    assert same(directory, theirs)
    rewrite(directory, lambda t: t["lm_head.weight"].add_(1))
    with pytest.raises(ZeroscaleError, match=r"lm_head\.weight differs from wte\.weight"):
        from_pretrained(directory)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "opt"}, "model_type is 'opt'"),
        ({"activation_function": "quick_gelu"}, "activation_function is 'quick_gelu'; known are gelu_new"),
        ({"add_cross_attention": True}, "add_cross_attention is on"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is set"),
        ({"n_head": 5}, r"config\.json: model: d_model 48 is not divisible by n_head 5"),
    ],
    ids=str,
)
def test_what_cannot_be_computed_is_refused_by_name(saved, fields, message):
    _, directory = saved()
    change(directory, **fields)
    with pytest.raises(ZeroscaleError, match=message):
        from_pretrained(directory)


def test_directories_that_hold_no_model_are_named(tmp_path, saved):
    with pytest.raises(ZeroscaleError, match=r"has no config\.json"):
        from_pretrained(tmp_path / "absent")
    _, directory = saved()
    whole = (directory / "model.safetensors").read_bytes()
    (directory / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(ZeroscaleError, match=r"model\.safetensors is no whole safetensors file"):
        from_pretrained(directory)
    (directory / "model.safetensors").unlink()
    with pytest.raises(ZeroscaleError, match=r"holds no weights: expected one of model\.safetensors"):
        from_pretrained(directory)


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"tied": False},
        {"activation": "gelu", "d_inner": 100, "layer_norm_epsilon": 1e-3},
        {"scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False, "dropout": 0.1},
        {"padded_vocab_size": 128},
    ],
    ids=str,
)
def test_transformers_reads_what_we_write(variant, tmp_path):
    transformers = pytest.importorskip("transformers")
    ours = GPT(GPTConfig(vocab_size=97, n_positions=32, n_layer=3, d_model=48, n_head=4, **variant), seed=2).eval()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    save_pretrained(ours, tmp_path, eos=96)
    theirs, report = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values()), report
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval()(TOKENS).logits, ours(TOKENS), rtol=1e-4, atol=1e-5)
    assert theirs.generation_config.eos_token_id == 96
    # And back again: the same numbers, less the padding.
    back = from_pretrained(tmp_path)
    torch.testing.assert_close(back(TOKENS), ours(TOKENS), rtol=0, atol=0)
    assert back.config.tied == ours.config.tied
    assert read_config(tmp_path) == back.config


def test_other_files_of_an_export_are_left_alone(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    save_pretrained(GPT(GPTConfig(97, 16, 1, 32, 4)), tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]


def test_half_precision_is_stored_as_it_is_and_read_as_fp32(tmp_path):
    model = GPT(GPTConfig(97, 32, 2, 32, 4)).to(torch.bfloat16)
    save_pretrained(model, tmp_path)
    assert from_pretrained(tmp_path).wte.weight.dtype == torch.float32
    stored = from_pretrained(tmp_path, dtype=None)
    assert torch.equal(stored.blocks[1].mlp.up.weight, model.blocks[1].mlp.up.weight)


def test_a_checkpoint_gives_every_bit_back(tmp_path):
    model, other = (GPT(GPTConfig(97, 16, 2, 32, 4), seed=seed) for seed in (1, 2))
    save_state(model, tmp_path / "model.safetensors")
    assert set(safetensors.torch.load_file(tmp_path / "model.safetensors")) == set(state_tensors(model))
    assert set(state_tensors(model)) == set(model.state_dict())
    load_state(other, tmp_path / "model.safetensors")
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert b.requires_grad


def test_another_models_checkpoint_is_refused_and_changes_nothing(tmp_path):
    save_state(GPT(GPTConfig(97, 16, 2, 32, 4)), tmp_path / "model.safetensors")
    model = GPT(GPTConfig(97, 16, 3, 64, 4))
    before = model.wte.weight.detach().clone()
    with pytest.raises(ZeroscaleError, match=r"missing: blocks\.2\.ln_1\.weight.*wte\.weight is \[97, 32\], expected"):
        load_state(model, tmp_path / "model.safetensors")
    assert torch.equal(model.wte.weight, before)


def test_reading_never_holds_two_copies(tmp_path):
    """Peak memory of a process that reads 200 MB, over that of one that reads next to nothing."""
    script = """
import resource, sys
from zeroscale.model.weights import from_pretrained
from_pretrained(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
    peaks = []
    for name, shape in (("large", (4, 1024, 16)), ("small", (1, 32, 4))):
        save_pretrained(GPT(GPTConfig(97, 16, *shape)), tmp_path / name)
        result = subprocess.run(
            [sys.executable, "-c", script, tmp_path / name], capture_output=True, text=True, check=True
        )
        peaks.append(int(result.stdout))
    size = (tmp_path / "large" / "model.safetensors").stat().st_size
    assert size > 190e6
    assert peaks[0] - peaks[1] < 1.3 * size
