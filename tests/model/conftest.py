"""Random GPT-2s made by transformers, the reference of this room, and ours beside them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def reference() -> Callable:
    """reference(**GPT2Config fields) → a GPT2LMHeadModel in which no weight is a special number.

    transformers starts biases at 0 and norms at 1: a model that forgot them would pass.
    """
    transformers = pytest.importorskip("transformers")

    def make(**fields):
        tiny = {"vocab_size": 211, "n_positions": 32, "n_layer": 3, "n_embd": 48, "n_head": 4}
        dropouts = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        special = {"bos_token_id": None, "eos_token_id": None}
        torch.manual_seed(fields.pop("seed", 0))
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**{**tiny, **dropouts, **special, **fields}))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 1:
                    parameter.add_(torch.randn_like(parameter), alpha=0.1)
        return model.eval()

    return make


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Path]:
    """A directory for gigabytes: emptied at once, where pytest would keep it for three runs."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def saved(reference, roomy: Path) -> Callable:
    """saved(**fields) → (transformers' model, the directory it was saved to)."""

    def make(**fields):
        model = reference(**fields)
        directory = roomy / "saved"
        model.save_pretrained(directory)
        return model, directory

    return make


@pytest.fixture
def lively() -> GPT:
    """A tiny model with weights large enough that its next token depends on the whole context."""
    model = GPT(GPTConfig(vocab_size=257, n_positions=48, n_layer=3, d_model=64, n_head=4), seed=7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() >= 2:
                parameter.mul_(2.0 if name.startswith("w") else 6.0)
    return model.eval()
