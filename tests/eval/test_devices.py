"""`zeroscale eval` on several devices, in half precision, and to the bit."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from zeroscale.config.commands.eval import EvalConfig
from zeroscale.config.validate import build_config
from zeroscale.core import machine, paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import run
from zeroscale.model import weights
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT
from zeroscale.runs import resolve

CARDS = ["lambada", "coqa", "wsc273"]


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    tokenizer = Tokenizer.bytes()
    model = GPT(GPTConfig(vocab_size=257, n_positions=256, n_layer=2, d_model=32, n_head=2), seed=5)
    weights.save_pretrained(model, tmp_path / "tiny", eos=tokenizer.eos)
    tokenizer.save(tmp_path / "tiny")
    return tmp_path / "tiny"


def written(place: Path) -> dict[str, dict]:
    found = [json.loads(path.read_text()) for path in place.glob("eval/tiny-*/evals/*.paper.json")]
    return {one["card"]: one for one in found}


def scored(checkpoint: Path, place: Path, **settings) -> dict[str, dict]:
    """What `zeroscale eval` writes, without the time that a process of its own takes to start."""
    defaults = yaml.safe_load((paths.conf() / "eval.yaml").read_text())
    asked = {"checkpoint": str(checkpoint), "cards": CARDS, "cards_from": "sample", "output_dir": str(place)}
    wanted = build_config(EvalConfig, {**defaults, **asked, **settings})
    run.score(resolve.resolve_checkpoint(checkpoint, place), wanted)
    return written(place)


@pytest.fixture
def process_threads():
    """Sets this process's number of threads for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_deterministic_two_devices_give_the_bits_of_one(zeroscale, checkpoint, tmp_path, process_threads):
    """Whatever the number of threads of the process that has one device."""
    process_threads(3)
    one = scored(checkpoint, tmp_path / "one", deterministic=True)
    assert torch.get_num_threads() == 3, "the process keeps its own"
    asked = (f"cards=[{','.join(CARDS)}]", "cards_from=sample", f"output_dir={tmp_path / 'two'}")
    done = zeroscale("eval", f"checkpoint={checkpoint}", *asked, "deterministic=true", "devices=2")
    two = written(tmp_path / "two")
    assert set(one) == set(two) == set(CARDS)
    for card in one:
        assert one[card]["metrics"] == two[card]["metrics"], card
        assert two[card]["cost"]["tokens"] == one[card]["cost"]["tokens"] > 0
        assert one[card]["deterministic"] and one[card]["threads"] == two[card]["threads"] == 1
        assert [of["made"]["devices"] for of in (one[card], two[card])] == [1, 2]
        assert one[card]["made"]["threads"] == two[card]["made"]["threads"] == 1
        assert f"{card}: {one[card]['n']} scored in" in done.stdout + done.stderr


def test_the_fixed_number_of_threads_is_part_of_what_a_result_depends_on(checkpoint, tmp_path):
    def key(**settings):
        return scored(checkpoint, tmp_path, cards=["lambada"], **settings)["lambada"]["key"]

    one = key(deterministic=True)
    assert key(deterministic=True, threads=2) != one != key()
    assert key(deterministic=True, threads=1) == one
    assert key(threads=1) == key(threads=2), "not fixed, not promised"


def test_fixed_threads_are_not_shared_out_among_devices(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "cpu_cores", lambda: 4)
    with pytest.raises(ZeroscaleError, match=r"threads=3 devices=2 takes 6 cores.*has 4"):
        scored(checkpoint, tmp_path, deterministic=True, threads=3, devices=2)


def test_half_precision_is_recorded_and_near(checkpoint, tmp_path):
    full = scored(checkpoint, tmp_path / "outputs", cards=["lambada"])["lambada"]
    half = scored(checkpoint, tmp_path / "outputs", cards=["lambada"], dtype="bf16")["lambada"]
    assert (full["dtype"], half["dtype"]) == ("fp32", "bf16")
    values = [one["metrics"]["perplexity"]["value"] for one in (full, half)]
    assert values[0] != values[1]
    assert values[1] == pytest.approx(values[0], rel=0.02)


def test_a_result_says_what_it_took(checkpoint, tmp_path):
    said: list[str] = []
    defaults = yaml.safe_load((paths.conf() / "eval.yaml").read_text())
    asked = {"checkpoint": str(checkpoint), "cards": ["wsc273"], "cards_from": "sample", "output_dir": str(tmp_path)}
    run.score(
        resolve.resolve_checkpoint(checkpoint, tmp_path), build_config(EvalConfig, {**defaults, **asked}), said.append
    )
    cost = written(tmp_path)["wsc273"]["cost"]
    assert min(cost[name] for name in ("seconds", "tokens", "saved")) > 0
    assert cost["tokens_per_second"] == pytest.approx(cost["tokens"] / cost["seconds"])
    assert cost["peak_memory"] > 2**24, "a process with torch in it holds more than 16 MiB"
    (line,) = [line for line in said if " scored in " in line]
    assert f"{cost['tokens']:,.0f} tokens computed" in line and "saved by sharing" in line and "peak memory" in line
