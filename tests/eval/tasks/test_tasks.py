"""Each family: from a row to requests by the card's protocol, from answers to records and scores."""

from typing import Any

import numpy as np
import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import tasks
from zeroscale.eval.cards import registry as cards
from zeroscale.eval.cards.rows import Row
from zeroscale.eval.engine.requests import (
    GenerateResult,
    LogLikelihood,
    LogLikelihoodResult,
    RollingLogLikelihood,
    RollingResult,
    Stop,
)


def make(name: str, tokenizer: Tokenizer, n_positions: int = 1024, seed: int = 0, **changed: Any) -> Any:
    (card,) = cards.resolve([name])
    family = tasks.task_type(card.family)
    return family(family.Options(**card.options("paper") | changed), tokenizer, n_positions, seed)


def row(**content: Any) -> Row:
    return Row("here", content)


def text(tokenizer: Tokenizer, tokens: tuple[int, ...]) -> str:
    return tokenizer.decode(tokens)


def scored(logprobs: list[float], greedy: list[bool], filtered: bool = False) -> LogLikelihoodResult:
    return LogLikelihoodResult(np.array(logprobs), np.array(greedy), filtered)


def test_lambada_asks_for_the_last_word_after_a_line_break(tokenizer: Tokenizer) -> None:
    task = make("lambada", tokenizer)
    (example,) = task.examples([row(text=" “Yes,” said Ann’s dog \n")])
    (request,) = task.requests(example)
    assert isinstance(request, LogLikelihood)
    assert text(tokenizer, request.context) == '\n"Yes," said Ann\'s'
    assert text(tokenizer, request.target) == " dog"


def test_lambada_scores() -> None:
    bpe = Tokenizer.train_bpe(["the dog and the cat and the dog " * 4], 269)
    task = make("lambada", bpe)
    example = task.examples([row(text="and the dog")])[0]
    (request,) = task.requests(example)
    excluded = {bpe.decode([token]) for token in request.excluded}
    assert " the" in excluded and " dog" not in excluded
    outcomes = [
        *task.record(example, [scored([-1.0, -2.0], [True, True], True)]),
        *task.record(example, [scored([-1.0, -4.0], [False, True], True)]),
    ]
    scores = {name: value for part in task.measure(outcomes, task.options) for name, value in part.scores.items()}
    assert scores["perplexity"] == pytest.approx(np.exp(4.0))
    assert (scores["acc"], scores["acc_stop_words"], scores["acc_last_token"]) == (0.5, 1.0, 1.0)


LINES = " \n = One = \n \n It 's 1 @,@ 000 , \n \n = = Part = = \n \n = Two = \n The end . \n"


def test_wikitext_is_one_stream_counted_in_original_words(tokenizer: Tokenizer) -> None:
    task = make("wikitext2", tokenizer)
    (example,) = task.examples([row(text=line) for line in LINES.split("\n")[:-1]])
    assert [article.title for article in example.blocks] == ["One", "Two"]
    assert task.examples([row(text=LINES.removesuffix("\n"))]) == [example]  # lines may come in one row
    (request,) = task.requests(example)
    assert isinstance(request, RollingLogLikelihood)
    plain = text(tokenizer, request.tokens)
    assert plain == "\n= One =\n\nIt's 1,000,\n\n== Part ==\n\n= Two =\nThe end.\n"
    first, second = task.record(example, [RollingResult(np.full(len(request.tokens), -1.0), 1)])
    assert first["words"] + second["words"] == len(LINES.split()) + LINES.count("\n")
    assert second["bytes"] == len("= Two =\nThe end.\n") == second["tokens"] == -second["logprob"]
    assert first["bytes"] + second["bytes"] == len(plain)


def test_wikitext_without_start_token_leaves_the_first_token_unscored(tokenizer: Tokenizer) -> None:
    task = make("wikitext2", tokenizer, start_token=False, count_eos=False)
    (example,) = task.examples([row(text=LINES.removesuffix("\n"))])
    (request,) = task.requests(example)
    assert request.start is None
    outcomes = task.record(example, [RollingResult(np.full(len(request.tokens) - 1, -1.0), 1)])
    assert sum(outcome["tokens"] for outcome in outcomes) == len(request.tokens) - 1
    assert sum(outcome["words"] for outcome in outcomes) == len(LINES.split())


def cbt_row(question: str) -> Row:
    names = ["Ann", "Bob", "Cid", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jim"]
    return row(sentences=["A cat did n't sit ."] * 20, question=question, answer="Bob", options=names)


@pytest.mark.parametrize(
    ("question", "before", "target"),
    [
        ("Then XXXXX 's dog ran .", " Then", " Bob's dog ran."),
        ("XXXXX ran .", " A cat didn't sit.", " Bob ran."),
        ("` XXXXX ! ' he said .", " '", "Bob!' he said."),
    ],
)
def test_cbt_puts_each_candidate_in_the_blank(tokenizer: Tokenizer, question: str, before: str, target: str) -> None:
    task = make("cbt_ne", tokenizer)
    (example,) = task.examples([cbt_row(question)])
    requests = task.requests(example)
    assert len(requests) == 10
    assert len({request.context for request in requests}) == 1
    assert text(tokenizer, requests[0].context).startswith("A cat didn't sit. A cat")
    assert text(tokenizer, requests[0].context).endswith(before)
    assert text(tokenizer, requests[1].target) == target


def test_cbt_chooses_the_likeliest(tokenizer: Tokenizer) -> None:
    task = make("cbt_ne", tokenizer)
    (example,) = task.examples([cbt_row("XXXXX ran .")])
    answers = [scored([-5.0, -1.0 * abs(number - 1)], [False, False]) for number in range(10)]
    (outcome,) = task.record(example, answers)
    assert (outcome["prediction"], outcome["right"], outcome["truncated"]) == ("Bob", True, 0)


def test_cbt_cuts_the_story_alike_for_all_candidates(tokenizer: Tokenizer) -> None:
    task = make("cbt_ne", tokenizer, n_positions=60)
    (example,) = task.examples([cbt_row("XXXXX ran .")])
    requests = task.requests(example)
    assert {len(request.context) for request in requests} == {60 + 1 - len(" Bob ran.")}
    (outcome,) = task.record(example, [scored([-1.0], [False])] * 10)
    assert outcome["truncated"] == 20 * len("A cat didn't sit. ") - 1 - len(requests[0].context)


def coqa_row() -> Row:
    def turns(*texts: str) -> list[dict]:
        return [{"input_text": content, "turn_id": i + 1} for i, content in enumerate(texts)]

    return row(
        id="s1",
        story="Ann has a dog.",
        questions=turns("Who?", "What?"),
        answers=turns("Ann", "a dog"),
        additional_answers={"0": turns("Ann", "dog"), "1": turns("she", "dog"), "2": turns("Ann", "a cat")},
    )


def test_coqa_shows_the_gold_answers_before_each_turn(tokenizer: Tokenizer) -> None:
    task = make("coqa", tokenizer)
    (example,) = task.examples([coqa_row()])
    first, second = task.requests(example)
    assert text(tokenizer, first.prompt) == "Ann has a dog.\n\nQ: Who?\nA:"
    assert text(tokenizer, second.prompt) == "Ann has a dog.\n\nQ: Who?\nA: Ann\nQ: What?\nA:"
    assert text(tokenizer, second.prompt[-second.protected :]) == "Q: What?\nA:"
    assert (second.stop, second.top_k) == (Stop("newline"), None)


def test_coqa_takes_the_hubs_columns_too(tokenizer: Tokenizer) -> None:
    released = coqa_row().content
    hub = row(
        id="s1",
        story=released["story"],
        questions={"input_text": ["Who?", "What?"], "turn_id": [1, 2]},
        answers={"input_text": ["Ann", "a dog"]},
        additional_answers={
            key: {"input_text": [turn["input_text"] for turn in value]}
            for key, value in released["additional_answers"].items()
        },
    )
    task = make("coqa", tokenizer)
    assert task.examples([hub]) == task.examples([coqa_row()])


def test_coqa_scores_by_passage(tokenizer: Tokenizer) -> None:
    task = make("coqa", tokenizer)
    (example,) = task.examples([coqa_row()])
    outcomes = task.record(example, [GenerateResult((), " Ann\nQ: What?"), GenerateResult((), " the dog.")])
    assert [outcome["prediction"] for outcome in outcomes] == ["Ann", "the dog."]
    (measured,) = task.measure([{**outcome, "unit": 0} for outcome in outcomes], task.options)
    assert measured.scores == {"f1": 100.0, "em": 100.0}
    assert measured.clusters.tolist() == [0, 0]


def test_translation_draws_pairs_by_seed_and_leaves_them_out(tokenizer: Tokenizer) -> None:
    rows = [row(translation={"en": f"word {n}", "fr": f"mot {n}"}) for n in range(12)]
    prompts = []
    for seed in (0, 0, 1):
        task = make("wmt14_fr_en", tokenizer, seed=seed)
        chosen = task.select(task.examples(rows), None)
        assert (len(chosen), task.left_out) == (7, 5)
        assert not set(chosen) & set(task.shots)
        (request,) = task.requests(chosen[0])
        prompts.append(text(tokenizer, request.prompt))
    assert prompts[0] == prompts[1] != prompts[2]
    lines = prompts[0].split("\n")
    assert len(lines) == 6
    assert lines[0].replace("mot", "word").split(" = ")[0] == lines[0].split(" = ")[1]
    assert lines[-1] == f"{chosen[0].source} =" or lines[-1].endswith(" =")


def test_translation_takes_the_first_sentence(tokenizer: Tokenizer) -> None:
    task = make("wmt14_en_fr", tokenizer)
    pairs = task.examples([row(translation={"en": f"w {n}", "fr": "le chat est noir ."}) for n in range(6)])
    (example,) = task.select(pairs, None)
    (outcome,) = task.record(example, [GenerateResult((), " le chat est noir .\nw 3 = autre")])
    assert outcome["prediction"] == "le chat est noir ."
    measured, *_ = task.measure([outcome], task.options)
    assert measured.scores["bleu"] == pytest.approx(100.0)


def test_translation_needs_more_rows_than_pairs_in_the_prompt(tokenizer: Tokenizer) -> None:
    task = make("wmt14_en_fr", tokenizer)
    pairs = task.examples([row(translation={"en": "a", "fr": "b"})] * 5)
    with pytest.raises(ZeroscaleError, match="5 examples are too few"):
        task.select(pairs, None)


def test_a_pair_is_encoded_as_one_text_wherever_that_can_be_cut() -> None:
    bpe = Tokenizer.train_bpe(["(what) 'what' \"what\" what's 'sun it's " * 5], 265)
    task = make("lambada", bpe)
    for context, target in (("it", " what"), ("(", "what"), ('"', "what"), ("a\n\n", "what")):
        first, second = task.pair(context, target)
        assert bpe.decode(first + second) == context + target
        assert bpe.decode(first) == context.rstrip()  # white space at the seam is the target's, as in lm-eval
