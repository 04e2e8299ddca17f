"""Scoring cards end to end: files on disk, skipping what is finished, redoing what is stale, real data."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.marks import Mark
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import evaluate, load, results, tasks
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.engine.engine import Engine
from zeroscale.eval.metrics import bootstrap
from zeroscale.model.gpt import GPT
from zeroscale.runs.results import read_directory

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
            # An interval has a width, or there is none and a note says why.
            unsaid = not any(name in note for note in content["interval_notes"])
            assert metric["low"] < metric["high"] if metric["low"] is not None else not unsaid
            assert metric["units"] >= 12
        assert {"card_hash", "data_hash", "weights_hash", "tokenizer", "seconds", "truncated", "left_out"} <= set(
            content
        )
        records = results.read_records(tmp_path, result.card, "paper")
        assert len(records) == content["n"]
        assert {"id", "unit", "content", "truncated"} <= set(records[0])
        assert {f"score_{name}" for name in content["metrics"]} <= set(records[0])
        assert results.Result.from_json(content) == result


def test_without_a_folder_nothing_is_written_and_the_scores_are_the_same(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (written,) = score(model, tokenizer, tmp_path / "out", ["lambada"])
    monkeypatch.chdir(tmp_path)
    (kept,) = evaluate.score_cards(model, tokenizer, ["lambada"], source="sample", bootstrap=100)
    assert kept.metrics == written.metrics and kept.records_sha256 == ""
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_records_give_the_scores_again_without_the_model(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    for result in score(model, tokenizer, tmp_path, ["lambada", "coqa", "wmt14_fr_en"]):
        (card,) = cards.resolve([result.card])
        family = tasks.task_type(card.family)
        records = results.read_records(tmp_path, result.card, "paper")
        for measured in family.measure(records, family.Options(**card.options("paper"))):
            rows = bootstrap.sum_by_cluster(measured.statistics, measured.clusters)
            bounds = measured.metric.bounds
            for name, interval in bootstrap.bootstrap(rows, measured.metric.values, 0, 100, bounds).items():
                assert interval.value == pytest.approx(result.metrics[name].value)
                assert (interval.low, interval.high) == pytest.approx(
                    (result.metrics[name].low, result.metrics[name].high)
                )


def test_what_is_finished_is_not_scored_again(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int]
) -> None:
    first = score(model, tokenizer, tmp_path, FAST)
    runs = len(counted)
    again = score(model, tokenizer, tmp_path, FAST)
    assert len(counted) == runs == 2
    assert [result.to_json() for result in again] == [result.to_json() for result in first]


@pytest.mark.parametrize("change", [{"weights_hash": "other"}, {"seed": 1}])
def test_what_is_stale_is_redone(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int], change: dict[str, Any]
) -> None:
    score(model, tokenizer, tmp_path, ["lambada"])
    (redone,) = score(model, tokenizer, tmp_path, ["lambada"], **change)
    assert len(counted) == 2
    assert len(results.read_records(tmp_path, "lambada", "paper")) == redone.n


def test_other_intervals_are_made_from_the_records(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int]
) -> None:
    (first,) = score(model, tokenizer, tmp_path, ["lambada"])
    (other,) = score(model, tokenizer, tmp_path, ["lambada"], bootstrap=150)
    assert len(counted) == 1
    (anew,) = score(model, tokenizer, tmp_path / "elsewhere", ["lambada"], bootstrap=150)
    assert other.metrics == anew.metrics != first.metrics and other.key == anew.key


def test_a_limit_that_leaves_nothing_out_is_none(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int]
) -> None:
    (whole,) = score(model, tokenizer, tmp_path, ["wmt14_en_fr"])
    (again,) = score(model, tokenizer, tmp_path, ["wmt14_en_fr"], limit=1000)
    assert again == whole and len(counted) == 1 and "LIMITED" not in again.mark
    assert [note for note in again.notes if "limited" in note] == []


def test_a_part_never_takes_the_place_of_the_whole_benchmark(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A card without a pin: its files are then whatever the reader has, and the whole of it.
    from zeroscale.eval.cards import pins

    standing = pins.DataCheck(True, "content as pinned", "")
    monkeypatch.setattr(pins, "check", lambda *_: standing)
    (tmp_path / "lambada_test.jsonl").write_text("".join(f'{{"text": "one two {n}"}}\n' for n in range(9)))
    files = {"source": "files", "data_dir": tmp_path}
    (whole,) = score(model, tokenizer, tmp_path / "out", ["lambada"], **files)
    (part,) = score(model, tokenizer, tmp_path / "out", ["lambada"], limit=4, **files)
    (sample,) = score(model, tokenizer, tmp_path / "out", ["lambada"])
    assert (whole.mark, part.mark, sample.mark) == ("", "LIMITED to the first 4", "SAMPLE, no benchmark")
    assert results.load(tmp_path / "out", "lambada", "paper") == whole
    assert len(results.records_of(tmp_path / "out", whole)) == 9
    assert score(model, tokenizer, tmp_path / "out", ["lambada"], **files) == [whole] and len(counted) == 3
    assert score(model, tokenizer, tmp_path / "out", ["lambada"]) == [sample] and len(counted) == 3
    assert [file.content["n"] for file in read_directory(tmp_path / "out")] == [9]


def test_more_of_a_benchmark_replaces_less_of_it_in_whatever_order(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int]
) -> None:
    # Without a pin the card's files are whatever the reader has: nothing says that they are the benchmark.
    card = yaml.safe_load((paths.evals() / "lambada.yaml").read_text())
    card |= {"name": "mine", "sources": {"files": {"directory": "mine", "names": [["mine.jsonl"]]}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(card))
    (tmp_path / "mine.jsonl").write_text("".join(f'{{"text": "one two {n}"}}\n' for n in range(9)))
    files = {"source": "files", "data_dir": tmp_path}
    standing = []
    for limit in (2, 5, 3, None, 4):
        score(model, tokenizer, tmp_path / "out", [str(tmp_path / "mine.yaml")], limit=limit, **files)
        standing += [file.content["n"] for file in read_directory(tmp_path / "out")]
    assert standing == [2, 5, 5, 9, 9]
    (file,) = read_directory(tmp_path / "out")
    assert [reason.mark for reason in file.marks] == [Mark.UNPINNED] and not file.is_part


def test_one_bad_card_does_not_stop_the_others(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "lambada_test.jsonl").write_text('{"text": "one"}\n')
    (tmp_path / "wiki.test.tokens").write_text(" = Title = \n one two three \n = Other = \n four five \n")
    files = {"source": "files", "data_dir": tmp_path, "allow_other_data": True}
    faults: list[tuple[str, str]] = []
    done = score(
        model,
        tokenizer,
        tmp_path / "out",
        ["lambada", "coqa", "wikitext2"],
        on_fault=lambda name, error: faults.append((name, str(error))),
        **files,
    )
    assert [result.card for result in done] == ["wikitext2"]
    assert [name for name, _ in faults] == ["lambada", "coqa"]
    assert "lambada_test.jsonl, line 1: " in faults[0][1] and "coqa" in faults[1][1]
    with pytest.raises(ZeroscaleError, match="line 1"):
        score(model, tokenizer, tmp_path / "out", ["lambada", "wikitext2"], **files)


def test_all_data_are_checked_before_anything_is_scored(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int]
) -> None:
    (tmp_path / "wiki.test.tokens").write_text(" = Title = \n one two three \n")
    with pytest.raises(ZeroscaleError, match="coqa"):
        files = {"source": "files", "data_dir": tmp_path, "allow_other_data": True}
        score(model, tokenizer, tmp_path / "out", ["wikitext2", "coqa"], **files)
    assert counted == []


@pytest.mark.parametrize(("file", "card"), [("lambada_test.jsonl", "lambada"), ("wiki.test.tokens", "wikitext2")])
def test_an_empty_split_is_a_message(model: GPT, tokenizer: Tokenizer, tmp_path: Path, file: str, card: str) -> None:
    (tmp_path / file).write_text("")
    with pytest.raises(ZeroscaleError, match="holds no examples"):
        score(model, tokenizer, tmp_path, [card], source="files", data_dir=tmp_path)


def test_weights_that_are_no_numbers_are_a_message_and_leave_no_score(tokenizer: Tokenizer, tmp_path: Path) -> None:
    from zeroscale.model.config import GPTConfig

    broken = GPT(GPTConfig(vocab_size=257, n_positions=128, n_layer=1, d_model=16, n_head=1)).eval()
    broken.blocks[0].mlp.up.weight.data[3, 3] = math.nan
    with pytest.raises(ZeroscaleError, match="not finite"):
        score(broken, tokenizer, tmp_path, ["lambada"])
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize("card", ["lambada", "cbt_cn", "wikitext2", "coqa", "wmt14_en_fr"])
def test_records_hold_every_tokens_log_probability_where_asked(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int], card: str
) -> None:
    (plain,) = score(model, tokenizer, tmp_path, [card])
    (result,) = score(model, tokenizer, tmp_path, [card], token_logprobs=True)
    assert len(counted) == 2 and result.metrics == plain.metrics
    rows = results.read_records(tmp_path, card, "paper")
    for row in rows:
        per_request = row["logprobs_per_token"]
        assert all(value <= 0 for one in per_request for value in one)
        if card == "cbt_cn":
            assert [sum(one) for one in per_request] == pytest.approx(row["logprobs"], abs=1e-4)
            assert [len(one) for one in row["greedy_per_token"]] == [len(one) for one in per_request]
        elif "logprob" in row:
            assert sum(per_request[0]) == pytest.approx(row["logprob"], abs=1e-3)
        else:
            assert len(per_request) == 1 and isinstance(row["generation"], str)
    score(model, tokenizer, tmp_path, [card])
    assert len(counted) == 2  # records that hold more serve those who ask for less


def test_the_size_that_stands_beside_the_score_is_the_papers_count() -> None:
    import torch

    from zeroscale.eval.published import SIZES
    from zeroscale.model.config import GPTConfig

    with torch.device("meta"):
        small = GPT(GPTConfig(vocab_size=50257, n_positions=1024, n_layer=12, d_model=768, n_head=12))
        untied = GPT(GPTConfig(vocab_size=50257, n_positions=1024, n_layer=12, d_model=768, n_head=12, tied=False))
    assert load.params_non_embedding(small) == SIZES["small"]
    assert load.params_non_embedding(untied) == SIZES["small"]


def test_changed_data_another_tokenizer_and_lost_records_are_redone(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, counted: list[int]
) -> None:
    file = tmp_path / "lambada_test.jsonl"
    file.write_text('{"text": "one two three"}\n{"text": "four five six"}\n')
    files = {"source": "files", "data_dir": tmp_path, "allow_other_data": True}
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
    measure = tasks.task_type("stream").measure
    monkeypatch.setattr(
        tasks.task_type("stream"), "measure", staticmethod(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    )
    with pytest.raises(KeyboardInterrupt):
        score(model, tokenizer, tmp_path, FAST)
    assert not (tmp_path / "wikitext2.paper.json").exists()
    monkeypatch.setattr(tasks.task_type("stream"), "measure", staticmethod(measure))
    score(model, tokenizer, tmp_path, FAST)
    assert len(counted) == 2  # what was answered is not asked again, though it was never measured
    assert not list(tmp_path.glob(".*.journal"))


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
    (result,) = score(
        model, tokenizer, tmp_path, [name], source="files", data_dir=data, limit=REAL[name], allow_other_data=True
    )
    assert not result.is_sample
    assert result.n >= 1
    assert all(score.value is None or math.isfinite(score.value) for score in result.metrics.values())


def test_lambada_has_the_published_number_of_passages(data: Path) -> None:
    assert len((data / "lambada" / "lambada_test.jsonl").read_text(encoding="utf-8").splitlines()) == 5153


def test_scoring_leaves_nothing_in_the_users_cache(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    score(model, tokenizer, tmp_path / "out", ["lambada"])
    assert not os.path.exists(tmp_path / "home")
