"""The token budget by free memory."""

import pytest
import torch

from zeroscale.eval.engine import batch_size
from zeroscale.eval.engine.engine import Engine
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT


def budget(monkeypatch, free: int, device: str = "cpu") -> int:
    monkeypatch.setattr(batch_size, "_free", lambda _: free)
    model = GPT(GPTConfig(vocab_size=64, n_positions=1024, n_layer=1, d_model=768, n_head=12))
    return batch_size.batch_tokens(model, torch.device(device))


def test_more_memory_gives_larger_batches_up_to_what_keeps_a_device_busy(monkeypatch):
    found = [budget(monkeypatch, free * 2**20) for free in (1, 100, 1000, 10**6)]
    assert found == sorted(found) and found[0] < 64 and found[-1] == 8192
    assert budget(monkeypatch, 2**40, "cuda") == 65536
    assert budget(monkeypatch, 0) == 1


@pytest.mark.parametrize("free", [10**8, 1.01 * 10**8])
def test_a_little_more_or_less_changes_no_batch(monkeypatch, free):
    assert budget(monkeypatch, int(free)) == budget(monkeypatch, 10**8)


def test_what_is_found_fits(monkeypatch):
    """The blocks' states alone, by their shapes: residual and norm, queries, keys, values, inner layer twice."""
    tokens = budget(monkeypatch, 2**30)
    assert 4 * tokens * 768 * (2 + 3 + 8) < 2**30


def test_an_engine_asks_for_it_once_and_takes_what_it_is_given(model, tokenizer, monkeypatch):
    asked = []
    monkeypatch.setattr(batch_size, "batch_tokens", lambda *_: asked.append(1) or 96)
    engine = Engine(model, tokenizer)
    assert engine.batch_tokens == 96
    assert Engine(model, tokenizer, 500).batch_tokens == 500
    assert len(asked) == 1
