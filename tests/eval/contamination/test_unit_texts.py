"""What a model could have read of a benchmark: every word of an example, its answer in place, and nothing else."""

import re
from pathlib import Path

import pytest

from zeroscale.eval.cards import registry as cards
from zeroscale.eval.contamination import unit_texts


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def sample(name: str, protocol: str = "paper"):
    card, task, loaded = unit_texts.load(name, protocol, "sample", None, False)
    return card, loaded.examples, list(unit_texts.units(task, loaded.examples))


@pytest.mark.parametrize("name", [name for name in cards.names() if name != "memorisation"])
def test_every_unit_of_every_card_has_text(name):
    _, examples, units = sample(name)
    assert len(units) >= max(1, len(examples)) and all(words(" ".join(texts)) for texts in units)


def test_the_answer_stands_where_the_question_leaves_a_blank():
    _, examples, units = sample("cbt_cn")
    for example, (text,) in zip(examples, units, strict=True):
        assert "XXXXX" not in text and words(example.answer)[0] in words(text)
        assert len(text.split("\n")) == len(example.sentences) + 1
    _, examples, units = sample("lambada")
    for example, (text,) in zip(examples, units, strict=True):
        assert words(text) == words(example.context) + words(example.word)


def test_a_conversation_is_its_story_its_questions_and_its_answers_each_apart():
    _, examples, units = sample("coqa")
    for example, texts in zip(examples, units, strict=True):
        assert texts[0] == example.story and tuple(texts[1 : 1 + len(example.questions)]) == example.questions
        assert texts[1 + len(example.questions) :] == [references[0] for references in example.references]


def test_a_name_is_no_text():
    _, examples, units = sample("cnn_dailymail")
    assert units == [[example.article, example.highlights] for example in examples]


def test_a_training_split_in_parts_holds_what_it_holds_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = ["", " = A Title = ", "", *(f" Line {n} , which isn 't the {n}th <unk> . " for n in range(300)), ""]
    path = tmp_path / "wiki.train.tokens"
    path.write_text("\n".join(lines) + "\n")
    (card,) = cards.resolve(["wikitext2"])

    def grams() -> set[tuple[str, ...]]:
        found = set()
        for text in unit_texts.of_files(card, "paper", [path]):
            some = words(text)
            found |= {tuple(some[i : i + 8]) for i in range(len(some) - 7)}
        return found

    whole = grams()
    monkeypatch.setattr(unit_texts, "_LINES", 40)
    monkeypatch.setattr(unit_texts, "_AGAIN", 10)
    assert grams() == whole and ("line", "7", "which", "isn", "t", "the", "7th", "unk") in whole
