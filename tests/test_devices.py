"""`zeroscale eval` on several devices, in half precision, and to the bit."""

import json
from pathlib import Path

import pytest

from zeroscale.model import GPT, GPTConfig, weights
from zeroscale.tokenizer import Tokenizer


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    tokenizer = Tokenizer.bytes()
    model = GPT(GPTConfig(vocab_size=257, n_positions=256, n_layer=2, d_model=32, n_head=2), seed=5)
    weights.save_pretrained(model, tmp_path / "tiny", eos=tokenizer.eos)
    tokenizer.save(tmp_path / "tiny")
    return tmp_path / "tiny"


def scores(zeroscale, checkpoint: Path, place: Path, *settings: str) -> dict[str, dict]:
    cards = ("cards=[lambada,coqa,wsc273]", "cards_from=sample", f"output_dir={place}")
    zeroscale("eval", f"checkpoint={checkpoint}", *cards, *settings)
    found = [json.loads(path.read_text()) for path in place.glob("eval/tiny-*/evals/*.paper.json")]
    return {one["card"]: one for one in found}


def test_two_devices_give_what_one_gives(zeroscale, checkpoint, tmp_path):
    one = scores(zeroscale, checkpoint, tmp_path / "one", "deterministic=true")
    two = scores(zeroscale, checkpoint, tmp_path / "two", "deterministic=true", "devices=2")
    assert set(one) == {"lambada", "coqa", "wsc273"}
    for card in one:
        assert one[card]["metrics"] == two[card]["metrics"], card
        assert two[card]["cost"]["tokens"] == one[card]["cost"]["tokens"] > 0
        assert one[card]["deterministic"]


def test_half_precision_is_recorded_and_near(zeroscale, checkpoint, tmp_path):
    full = scores(zeroscale, checkpoint, tmp_path / "outputs")["lambada"]
    half = scores(zeroscale, checkpoint, tmp_path / "outputs", "dtype=bf16")["lambada"]
    assert (full["dtype"], half["dtype"]) == ("fp32", "bf16")
    values = [one["metrics"]["perplexity"]["value"] for one in (full, half)]
    assert values[0] != values[1]
    assert values[1] == pytest.approx(values[0], rel=0.02)
