"""The Children's Book Test from files in its released form to scores."""

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import evaluate, results, tasks
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.cards.rows import Row
from zeroscale.eval.engine.engine import Engine
from zeroscale.eval.metrics import sentences
from zeroscale.eval.tasks.multiple_choice import BLANK, MultipleChoice
from zeroscale.model.gpt import GPT

# A word of one kind: a common noun is what stands after an article; a name is capital inside a sentence.
KINDS = {"CN": re.compile(r"\b(?:the|a|an) ([a-z]{3,})\b"), "NE": re.compile(r"[a-z,] ([A-Z][a-z]{2,})\b")}
_TOKENS = re.compile(r"\w+(?=n't)|n't|'\w+|\w+(?:-\w+)*|[^\w\s]")


def tokenised(sentence: str) -> str:
    """A sentence as the release writes it: tokens parted by spaces, `do n't`, `Ann 's`."""
    return " ".join(_TOKENS.findall(sentence.replace("’", "'")))


def questions(text: str, kind: str, seed: int) -> Iterator[tuple[list[str], str, str, list[str]]]:
    """(20 sentences, the next with a blank, the word that was there, ten candidates of its kind), cut from a text."""
    draw = random.Random(seed)
    words = set(KINDS[kind].findall(text))
    lines = [line for sentence in sentences.split(text) if 4 <= len((line := tokenised(sentence)).split()) <= 40]
    for begin in range(0, len(lines) - 20, 21):
        story, last = lines[begin : begin + 20], lines[begin + 20]
        here = sorted(words & set(last.split()))
        if not here or "|" in last:
            continue
        answer = draw.choice(here)
        near = sorted(words & set(" ".join(story).split()) - {answer})
        far = sorted(words - {answer, *near})
        others = (near + draw.sample(far, min(len(far), 9)))[:9]
        if len(others) == 9:
            candidates = [answer, *others]
            draw.shuffle(candidates)
            yield story, re.sub(rf"(?<!\S){answer}(?!\S)", BLANK, last, count=1), answer, candidates


def write_release(
    path: Path, text: str, kind: str, n: int, seed: int = 0
) -> list[tuple[list[str], str, str, list[str]]]:
    """A file in the released 21-line form, and what stands in it."""
    cut = [question for question, _ in zip(questions(text, kind, seed), range(n), strict=False)]
    with open(path, "w", encoding="utf-8") as file:
        for story, question, answer, candidates in cut:
            for number, line in enumerate(story, 1):
                file.write(f"{number} {line}\n")
            file.write(f"21 {question}\t{answer}\t\t{'|'.join(candidates)}\n\n")
    return cut


def made_book(sentences_of: int = 900) -> str:
    """Sentences with names and nouns, for where no real book is at hand."""
    draw = random.Random(0)
    names = ["Ann", "Ben", "Cid", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jim", "Kit", "Lea"]
    nouns = ["cat", "dog", "house", "tree", "ship", "lamp", "road", "hill", "boat", "bird", "door", "coat"]
    verbs = ["saw", "did not find", "took", "couldn't carry", "knew"]
    return " ".join(
        f"Then {draw.choice(names)} {draw.choice(verbs)} the {draw.choice(nouns)} of {draw.choice(names)}'s friend."
        for _ in range(sentences_of)
    )


def novels(data: Path) -> str:
    folder = data / "corpora" / "english_novels"
    texts = [path.read_text(encoding="utf-8")[20_000:220_000] for path in sorted(folder.glob("*.txt"))[:8]]
    return re.sub(r"\s+", " ", " ".join(texts))


def make(name: str, tokenizer: Tokenizer, n_positions: int = 1024, **changed: Any) -> Any:
    (card,) = cards.resolve([name])
    family = tasks.task_type(card.family)
    return family(family.Options(**card.options("paper") | changed), tokenizer, n_positions)


def whole_path(
    model: GPT, tokenizer: Tokenizer, folder: Path, kind: str, text: str, n: int
) -> tuple[evaluate.Result, list[dict[str, Any]], list[tuple[list[str], str, str, list[str]]]]:
    name = f"cbt_{kind.lower()}"
    written = write_release(folder / f"cbtest_{kind}_valid_2000ex.txt", text, kind, n)
    (result,) = evaluate.score_cards(
        model,
        tokenizer,
        [name],
        source="files",
        data_dir=folder,
        out=folder / "out",
        weights_hash="w",
        bootstrap=100,
        allow_other_data=True,
    )
    return result, results.read_records(folder / "out", name, "paper"), written


def check(result: evaluate.Result, records: list[dict[str, Any]], written: Sequence[Any]) -> None:
    """Every question that was written is scored as it was written, and the accuracy is that of the records."""
    assert result.n == len(records) == len(written)
    for record, (story, question, answer, candidates) in zip(records, written, strict=True):
        assert record["text"] == "\n".join([*story, question])
        assert record["candidates"] == candidates and record["answer"] == answer
        assert record["chosen"] == max(range(10), key=record["logprobs"].__getitem__)
        assert record["right"] == (candidates[record["chosen"]] == answer)
    score = result.metrics["acc"]
    assert score.value == pytest.approx(sum(record["right"] for record in records) / len(records))
    assert score.low <= score.value <= score.high and score.chance == 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_in_the_released_form_becomes_a_score(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, kind: str
) -> None:
    result, records, written = whole_path(model, tokenizer, tmp_path, kind, made_book(), 30)
    assert len(written) == 30
    check(result, records, written)


@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_questions_cut_from_novels_become_a_score(
    model: GPT, tokenizer: Tokenizer, tmp_path: Path, data: Path, kind: str
) -> None:
    result, records, written = whole_path(model, tokenizer, tmp_path, kind, novels(data), 200)
    assert len(written) == 200
    check(result, records, written)
    # Random weights know nothing: near one in ten.
    assert 0.02 < result.metrics["acc"].value < 0.25
    assert result.truncated > 150  # a story is longer than this model's 128 bytes


def test_the_real_questions_of_the_release_are_read(data: Path, tokenizer: Tokenizer) -> None:
    for kind in KINDS:
        path = data / "cbt" / f"sample_{kind}" / f"cbtest_{kind}_valid_2000ex.txt"
        (example,) = make(f"cbt_{kind.lower()}", tokenizer).examples(list(MultipleChoice.parse([path])))
        assert len(example.sentences) == 20 and len(set(example.candidates)) == 10
        assert example.answer in example.candidates and BLANK in example.question


TEN = ["Ann", "Bob", "Cid", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jim"]


def row(**changed: Any) -> Row:
    content = {"sentences": ["A cat sat ."] * 20, "question": "Then XXXXX ran .", "answer": "Bob", "options": TEN}
    return Row("cbt.jsonl, line 4", content | changed)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"sentences": ["A cat sat ."] * 19}, "comes after 20 sentences, here are 19"),
        ({"sentences": [3] * 20}, "'sentences' should be a list of texts"),
        ({"options": TEN[:9]}, "has 10 candidates, here are 9"),
        ({"options": [*TEN[:9], " "]}, "a candidate without text"),
        ({"options": [*TEN[:9], "Ann"]}, "two candidates are the same"),
        ({"answer": "Zoe"}, "'Zoe' is not among the candidates"),
        ({"question": "Then Ann ran ."}, "should hold XXXXX once"),
        ({"question": "XXXXX saw XXXXX ."}, "should hold XXXXX once"),
    ],
)
def test_a_broken_row_is_named(tokenizer: Tokenizer, changed: dict[str, Any], named: str) -> None:
    with pytest.raises(ZeroscaleError, match=f"cbt.jsonl, line 4: .*{named}"):
        make("cbt_ne", tokenizer).examples([row(**changed)])


def test_other_numbers_of_sentences_and_candidates_are_a_cards_choice(model: GPT, tokenizer: Tokenizer) -> None:
    task = make("cbt_ne", tokenizer, sentences=None, candidates=None)
    contents = {"sentences": [], "question": "XXXXX ran .", "answer": "Bob", "options": ["Ann", "Bob"]}
    (example,) = task.examples([row(**contents)])
    requests = task.requests(example)
    assert [tokenizer.decode(request.target) for request in requests] == ["Ann ran.", "Bob ran."]
    assert {request.context for request in requests} == {(tokenizer.eos,)}
    (outcome,) = task.record(example, Engine(model, tokenizer).run(requests))
    assert outcome["truncated"] == 0
    with pytest.raises(ZeroscaleError, match="two or more candidates, here are 1"):
        task.examples([row(**contents | {"options": ["Bob"]})])


def test_solved_questions_can_stand_before(tokenizer: Tokenizer) -> None:
    task = make("cbt_ne", tokenizer, sentences=None, shots=1)
    examples = task.examples([row(sentences=[f"Day {n} ."], answer=TEN[n]) for n in range(3)])
    first, _ = task.select(examples, None)
    assert task.left_out == 1
    (shown,) = task.shots
    request = task.requests(first)[0]
    day = shown.sentences[0].removesuffix(" .")
    assert tokenizer.decode(request.context) == f"{day}. Then {shown.answer} ran.\n\n{first.sentences[0][:-2]}. Then"


def test_a_carriage_return_inside_a_line_does_not_end_it(tmp_path: Path) -> None:
    lines = [*(f"{number} a story\r of\x0c {number} ." for number in range(1, 21)), f"21 it {BLANK} .\tis\t\tis|was"]
    (tmp_path / "cbt.txt").write_bytes("\r\n".join([*lines, "", *lines, ""]).encode())
    rows = list(MultipleChoice.parse([tmp_path / "cbt.txt"]))
    assert [row.content["options"] for row in rows] == [["is", "was"]] * 2
    assert rows[1].content["sentences"][2] == "a story\r of\x0c 3 ."
