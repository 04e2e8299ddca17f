"""`protocol: lm-eval` of CoQA beside lm-eval's coqa: each story's last turn, its prompts, texts and scores; and our
scorer beside the official one's rule around SQuAD's own functions."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import lm_eval_oracle as oracle

from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval.metrics.statistics import coqa_turn

FILE = "coqa-dev-v1.0.part.json"
COLUMNS = ("input_text", "turn_id")
KNOWN = "Q: a small cat\n"


def hub_row(entry: dict[str, Any]) -> dict[str, Any]:
    """A story of the released JSON in the columns of EleutherAI/coqa, as that data set's own script makes them: lists
    of turns become objects of lists (the answers' spans, which nobody scores by, are left out)."""

    def columns(turns: list[dict[str, Any]]) -> dict[str, list[Any]]:
        return {name: [turn[name] for turn in turns] for name in COLUMNS}

    return {
        **{name: entry[name] for name in ("id", "source", "story")},
        "questions": columns(entry["questions"]),
        "answers": columns(entry["answers"]),
        "additional_answers": {name: columns(turns) for name, turns in entry["additional_answers"].items()},
    }


def turns(texts: list[str]) -> list[dict[str, Any]]:
    return [{"input_text": text, "turn_id": number} for number, text in enumerate(texts, 1)]


def made_entry(number: int) -> dict[str, Any]:
    """A story in the released form: three turns, four references, some of them the same but for capitals."""
    story = "  " * (number % 2) + oracle.made_text(number, 30)  # white space around it must stay
    names = [oracle.made_text(number * 10 + k, 2).strip(" .,?\n") for k in range(4)]
    answers = [names, [names[0]] * 4, [names[0], names[0].upper(), names[1], names[1].capitalize()]]
    order = [answers[(number + turn) % 3] for turn in range(3)]
    return {
        "source": "made",
        "id": f"story-{number}",
        "story": story,
        "questions": turns([oracle.made_text(number * 7 + k, 4).strip(" .,?\n") + "?" for k in range(3)]),
        "answers": turns([texts[0] for texts in order]),
        "additional_answers": {str(k): turns([texts[k + 1] for texts in order]) for k in range(3)},
    }


def write(folder: Path, entries: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    (folder / FILE).write_text(json.dumps({"version": "1.0", "data": entries}), encoding="utf-8")
    return folder


def read(folder: Path, limit: int | None = None) -> list[dict[str, Any]]:
    return json.loads((folder / FILE).read_text(encoding="utf-8"))["data"][:limit]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> oracle.Twin:
    """Has seen one answer only, and always asks again after it."""
    texts = [KNOWN * 200]
    tokenizer = Tokenizer.train_bpe([*texts, *map(oracle.made_text, range(4))], 300)
    return oracle.twin(tmp_path_factory.mktemp("trained"), tokenizer, texts, n_positions=320)


@pytest.fixture(scope="module", params=["random", "trained"])
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> oracle.Twin:
    if request.param == "trained":
        return request.getfixturevalue("trained")
    return oracle.twin(tmp_path_factory.mktemp("random"), Tokenizer.bytes(), n_positions=512)


def compare(twin: oracle.Twin, files: Path, folder: Path, limit: int | None = None) -> list[dict[str, Any]]:
    rows = [hub_row(entry) for entry in read(files, limit)]
    theirs = oracle.evaluate(twin, "coqa", {"train": rows, "validation": rows}, folder / "theirs")
    result, records = oracle.score(twin, "coqa", files, folder / "ours", limit=limit)
    assert len(records) == len(theirs.samples) == len(rows)
    for record, sample, (text,) in zip(records, theirs.samples, theirs.responses, strict=True):
        assert record["prompt"] == sample["arguments"][0][0]
        assert record["generation"].split("\nQ:")[0] == text
        assert record["references"] == sample["target"]
        for name in ("em", "f1"):
            # Its scores are from 0 to 1, ours from 0 to 100 as the official scorer prints them.
            assert record[f"score_{name}"] == pytest.approx(100 * sample[name], rel=1e-12)
    for name in ("em", "f1"):
        assert result.metrics[name].value == pytest.approx(100 * theirs.scores[name], rel=1e-12)
    return records


def test_prompts_answers_and_scores_are_lm_evals(twin: oracle.Twin, tmp_path: Path) -> None:
    compare(twin, write(tmp_path / "files", [made_entry(number) for number in range(8)]), tmp_path)


def test_answers_that_end_before_the_next_question_are_right_as_far_as_they_go(
    trained: oracle.Twin, tmp_path: Path
) -> None:
    # Else equal texts and scores would say little.
    said = [["The small cat", "A cat!", "a dog", "a SMALL cat"], ["a small cat"] * 4, ["a tree", "tree", "it", "It"]]
    entries = []
    for number, references in enumerate(said):
        entry = {**made_entry(number), "story": KNOWN * 3}
        entry["questions"] = turns(["is it red?"] * 3)
        entry["answers"] = turns(["a small cat", "a small cat", references[0]])
        entry["additional_answers"] = {str(k): turns(["yes", "no", references[k + 1]]) for k in range(3)}
        entries.append(entry)
    records = compare(trained, write(tmp_path / "files", entries), tmp_path)
    assert all(record["generation"].startswith(" a small cat\nQ:") for record in records)
    assert [record["prediction"] for record in records] == ["a small cat"] * 3
    assert [len(record["references"]) for record in records] == [4, 1, 3]
    assert [record["score_em"] for record in records] == [100.0, 100.0, 0.0]


def test_a_story_that_does_not_fit_keeps_its_end(twin: oracle.Twin, tmp_path: Path) -> None:
    entries = [{**made_entry(number), "story": oracle.made_text(number, 400)} for number in range(5)]
    files = write(tmp_path / "files", entries)
    compare(twin, files, tmp_path)
    result, _ = oracle.score(twin, "coqa", files, tmp_path / "again")
    assert result.truncated == 5


def test_the_papers_protocol_asks_every_turn_and_keeps_all_references(twin: oracle.Twin, tmp_path: Path) -> None:
    files = write(tmp_path / "files", [made_entry(number) for number in range(3)])
    _, records = oracle.score(twin, "coqa", files, tmp_path / "ours", protocol="paper")
    assert [record["turn"] for record in records] == [0, 1, 2] * 3
    assert all(len(record["references"]) == 4 for record in records)


def test_real_conversations_agree(data: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(data / "gpt2_tokenizer")
    twin = oracle.twin(tmp_path / "twin", tokenizer, n_positions=1024, n_layer=1, d_model=16)
    compare(twin, data / "coqa", tmp_path, limit=5)


def test_every_real_story_is_asked_as_lm_eval_asks_it(data: Path, tmp_path: Path) -> None:
    """All prompts token by token, and all references, without a model."""
    tokenizer = Tokenizer.load(data / "gpt2_tokenizer")
    twin = oracle.twin(tmp_path / "twin", tokenizer, n_positions=1024, d_model=4)
    rows = [hub_row(entry) for entry in read(data / "coqa")]
    task = oracle.load("coqa", {"train": rows[:1], "validation": rows}, tmp_path / "theirs")
    _, requests = oracle.requests(twin, "coqa", data / "coqa")
    prompts = [task.doc_to_text(doc) for doc in task.eval_docs]
    assert len(prompts) == 150
    assert [list(asked[0].prompt) for asked in requests] == twin.lm.tokenizer(prompts)["input_ids"]


def official(references: list[str], prediction: str) -> tuple[float, float]:
    """CoQA's official evaluation of a turn, written down from its description around SQuAD's functions: the mean over
    the references of the best match among the others."""
    squad_metrics = oracle.squad_metrics()
    f1 = exact = 0.0
    for left_out in range(len(references)):
        others = references[:left_out] + references[left_out + 1 :]
        f1 += max(squad_metrics.compute_f1(other, prediction) for other in others)
        exact += max(squad_metrics.compute_exact(other, prediction) for other in others)
    return f1 / len(references), exact / len(references)


def test_every_real_turn_is_scored_as_the_official_scorer_does(data: Path) -> None:
    """Each reference, the question, a part of the story and nothing at all as the answer to each real turn."""
    checked = 0
    for entry in read(data / "coqa"):
        columns = [entry["answers"], *entry["additional_answers"].values()]
        for number, question in enumerate(entry["questions"]):
            references = [column[number]["input_text"] for column in columns]
            assert len(references) == 4
            words = entry["story"].split()
            answers = [*references, question["input_text"], " ".join(words[number : number + 4]), ""]
            for prediction in answers:
                assert coqa_turn(prediction, references) == pytest.approx(official(references, prediction), abs=1e-12)
                checked += 1
    assert checked > 10_000
