"""Questions answered from memory: prompts, exact match, confidence; and beside lm-eval's nq_open."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import lm_eval_oracle as oracle

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import evaluate, results, tasks
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.cards.rows import Row
from zeroscale.eval.engine.requests import GenerateResult, Stop
from zeroscale.eval.tasks.question_answer import by_confidence, most_confident
from zeroscale.model.gpt import GPT


def make(tokenizer: Tokenizer, protocol: str = "paper", seed: int = 0, **changed: Any) -> Any:
    (card,) = cards.resolve(["natural_questions"])
    family = tasks.task_type("question_answer")
    return family(family.Options(**card.options(protocol) | changed), tokenizer, 1024, seed)


def rows(n: int) -> list[Row]:
    return [Row(f"row {i}", {"question": f"what is {i}", "answer": [f"number {i}", str(i)]}) for i in range(n)]


def answered(text: str, *logprobs: float) -> GenerateResult:
    return GenerateResult(tuple(range(len(logprobs))), text, logprobs=np.array(logprobs))


def test_pairs_drawn_by_seed_stand_before_the_question(tokenizer: Tokenizer) -> None:
    prompts = []
    for seed in (0, 0, 1):
        task = make(tokenizer, seed=seed)
        examples = task.examples(rows(12))
        chosen = task.select(examples, None)
        assert (len(chosen), task.left_out) == (7, 5)
        (request,) = task.requests(chosen[0])
        assert (request.stop, request.top_k, request.logprobs) == (Stop("newline"), None, True)
        prompt = tokenizer.decode(request.prompt)
        asked = f"Q: {chosen[0].question}?\nA:"
        assert prompt.endswith("\n" + asked) and tokenizer.decode(request.prompt[-request.protected :]) == asked
        shown = prompt.removesuffix(asked)
        assert shown == "".join(f"Q: {shot.question}?\nA: {shot.answers[0]}\n" for shot in task.shots)
        prompts.append(shown)
    assert prompts[0] == prompts[1] != prompts[2]


@pytest.mark.parametrize(
    ("generation", "prediction", "right"),
    [
        (" The Number 3!\nQ: what", "The Number 3!", True),
        (" 3", "3", True),
        (" number three\n3", "number three", False),
        ("\n3", "", False),
    ],
)
def test_an_answer_is_right_if_it_equals_a_reference_once_normalised(
    tokenizer: Tokenizer, generation: str, prediction: str, right: bool
) -> None:
    task = make(tokenizer)
    example = task.examples(rows(4))[3]
    (outcome,) = task.record(example, [answered(generation, -0.5)])
    assert (outcome["prediction"], outcome["right"]) == (prediction, right)


def test_confidence_is_the_probability_of_all_that_was_generated(tokenizer: Tokenizer) -> None:
    (example, *_) = make(tokenizer).examples(rows(1))
    given = answered(" 0\n", -1.0, -2.0, -3.0)
    (total,) = make(tokenizer).record(example, [given])
    (mean,) = make(tokenizer, confidence="mean").record(example, [given])
    assert total["confidence"] == pytest.approx(math.exp(-6)) and mean["confidence"] == pytest.approx(math.exp(-2))
    assert total["token_logprobs"] == [-1.0, -2.0, -3.0]
    (nothing,) = make(tokenizer).record(example, [answered("")])
    assert nothing["confidence"] == 0.0 and not nothing["right"]


def test_the_surest_one_percent_is_a_score_of_its_own(tokenizer: Tokenizer) -> None:
    task = make(tokenizer)
    outcomes = [{"right": n >= 398, "confidence": n / 400} for n in range(400)]
    outcomes[0]["confidence"] = 0.9999  # sure and wrong
    acc, surest = task.measure(outcomes, task.options)
    assert acc.scores == {"acc": 2 / 400}
    assert surest.scores == {"acc_most_confident": 2 / 4}
    assert task.extra_outputs(outcomes, task.options)["most_confident"] == 4
    # A row for each question, so that two models, each sure of others, can be compared question by question.
    assert surest.statistics.sum(axis=0).tolist() == [2, 4] and len(surest.statistics) == 400


def test_the_surest_are_at_least_one_and_ties_go_by_order() -> None:
    assert most_confident([0.1, 0.5, 0.5], 0.01) == [1]
    assert most_confident([0.1, 0.5, 0.5, 0.7], 0.5) == [3, 1]
    assert len(most_confident(list(np.linspace(0, 1, 3610)), 0.01)) == 36


def test_accuracy_against_confidence_is_told_by_equal_groups(tokenizer: Tokenizer) -> None:
    outcomes = [{"right": n % 10 < n // 10, "confidence": n / 100} for n in range(100)]
    curve = by_confidence(outcomes)
    assert [group["n"] for group in curve] == [10] * 10
    assert [group["acc"] for group in curve] == pytest.approx([n / 10 for n in range(10)])
    assert [group["confidence"] for group in curve] == pytest.approx([n / 10 + 0.045 for n in range(10)])
    assert by_confidence(outcomes[:1]) == [{"n": 1, "confidence": 0.0, "acc": 0.0}]
    assert make(tokenizer).extra_outputs(outcomes, make(tokenizer).options)["accuracy_by_confidence"] == curve


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"question": " ", "answer": ["x"]}, "'question' should be a text"),
        ({"question": "q", "answer": []}, "'answer' should be a list"),
        ({"question": "q", "answer": ["x", " "]}, "'answer' should hold texts"),
        ({"question": "q", "answer": [3]}, "'answer' should hold texts"),
        ({"question": "q"}, "'answer' should be a list"),
    ],
)
def test_a_broken_row_is_named(tokenizer: Tokenizer, content: dict[str, Any], named: str) -> None:
    with pytest.raises(ZeroscaleError, match=f"nq.jsonl, line 3: .*{named}"):
        make(tokenizer).examples([Row("nq.jsonl, line 3", content)])


def test_a_template_without_the_question_is_a_fault_of_the_card(tmp_path: Path) -> None:
    (card,) = cards.resolve(["natural_questions"])
    path = tmp_path / "natural_questions.yaml"
    path.write_text(card.path.read_text().replace("Q: {question}?", "Q: {q}?"))
    with pytest.raises(ZeroscaleError, match=r"protocols.paper.template: .*should hold \{question\} once"):
        cards.load(path)


def test_the_sample_is_scored_and_recorded(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (result,) = evaluate.score_cards(
        model,
        tokenizer,
        ["natural_questions"],
        source="sample",
        data_dir=None,
        out=tmp_path,
        weights_hash="w",
        bootstrap=50,
    )
    assert (result.n, result.left_out) == (15, 5)
    assert result.metrics["acc"].value == 0.0 and result.metrics["acc_most_confident"].value == 0.0
    for record in results.read_records(tmp_path, "natural_questions", "paper"):
        assert record["confidence"] == pytest.approx(math.exp(sum(record["token_logprobs"])))


# Beside lm-evaluation-harness


def test_generations_and_exact_match_are_lm_evals(tmp_path: Path) -> None:
    """Made-up questions, which a model trained for a moment answers with words of their kind."""
    things = ("river", "hill", "old town", "king's horse", "lake of salt")
    found = [
        {"question": f"who found the {thing} in {year}", "answer": [f"Dr. {name} of the {thing}", name]}
        for thing, year, name in zip(things * 6, range(1600, 1630), ("Ann", "Tom", "Eve") * 10, strict=True)
    ]
    compare(found, found[:20], tmp_path)


def test_real_questions_are_answered_as_lm_evals(data: Path, tmp_path: Path) -> None:
    lines = (data / "nq_open" / "NQ-open.dev.jsonl").read_text(encoding="utf-8").splitlines()
    real = [json.loads(line) for line in lines]
    compare(real[:14] + real[400:410], real[200:400], tmp_path)


def compare(questions: list[dict[str, Any]], learnt: list[dict[str, Any]], tmp_path: Path) -> None:
    """The first 14 questions by both; for half of them a reference is made of what the model will say, with an article,
    a capital and a mark, so that right answers are compared too."""
    texts = [f"Q: {one['question']}?\nA: {one['answer'][0]}\n" for one in learnt]
    twin = oracle.twin(tmp_path / "twin", Tokenizer.train_bpe(texts, 300), texts)
    asked, pool = [dict(one) for one in questions[:14]], questions[14:]
    oracle.write_rows(tmp_path / "NQ-open.dev.jsonl", asked)
    _, first = oracle.score(twin, "natural_questions", tmp_path, tmp_path / "first")
    for number in range(0, len(asked), 2):
        said = first[number]["prediction"]
        asked[number]["answer"] = [
            "nobody says this",
            ("The " if number % 4 else "a ") + said[:1].upper() + said[1:] + "!",
        ]
    oracle.write_rows(tmp_path / "NQ-open.dev.jsonl", asked)
    theirs = oracle.evaluate(twin, "nq_open", {"validation": asked, "train": pool}, tmp_path / "theirs")
    result, records = oracle.score(twin, "natural_questions", tmp_path, tmp_path / "ours")
    for record, sample in zip(records, theirs.samples, strict=True):
        assert record["prompt"] == sample["arguments"][0][0]
        assert record["prediction"] == sample["filtered_resps"][0].strip()
        assert record["right"] == bool(sample["exact_match"])
    assert result.metrics["acc"].value == theirs.scores["exact_match"] > 0.2
