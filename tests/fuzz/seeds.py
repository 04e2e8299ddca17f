"""The valid input that the fuzzer starts from, made once: a scored run, a study with laws, folders of models."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SMALL, environment, write_texts
from support import study_fixture
from support.once import once


def make(factory: pytest.TempPathFactory) -> Path:
    """A folder with `trained` (texts and outputs/single/CELL), `study` (four sizes, fit.json), `gpt2` and `llama`
    (Hugging Face directories), `bundle` (of the study)."""
    return once(factory, "fuzz-seeds", fill)


def fill(folder: Path) -> None:
    """Makes every seed."""
    write_texts(folder / "trained" / "texts", files=8)
    arguments = ["tokenizer=bpe", "tokenizer.vocab_size=300", "model.vocab_size=320", "trainer.tokens=2560"]
    zeroscale(folder / "trained", "train", *SMALL, *arguments, "cards=[lambada,wsc273]", "cards_from=sample")
    study = study_fixture.write_study(folder / "study" / "outputs" / "four", n_steps=12, fit=False)
    zeroscale(folder / "study", "fit", f"runs={study}", "bootstrap=100")
    folder.joinpath("bundle").mkdir()
    zeroscale(folder / "bundle", "bundle", f"study={study}", "out=four.tar.zst")
    gpt2(folder / "gpt2")
    llama(folder / "llama")


def zeroscale(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "zeroscale", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def gpt2(folder: Path) -> None:
    """A GPT-2 of one layer and one byte a token, as transformers writes it."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from zeroscale.data.tokenizer import Tokenizer

    torch.manual_seed(0)
    shape = {"vocab_size": 257, "n_positions": 64, "n_layer": 1, "n_embd": 16, "n_head": 2}
    GPT2LMHeadModel(GPT2Config(**shape, bos_token_id=256, eos_token_id=256)).eval().save_pretrained(folder)
    Tokenizer.bytes().save(folder)


def llama(folder: Path) -> None:
    """A Llama of one layer with a Metaspace tokenizer, as transformers writes it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    characters = ["<unk>", "<s>", "</s>", "▁", *map(chr, range(33, 127)), "\n"]
    vocab = {token: number for number, token in enumerate([*characters, "th", "he", "the", "▁the", "in", "an", "nd"])}
    merges = [("t", "h"), ("h", "e"), ("th", "e"), ("▁", "the"), ("i", "n"), ("a", "n"), ("n", "d")]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = LlamaConfig(**shape, vocab_size=len(vocab), max_position_embeddings=64, bos_token_id=1, eos_token_id=2)
    LlamaForCausalLM(config).eval().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def copy(source: Path, target: Path) -> Path:
    """A copy of a seed, to be damaged."""
    return Path(shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True))
