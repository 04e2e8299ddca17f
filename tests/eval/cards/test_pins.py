"""Data are the benchmark only if their number and content are as pinned; anything else is said, or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import evaluate, tasks
from zeroscale.eval.cards import card as cards
from zeroscale.eval.cards import examples, pins, registry, sources
from zeroscale.eval.cards.card import Card
from zeroscale.eval.cards.rows import MissingData, Row, jsonl
from zeroscale.model.gpt import GPT

ROWS = [{"question": f"what is number {n}", "answer": [str(n)]} for n in range(30)]


def rows(*contents: dict[str, Any]) -> list[Row]:
    return [Row("here", content) for content in contents]


def pinned(tmp_path: Path, pin: dict[str, Any] | None, **files: Any) -> Card:
    """A card of one's own for tmp_path/mine.jsonl."""
    content = yaml.safe_load((paths.evals() / "natural_questions.yaml").read_text())
    content |= {
        "name": "mine",
        "sources": {"files": {"directory": "mine", "names": [["mine.jsonl"]], "pin": pin} | files},
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return registry.load(path)


def write(path: Path, contents: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(content) + "\n" for content in contents))


def load(card: Card, data_dir: Path, tokenizer: Tokenizer, allow: bool = False, **changed: Any) -> tuple[Any, Any]:
    family = tasks.task_type(card.family)
    task = family(family.Options(**card.options("paper") | changed), tokenizer, 1024)
    return examples.load(card, task, "files", data_dir, allow), task


def test_the_digest_is_of_content_and_not_of_white_space_or_other_fields() -> None:
    columns = ("question", "answer")
    one = pins.digest(rows({"question": "a b", "answer": ["c", "d"], "id": 1}), columns)
    assert one == pins.digest(rows({"answer": ["c ", "d\n"], "question": " a  b\n"}), columns)
    assert one != pins.digest(rows({"question": "a b", "answer": ["d", "c"]}), columns)
    assert one != pins.digest(rows({"question": "a c", "answer": ["c", "d"]}), columns)
    two = rows({"question": "a", "answer": []}, {"question": "b", "answer": []})
    assert pins.digest(two, columns) != pins.digest(two[::-1], columns)
    assert pins.digest(rows({"id": 1}), None) != pins.digest(rows({"id": 2}), None)


def test_whole_and_unchanged_data_are_the_benchmark(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write(tmp_path / "mine.jsonl", ROWS)
    digest = pins.digest(rows(*ROWS), ("question", "answer"))
    loaded, _ = load(pinned(tmp_path, {"rows": 30, "called": "riddles", "sha256": digest}), tmp_path, tokenizer)
    assert loaded.check == pins.DataCheck(True, "30 riddles, content as pinned", digest)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (ROWS[:12], "part: 12 of 30 riddles"),
        ([*ROWS, ROWS[0]], "other data: 31 riddles where the benchmark has 30"),
        ([*ROWS[:-1], {"question": "another", "answer": ["x"]}], "and the card pins " + "0" * 64),
    ],
)
def test_other_data_are_refused_unless_asked_for_and_then_said(
    tmp_path: Path, tokenizer: Tokenizer, kept: list[dict[str, Any]], said: str
) -> None:
    write(tmp_path / "mine.jsonl", kept)
    card = pinned(tmp_path, {"rows": 30, "called": "riddles", "sha256": "0" * 64})
    with pytest.raises(pins.DataMismatch) as caught:
        load(card, tmp_path, tokenizer)
    message = str(caught.value)
    assert "mine.jsonl is not the benchmark" in message and said in message and "allow_other_data=true" in message
    loaded, _ = load(card, tmp_path, tokenizer, allow=True)
    assert not loaded.check.benchmark and said in loaded.check.words


def test_a_mismatch_says_both_hashes(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write(tmp_path / "mine.jsonl", ROWS)
    with pytest.raises(ZeroscaleError) as caught:
        load(pinned(tmp_path, {"rows": 30, "called": "riddles", "sha256": "0" * 64}), tmp_path, tokenizer)
    assert pins.digest(rows(*ROWS), ("question", "answer")) in str(caught.value) and "0" * 64 in str(caught.value)


def test_what_cannot_be_compared_is_scored_and_said(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write(tmp_path / "mine.jsonl", ROWS)
    loaded, _ = load(pinned(tmp_path, {"rows": 30, "called": "riddles"}), tmp_path, tokenizer)
    assert not loaded.check.benchmark and "as many riddles as published (30)" in loaded.check.words
    loaded, _ = load(pinned(tmp_path, None), tmp_path, tokenizer)
    assert "pins no content (sha256 here: " + pins.digest(rows(*ROWS), ("question", "answer")) in loaded.check.words


def test_an_excerpt_that_the_card_knows_is_never_taken_for_the_benchmark(tmp_path: Path, tokenizer: Tokenizer) -> None:
    excerpts = [{"names": ["few.jsonl"], "what": "riddles for children"}]
    write(tmp_path / "few.jsonl", ROWS)
    card = pinned(tmp_path, {"rows": 30, "called": "riddles"}, excerpts=excerpts)
    with pytest.raises(pins.DataMismatch, match="riddles for children"):
        load(card, tmp_path, tokenizer)
    with pytest.raises(pins.DataMismatch, match="riddles for children"):
        load(pinned(tmp_path, None, excerpts=excerpts), tmp_path, tokenizer)
    loaded, _ = load(card, tmp_path, tokenizer, allow=True)
    assert loaded.check.words == "other data: riddles for children"
    write(tmp_path / "mine.jsonl", ROWS)  # once the whole is there, it is read
    loaded, _ = load(card, tmp_path, tokenizer)
    assert loaded.origin == ["mine.jsonl"]


def test_a_sample_says_that_it_is_one(tokenizer: Tokenizer) -> None:
    (card,) = registry.resolve(["natural_questions"])
    family = tasks.task_type(card.family)
    task = family(family.Options(**card.options("paper")), tokenizer, 1024)
    loaded = examples.load(card, task, "sample", None)
    assert loaded.check.words == "sample: 20 hand-written examples, not the benchmark"


WHOLE = ["lambada", "wikitext2", "wmt14_en_fr", "wmt14_fr_en", "wsc273", "natural_questions"]


@pytest.mark.parametrize("name", WHOLE)
def test_released_files_are_as_pinned(data: Path, tokenizer: Tokenizer, name: str) -> None:
    (card,) = registry.resolve([name])
    loaded, _ = load(card, data, tokenizer)
    assert loaded.check.benchmark, loaded.check.words


PARTS = {
    "coqa": "part: 150 of 500 stories",
    "cnn_dailymail": "part: 200 of 11,490 articles",
    "cbt_cn": "part: 1 of 2,000 questions",
    "cbt_ne": "part: 1 of 2,000 questions",
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_a_benchmark_are_named_as_such(data: Path, tokenizer: Tokenizer, name: str) -> None:
    (card,) = registry.resolve([name])
    with pytest.raises(pins.DataMismatch, match=PARTS[name]):
        load(card, data, tokenizer)
    loaded, _ = load(card, data, tokenizer, allow=True)
    assert PARTS[name] in loaded.check.words


# The pool of a prompt's examples


def test_examples_come_from_the_pool_where_it_is_there_and_all_is_scored(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write(tmp_path / "mine.jsonl", ROWS)
    card = pinned(tmp_path, None, pool=[["train.jsonl"]])
    alone, task = load(card, tmp_path, tokenizer)
    assert len(examples.choose(card, task, alone.examples, None)) == 25 and task.left_out == 5
    assert any("from the scored data itself, and left out there" in note for note in task.notes)

    write(tmp_path / "train.jsonl", [{"question": f"train {n}", "answer": ["x"]} for n in range(9)])
    loaded, task = load(card, tmp_path, tokenizer)
    assert len(examples.choose(card, task, loaded.examples, None)) == 30 and task.left_out == 0
    assert {shot.question[:5] for shot in task.shots} == {"train"}
    assert "5 examples in each prompt, drawn by seed 0 from train.jsonl" in task.notes
    assert loaded.hash != alone.hash

    _, task = load(card, tmp_path, tokenizer, shots=0)
    assert task.pool == []
    with pytest.raises(ZeroscaleError, match="the pool holds 9 examples only"):
        loaded, task = load(card, tmp_path, tokenizer, shots=10)
        task.select(loaded.examples, None)


# A suite's subset


def test_a_subset_is_drawn_by_seed_from_what_is_scored_and_says_so(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write(tmp_path / "mine.jsonl", ROWS)
    card = pinned(tmp_path, None)
    drawn = card.with_subset(cards.Subset(suite="quick", examples=8, seed=3))
    chosen = []
    for _ in range(2):
        loaded, task = load(drawn, tmp_path, tokenizer)
        chosen.append(examples.choose(drawn, task, loaded.examples, None))
    assert chosen[0] == chosen[1] and len(chosen[0]) == 8
    assert not set(chosen[0]) & set(task.shots)
    assert chosen[0] == [example for example in loaded.examples if example in chosen[0]]  # in their order
    assert "subset: 8 of 25 drawn by seed 3, not the benchmark" in task.notes
    assert len(examples.choose(drawn, task, loaded.examples, 3)) == 3
    more = card.with_subset(cards.Subset(suite="quick", examples=80, seed=3))
    assert len(examples.choose(more, task, loaded.examples, None)) == 25


def test_a_quick_score_has_a_name_and_a_file_of_its_own(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    settings = {"source": "sample", "data_dir": None, "out": tmp_path, "weights_hash": "w", "bootstrap": 20}
    whole, quick = evaluate.score_cards(model, tokenizer, ["wsc273", "wsc273-quick"], **settings)
    assert (whole.card, quick.card) == ("wsc273", "wsc273-quick")
    assert {path.name for path in tmp_path.glob("*.json")} == {"wsc273.paper.json", "wsc273-quick.paper.json"}
    assert any("drawn by seed 0, not the benchmark" in note for note in quick.notes)
    assert not any("drawn" in note for note in whole.notes)


# Which cards can be scored


def test_available_says_what_is_missing(tmp_path: Path) -> None:
    card = pinned(tmp_path, None)
    assert "its files are not in" in (sources.available(card, "files", tmp_path) or "")
    assert "is not on the hub" in (sources.available(card, "hub", None) or "")
    assert "has no sample" in (sources.available(card, "sample", None) or "")
    write(tmp_path / "mine.jsonl", ROWS)
    assert sources.available(card, "files", tmp_path) is None
    with pytest.raises(MissingData, match="has no sample"):
        sources.read(card, "sample", None, jsonl)
