"""A score belongs to a whole model: the key of a foreign checkpoint covers every file that is read, and no other."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from zeroscale.cli.main import main
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, write_json
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval.load import load
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT
from zeroscale.model.weights import save_pretrained
from zeroscale.runs.resolve import check_unchanged, find_results, resolve_checkpoint


@pytest.fixture
def directory(tmp_path) -> Path:
    save_pretrained(GPT(GPTConfig(257, 32, 1, 16, 2)), tmp_path / "p" / "m", eos=256)
    Tokenizer.bytes().save(tmp_path / "p" / "m")
    return tmp_path / "p" / "m"


def key(directory: Path) -> str:
    return resolve_checkpoint(directory, Path("outputs")).weights_hash


def change_config(directory: Path, **fields: object) -> None:
    write_json(directory / "config.json", {**read_json(directory / "config.json"), **fields})


def test_every_file_that_is_read_is_in_the_key(directory):
    seen = {key(directory)}
    for fields in ({"n_head": 4}, {"activation_function": "relu"}, {"layer_norm_epsilon": 1e-3}, {"n_ctx": 1}):
        change_config(directory, **fields)
        seen.add(key(directory))
    for name in ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (directory / name).write_text((directory / name).read_text() + " ")
        seen.add(key(directory))
    with open(directory / "model.safetensors", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    seen.add(key(directory))
    assert len(seen) == 11


def test_what_is_not_read_is_not_in_the_key(directory):
    before = key(directory)
    for name in ("README.md", "pytorch_model.bin", "model-00001-of-00002.safetensors", "model.safetensors.index.json"):
        (directory / name).write_text("not read")
        assert key(directory) == before
    assert key(directory.parent / "." / "m") == before


def test_of_shards_the_index_and_those_that_it_names_are_in_the_key(directory):
    (directory / "model.safetensors").rename(directory / "part4.safetensors")
    index = directory / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"wte.weight": "part4.safetensors"}}))
    (directory / "model-00001-of-00001.safetensors").write_text("of another index")
    target = resolve_checkpoint(directory, Path("outputs"))
    weights = {"model.safetensors.index.json", "part4.safetensors"}
    assert {name for name in target.files if "safetensors" in name} == weights
    (directory / "part4.safetensors").write_text("other")
    second = key(directory)
    assert second != target.weights_hash
    (directory / "model-00001-of-00001.safetensors").unlink()
    assert key(directory) == second
    index.write_text(json.dumps({"weight_map": {"wpe.weight": "part4.safetensors"}}))
    assert key(directory) != second


def test_one_name_in_two_folders_is_two_models_unless_they_are_the_same(directory, tmp_path):
    other = tmp_path / "q" / "m"
    shutil.copytree(directory, other)
    (where,), (there,) = (find_results(str(path), tmp_path) for path in (directory, other))
    assert where.out == there.out
    change_config(other, n_head=4)
    (there,) = find_results(str(other), tmp_path)
    assert where.out.parent.name.startswith("m-") and where.out != there.out
    (tmp_path / "link").symlink_to(other)
    assert resolve_checkpoint(tmp_path / "link", tmp_path).out == there.out


def test_the_scores_of_another_model_are_never_served(directory, tmp_path, monkeypatch):
    """The right value is that of a fresh folder of outputs."""
    command = ["eval", "cards=[wikitext2]", "cards_from=sample", "limit=3"]
    monkeypatch.chdir(tmp_path)

    def token_perplexity(model: Path, outputs: str) -> float:
        assert main([*command, f"checkpoint={model}", f"output_dir={outputs}"]) == 0
        (out,) = [ref.out for ref in find_results(str(model), tmp_path / outputs)]
        source = read_json(out.parent / "source.json")
        assert source["checkpoint"] == str(model) and source["files"]["config.json"]
        return read_json(out / "wikitext2.paper.json")["metrics"]["token_perplexity"]["value"]

    with torch.no_grad():
        save_pretrained(GPT(GPTConfig(257, 32, 2, 24, 4), seed=3).apply(_louder), directory, eos=256)
    first = token_perplexity(directory, "outputs")
    change_config(directory, n_head=2)
    second = token_perplexity(directory, "outputs")
    assert second == token_perplexity(directory, "fresh") and second != first
    assert token_perplexity(directory, "outputs") == second
    other = tmp_path / "q" / "m"
    shutil.copytree(directory, other)
    change_config(other, n_head=4)
    assert token_perplexity(other, "outputs") == first


def _louder(module: torch.nn.Module) -> None:
    for parameter in module.parameters(recurse=False):
        if parameter.dim() == 2:
            parameter.mul_(12)


def test_a_journal_of_another_model_is_not_gone_on_with(directory, tmp_path):
    from zeroscale.eval.engine.journal import AnswerLog
    from zeroscale.eval.results import Key

    def answers_key() -> str:
        return Key("c", "paper", "sample", "h", "d", key(directory), "t", None, 0, 0, 0).answers

    log = AnswerLog(tmp_path / "journal", answers_key())
    log.append({0: []}, {})
    assert AnswerLog(tmp_path / "journal", answers_key()).read()[0]
    change_config(directory, n_head=4)
    assert not AnswerLog(tmp_path / "journal", answers_key()).read()[0]


def test_a_directory_that_is_written_while_it_is_read_is_refused(directory):
    target = resolve_checkpoint(directory, Path("outputs"))
    check_unchanged(target)
    (directory / "README.md").write_text("not read")
    check_unchanged(target)
    change_config(directory, n_head=4)
    with pytest.raises(ZeroscaleError, match=r"config\.json changed while it was read"):
        load(target)


def test_every_file_of_transformers_own_tokenizers_is_in_the_key():
    transformers = pytest.importorskip("transformers")
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    from zeroscale.core.hub.model_files import TOKENIZER_FILES

    names = {"tokenizer.json", "tiktoken.model", "tekken.json"}
    for found in set(TOKENIZER_MAPPING_NAMES.values()) - {None}:
        try:
            names |= set(getattr(transformers, found).vocab_files_names.values())
        except (ImportError, AttributeError):  # of a package that is not here
            continue
    assert names <= set(TOKENIZER_FILES)


def test_the_scores_of_a_run_are_not_those_of_an_edited_meta_json(trained):
    checkpoint = max((trained / "checkpoints").glob("step-*"))
    assert resolve_checkpoint(checkpoint, Path("outputs")).weights_hash
    meta = read_json(checkpoint / "meta.json")
    model = meta["settings"]["model"]
    model["n_head"] = 1 if model["n_head"] != 1 else 2
    write_json(checkpoint / "meta.json", meta)
    with pytest.raises(ZeroscaleError, match=r"meta\.json: its settings are not those that it was written with"):
        resolve_checkpoint(checkpoint, Path("outputs"))
