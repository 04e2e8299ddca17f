"""The harness writes what the report reads: real records of an untrained model on every sample."""

import pyarrow.parquet
import pytest
from support import study_fixture

from zeroscale.eval import tasks
from zeroscale.report.sections.example_view import NOTHING, ExampleView, one_line, view_example
from zeroscale.report.sections.examples import MAX_RAW_LENGTH

CARDS = tuple(study_fixture.CARDS)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """`(results by card, first record by card)` from the harness itself: byte tokens, random weights."""
    from zeroscale.data.tokenizer import Tokenizer
    from zeroscale.eval.evaluate import score_cards
    from zeroscale.model.config import GPTConfig
    from zeroscale.model.gpt import GPT

    model = GPT(GPTConfig(vocab_size=257, n_positions=128, n_layer=1, d_model=16, n_head=2)).eval()
    out = tmp_path_factory.mktemp("evals")
    options = {"source": "sample", "data_dir": None, "out": out, "weights_hash": "0", "bootstrap": 10, "limit": 2}
    results = {result.card: result for result in score_cards(model, Tokenizer.bytes(), CARDS, **options)}
    tables = {name: pyarrow.parquet.read_table(out / f"{name}.paper.examples.parquet") for name in CARDS}
    return results, {name: table.to_pylist()[0] for name, table in tables.items()}


@pytest.mark.parametrize("card", CARDS)
def test_the_fixture_has_the_harness_columns(scored, card):
    import random

    made = {"id": 0, "unit": 0, "truncated": 0, **study_fixture.record(card, 0, random.Random(0))}
    real = scored[1][card]
    assert set(made) == set(real)
    assert {name: type(value) for name, value in made.items() if name not in ("id", "name")} == {
        name: type(value) for name, value in real.items() if name not in ("id", "name")
    }


@pytest.mark.parametrize("card", CARDS)
def test_the_fixture_has_the_harness_metrics(scored, card):
    metrics = scored[0][card].metrics
    assert set(study_fixture.CARDS[card]) == set(metrics)
    for name, (chance, direction) in study_fixture.CARDS[card].items():
        assert (chance, direction == "up") == (metrics[name].chance, metrics[name].higher_is_better), name


@pytest.mark.parametrize("card", CARDS)
def test_every_record_shows_a_passage_and_an_answer(scored, card):
    record = scored[1][card]
    view = view_example(record, scored[0][card].family)
    assert view.passage and view.prediction
    assert bool(view.target) == (card not in ("wikitext2", "enwik8"))
    assert (view.correct is None) == (card not in ("lambada", "cbt_cn", "wsc273", "natural_questions"))


def test_a_cloze_shows_the_probability_and_the_greedy_choice(scored):
    record = scored[1]["lambada"] | {"logprob": -2.302585, "right": False}
    view = view_example(record, "cloze_word")
    assert view.prediction == "gave the word probability 0.10; its own choice was another"
    assert (view.target, view.correct) == (record["target"], False)
    assert "10⁻¹⁷" in view_example(record | {"logprob": -38.7}, "cloze_word").prediction


def test_a_choice_shows_candidates_and_the_sentence_with_the_blank(scored):
    record = scored[1]["cbt_cn"]
    view = view_example(record, "multiple_choice")
    assert (view.target, view.prediction, view.correct) == (record["answer"], record["prediction"], record["right"])
    assert "XXXXX" in view.title and view.passage.endswith(view.title)
    assert view.context == (("choices", ", ".join(record["candidates"])),)


def test_a_turn_shows_its_question_once(scored):
    record = scored[1]["coqa"]
    view = view_example(record, "conversation")
    assert view.context == (("question", record["question"]),) and record["question"] not in view.passage


def test_an_answer_in_a_hundred_empty_lines_stays_short(scored):
    record = scored[1]["wmt14_en_fr"]
    assert view_example(record | {"prediction": "", "generation": "\n" * 128}, "translation").prediction == NOTHING
    view = view_example(record | {"prediction": '"Char"', "generation": ' "Char"' + "\n" * 128}, "translation")
    assert (view.prediction, view.generation) == ('"Char"', "")
    view = view_example(record | {"prediction": "", "generation": "\n\nQ: " + "who? \n\n" * 3}, "translation")
    assert (view.prediction, view.generation) == (NOTHING, "Q: who? ⏎ who? ⏎ who?")
    assert isinstance(view, ExampleView) and MAX_RAW_LENGTH < 200 and one_line("a \n\n\n b\n") == "a ⏎ b"


def test_every_family_of_the_harness_is_known(scored):
    assert set(study_fixture.FAMILIES.values()) == set(tasks.TASK_TYPES)
    for card, result in scored[0].items():
        assert study_fixture.FAMILIES[card] == result.family


def test_a_pronoun_shows_both_ways_to_judge_it(scored):
    record = scored[1]["wsc273"] | {"chosen": 0, "chosen_full": 1, "right": True}
    view = view_example(record, "pronoun")
    assert (view.target, view.prediction, view.correct) == (record["answer"], record["prediction"], True)
    assert view.extra == (("by the whole sentence", record["candidates"][1]),)
    assert view_example(record | {"chosen_full": 0}, "pronoun").extra == ()


def test_an_answer_from_memory_says_how_sure_it_is(scored):
    record = scored[1]["natural_questions"] | {"confidence": 0.0312, "right": False}
    view = view_example(record, "question_answer")
    assert view.title == record["question"] and view.passage.endswith(f"{record['question']}?\nA:")
    assert (view.extra, view.correct) == ((("its probability", "0.031"),), False)


def test_a_block_of_characters_shows_its_size_and_bits(scored):
    record = scored[1]["enwik8"] | {"id": 3, "logprob": -693.147, "characters": 500}
    view = view_example(record, "characters")
    assert (view.passage, view.prediction) == ("Block 4", "2.00 bits per character")
    assert view.context[0][1].startswith("500 characters, ")


def test_a_summary_stands_beside_what_it_is_compared_with(scored):
    record = scored[1]["cnn_dailymail"]
    view = view_example(record | {"prediction_no_hint": "it rained"}, "summary")
    labels = ("first three sentences", "three drawn sentences")
    texts = (one_line(record["lede_3"]), one_line(record["random_3"]))
    assert view.context == tuple(zip(labels, texts, strict=True))
    assert view.extra == (("without the hint", "it rained"),)
