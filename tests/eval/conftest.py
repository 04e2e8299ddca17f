"""Small things that every test of the harness may use: a tiny model with random weights, byte tokens, real data."""

import os
from pathlib import Path

import pytest

from zeroscale.data.tokenizer import Tokenizer
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.bytes()


@pytest.fixture(scope="session")
def model() -> GPT:
    """Random weights, wide enough that the logits differ: 257 bytes, 128 positions."""
    gpt = GPT(GPTConfig(vocab_size=257, n_positions=128, n_layer=2, d_model=32, n_head=2)).eval()
    for parameter in gpt.parameters():
        parameter.data.mul_(4.0 if parameter.dim() > 1 else 1.0)
    return gpt


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real benchmark files."""
    where = os.environ.get("ZEROSCALE_DATA")
    if not where:
        pytest.skip("ZEROSCALE_DATA is not set: the benchmarks' own files are not at hand")
    return Path(where)
