"""Scoring cards end to end: files on disk, skipping what is finished, redoing what is stale, real data."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from zeroscale.errors import ZeroscaleError
from zeroscale.harness import card as cards
from zeroscale.harness import evaluate, intervals, results, tasks
from zeroscale.harness.engine import Engine
from zeroscale.model.gpt import GPT
from zeroscale.tokenizer import Tokenizer

FAST = ["lambada", "wikitext2"]


def score(model: GPT, tokenizer: Tokenizer, out: Path, wanted: list[str], **changed: Any) -> list[evaluate.Result]:
    settings = {"source": "sample", "data_dir": None, "weights_hash": "w", "bootstrap": 100} | changed
    return evaluate.score_cards(model, tokenizer, wanted, out=out, **settings)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests each run of the engine got."""
    runs: list[int] = []
    run = Engine.run
    monkeypatch.setattr(Engine, "run", lambda self, asked, *rest: runs.append(len(asked)) or run(self, asked, *rest))
    return runs


def test_every_card_scores_its_sample(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    scored = score(model, tokenizer, tmp_path, ["core"])
    assert torch.equal(before, torch.get_rng_state())
    assert len(scored) == 8
    for result in scored:
        content = json.loads((tmp_path / f"{result.card}.paper.json").read_text())
        assert content["is_sample"] is True and content["source"] == "sample"
        assert content["n"] >= 12
        for name, metric in content["metrics"].items():
            assert math.isfinite(metric["value"]), name
            assert metric["low"] <= metric["high"]
            assert metric["units"] >= 12
        assert {"card_hash", "data_hash", "weights_hash", "tokenizer", "seconds", "truncated", "left_out"} <= set(
            content
        )
        records = results.read_records(tmp_path, result.card, "paper")
        assert len(records) == content["n"]
        assert {"id", "unit", "truncated"} <= set(records[0])
        assert results.Result.from_json(content) == result


def test_records_give_the_scores_again_without_the_model(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    for result in score(model, tokenizer, tmp_path, ["lambada", "coqa", "wmt14_fr_en"]):
        (card,) = cards.resolve([result.card])
        family = tasks.family(card.family)
        records = results.read_records(tmp_path, result.card, "paper")
        for measured in family.measure(records, family.Options(**card.options("paper"))):
            rows = intervals.by_unit(measured.statistics, measured.units)
            for name, interval in intervals.bootstrap(rows, measured.metric.values, 0, 100).items():
                assert interval.value == pytest.approx(result.metrics[name].value)
                assert interval.low == pytest.approx(result.metrics[name].low)


def test_what_is_finished_is_not_scored_again(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int]
) -> None:
    first = score(model, tokenizer, tmp_path, FAST)
    runs = len(counted)
    again = score(model, tokenizer, tmp_path, FAST)
    assert len(counted) == runs == 2
    assert [result.to_json() for result in again] == [result.to_json() for result in first]


@pytest.mark.parametrize("change", [{"weights_hash": "other"}, {"limit": 3}, {"seed": 1}, {"bootstrap": 50}])
def test_what_is_stale_is_redone(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int], change: dict[str, Any]
) -> None:
    score(model, tokenizer, tmp_path, ["lambada"])
    (redone,) = score(model, tokenizer, tmp_path, ["lambada"], **change)
    assert len(counted) == 2
    assert len(results.read_records(tmp_path, "lambada", "paper")) == redone.n


def test_changed_data_another_tokenizer_and_lost_records_are_redone(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int]
) -> None:
    file = tmp_path / "lambada_test.jsonl"
    file.write_text('{"text": "one two three"}\n{"text": "four five six"}\n')
    files = {"source": "files", "data_dir": tmp_path}
    score(model, tokenizer, tmp_path, ["lambada"], **files)
    file.write_text('{"text": "one two three"}\n{"text": "four five seven"}\n')
    score(model, tokenizer, tmp_path, ["lambada"], **files)
    assert len(counted) == 2
    (tmp_path / "lambada.paper.examples.parquet").unlink()
    score(model, tokenizer, tmp_path, ["lambada"], **files)
    assert len(counted) == 3
    (tmp_path / "lambada.paper.json").write_text('{"key": ')
    score(model, tokenizer, tmp_path, ["lambada"], **files)
    assert len(counted) == 4
    same_size = Tokenizer.train_bpe(["aa bb"], 257)
    score(model, same_size, tmp_path, ["lambada"], **files)
    assert len(counted) == (4 if same_size.fingerprint == tokenizer.fingerprint else 5)


def test_an_interrupted_evaluation_keeps_the_cards_that_are_done(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = tasks.family("stream").measure
    monkeypatch.setattr(
        tasks.family("stream"), "measure", staticmethod(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    )
    with pytest.raises(KeyboardInterrupt):
        score(model, tokenizer, tmp_path, FAST)
    assert not (tmp_path / "wikitext2.paper.json").exists()
    monkeypatch.setattr(tasks.family("stream"), "measure", staticmethod(measure))
    score(model, tokenizer, tmp_path, FAST)
    assert len(counted) == 3  # lambada once, wikitext2 twice


def test_what_gave_way_to_a_small_model_is_said(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    wikitext, cbt, translation = score(model, tokenizer, tmp_path, ["wikitext2", "cbt_cn", "wmt14_en_fr"])
    assert any("window 128 instead of 1024" in note for note in wikitext.notes)
    assert cbt.truncated == cbt.n and cbt.truncated_tokens > cbt.n
    assert translation.left_out == 5


def test_a_limit_is_said(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (result,) = score(model, tokenizer, tmp_path, ["lambada"], limit=4)
    assert result.n == 4
    assert "limited to the first 4" in result.notes


def test_unknown_source_is_refused(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(ZeroscaleError, match="files, hub or sample"):
        score(model, tokenizer, tmp_path, ["lambada"], source="web")


REAL = {"lambada": 40, "wikitext2": 3, "cbt_cn": None, "cbt_ne": None, "coqa": 2, "cnn_dailymail": 3, "wmt14_en_fr": 5}


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_scored(model: GPT, tokenizer: Tokenizer, tmp_path: Path, data: Path, name: str) -> None:
    (result,) = score(model, tokenizer, tmp_path, [name], source="files", data_dir=data, limit=REAL[name])
    assert not result.is_sample
    assert result.n >= 1
    assert all(score.value is None or math.isfinite(score.value) for score in result.metrics.values())


def test_wikitext_2_has_the_published_number_of_words(tokenizer: Tokenizer, data: Path) -> None:
    from zeroscale.harness import sources

    (card,) = cards.resolve(["wikitext2"])
    family = tasks.family("stream")
    counts = []
    for count_eos in (True, False):
        task = family(family.Options(**card.options("paper") | {"count_eos": count_eos}), tokenizer, 1024)
        (stream,) = task.examples(sources.read(card, "files", data, task.parse).rows)
        counts.append(sum(len(line.split()) + count_eos for article in stream.articles for line in article.lines))
    assert counts == [245_569, 241_211]  # Merity et al. 2016, table 1 counts <eos>
    assert len(stream.articles) in range(60, 64)


def test_lambada_has_the_published_number_of_passages(data: Path) -> None:
    assert len((data / "lambada" / "lambada_test.jsonl").read_text(encoding="utf-8").splitlines()) == 5153


def test_scoring_leaves_nothing_in_the_users_cache(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    score(model, tokenizer, tmp_path / "out", ["lambada"])
    assert not os.path.exists(tmp_path / "home")
