"""Scores from the records alone: the same again, other intervals, and records that are not those of their result."""

import dataclasses
import json
from pathlib import Path

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import evaluate, rescore, results
from zeroscale.eval.held_out import HeldOutText, score_held_out
from zeroscale.model.gpt import GPT

CARDS = ["lambada", "coqa", "cbt_cn", "wikitext2", "cnn_dailymail", "wmt14_en_fr"]


@pytest.fixture(scope="module")
def scored(model: GPT, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample of every family, and held-out text."""
    out = tmp_path_factory.mktemp("scored")
    options = {"source": "sample", "data_dir": None, "weights_hash": "w", "bootstrap": 200}
    evaluate.score_cards(model, tokenizer, CARDS, out=out, **options)
    text = HeldOutText(tokenizer.encode("a text of some length, held out. " * 40), tokenizer, 64)
    score_held_out(text, model, out=out, weights_hash="w", corpus="c", bootstrap=200)
    return out


@pytest.fixture
def out(scored: Path, tmp_path: Path) -> Path:
    """A copy of it to be written to."""
    for path in scored.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_every_familys_scores_come_out_again_to_the_last_bit(out: Path) -> None:
    names = results.names(out)
    assert names[0] == ("held_out", "corpus") and len(names) == 1 + len(CARDS)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for card, protocol in names:
        was, now = rescore.again(out, card, protocol, seed=0, bootstrap=200)
        assert now == was
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_another_seed_changes_the_intervals_and_no_score(out: Path) -> None:
    was, now = rescore.again(out, "lambada", "paper", seed=5, bootstrap=400)
    assert {name: score.value for name, score in now.metrics.items()} == {
        name: score.value for name, score in was.metrics.items()
    }
    assert now.metrics["perplexity"].low != was.metrics["perplexity"].low
    assert (now.key.interval_seed, now.key.bootstrap, now.key.seed) == (5, 400, 0)
    assert results.load(out, "lambada", "paper") == now
    assert now.key.answers == was.key.answers  # the model's answers are as good as they were
    back = rescore.again(out, "lambada", "paper", seed=0, bootstrap=200)[1]
    assert back == was


def test_a_wrong_score_in_the_file_is_put_right(out: Path) -> None:
    summary, _ = results.paths(out, "lambada", "paper")
    content = json.loads(summary.read_text())
    right = content["metrics"]["perplexity"]["value"]
    content["metrics"]["perplexity"]["value"] = 1.0
    summary.write_text(json.dumps(content))
    was, now = rescore.again(out, "lambada", "paper", seed=0, bootstrap=200)
    assert was.metrics["perplexity"].value == 1.0 and now.metrics["perplexity"].value == right


def test_records_that_are_not_those_of_the_result_are_refused(out: Path) -> None:
    _, records = results.paths(out, "coqa", "paper")
    _, others = results.paths(out, "lambada", "paper")
    records.write_bytes(others.read_bytes())
    with pytest.raises(
        ZeroscaleError, match=r"coqa\.paper\.examples\.parquet is not what coqa\.paper\.json was made from"
    ):
        rescore.again(out, "coqa", "paper", seed=0, bootstrap=200)
    records.unlink()
    with pytest.raises(ZeroscaleError, match="has lost its records"):
        rescore.again(out, "coqa", "paper", seed=0, bootstrap=200)
    with pytest.raises(ZeroscaleError, match="is not there"):
        rescore.again(out, "ptb", "paper", seed=0, bootstrap=200)


def test_what_an_older_harness_asked_stays_its_own_when_it_is_scored_again(out: Path) -> None:
    now = results.load(out, "lambada", "paper")
    assert now is not None
    old = dataclasses.replace(now, key=dataclasses.replace(now.key, version=now.key.version - 1))
    results.rewrite(out, old)
    rescored = rescore.again(out, "lambada", "paper", seed=1, bootstrap=200)[1]
    assert rescored.key.version == now.key.version - 1
    assert results.answered(out, now.key) is None
