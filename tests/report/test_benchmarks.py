"""Scores reach the figures, the table and the notes as they stand in the result files."""

import json

import pytest
import study_fixture

from zeroscale.report import benchmarks, examples, tables
from zeroscale.report.record import read_study


@pytest.fixture
def short(tmp_path):
    return study_fixture.write_study(tmp_path / "pocket", n_steps=10)


def card_of(study, name):
    return next(card for card in benchmarks.read_cards(study) if card.card == name)


def test_points_are_the_result_files(study):
    read = read_study(study)
    for point in card_of(read, "lambada").panels[0].points:
        result = json.loads((study / point.path).read_text())
        entry = result["metrics"]["perplexity"]
        assert (point.value, point.low, point.high, point.n) == tuple(
            entry[key] for key in ("value", "low", "high", "n")
        )


def test_held_out_text_comes_first_and_is_no_benchmark(study):
    cards = benchmarks.read_cards(read_study(study))
    assert (cards[0].card, cards[0].badge) == ("held_out", "HELD-OUT TEXT")
    assert {card.badge for card in cards[1:]} == {"SAMPLE"}


def test_the_last_step_counts(short):
    folder = short / "pocket-s"
    early = json.loads((folder / "evals/step-00000010/cbt_cn.paper.json").read_text())
    early["metrics"]["acc"]["value"] = 0.99
    study_fixture.write_json(folder / "evals/step-00000005/cbt_cn.paper.json", early)
    points = card_of(read_study(short), "cbt_cn").panels[0].points
    assert [point.step for point in points] == [10, 10, 10, 10]
    assert max(point.value for point in points) < 0.99


def test_a_benchmark_among_samples_is_named(short):
    for path in short.glob("*/evals/*/lambada.paper.json"):
        study_fixture.write_json(
            path, json.loads(path.read_text()) | {"is_sample": False, "source": "files", "n": 5153}
        )
    cards = benchmarks.read_cards(read_study(short))
    note = benchmarks.sample_note(cards)
    assert "not benchmark results. Real benchmarks here: lambada." in note
    assert card_of(read_study(short), "lambada").badge == "BENCHMARK"


def test_published_models_stand_beside_benchmarks_only(short):
    others = [{"name": "gpt2", "params": 124_439_808, "value": 35.1}]
    for path in short.glob("*/evals/*/lambada.paper.json"):
        result = json.loads(path.read_text())
        result["metrics"]["perplexity"]["published"] = others
        study_fixture.write_json(path, result)
    assert card_of(read_study(short), "lambada").panels[0].published == []
    for path in short.glob("*/evals/*/lambada.paper.json"):
        result = json.loads(path.read_text()) | {"is_sample": False, "source": "files"}
        study_fixture.write_json(path, result)
    assert card_of(read_study(short), "lambada").panels[0].published == [("gpt2", 124_439_808, 35.1)]


def test_notes_tell_what_was_cut_left_out_and_limited(short):
    for path in short.glob("*/evals/*/coqa.paper.json"):
        found = {"truncated": 3, "left_out": 0, "notes": ["limited to the first 12"]}
        study_fixture.write_json(path, json.loads(path.read_text()) | found)
    assert card_of(read_study(short), "coqa").notes == [
        "limited to the first 12",
        "Examples cut to fit the context: 3 at every size.",
    ]


def test_a_score_that_is_not_finite_is_left_out(short):
    path = short / "pocket-xs/evals/step-00000010/wmt14_en_fr.paper.json"
    result = json.loads(path.read_text())
    result["metrics"]["bleu"]["value"] = None
    study_fixture.write_json(path, result)
    assert [p.cell for p in card_of(read_study(short), "wmt14_en_fr").panels[0].points] == [
        "pocket-s",
        "pocket-m",
        "pocket-l",
    ]


def test_table_rows_carry_the_numbers_and_where_they_stand(study):
    read = read_study(study)
    table = tables.results(read, benchmarks.read_cards(read))
    assert [row["cells"][0]["text"] for row in table["rows"]] == list(study_fixture.SIZES)
    loss = table["rows"][3]["cells"][4]
    assert loss["text"] == "3.054"
    assert loss["origin"] == "results.csv line 5, column val/loss; run pocket-l, step 500, settings 333333333333"
    assert [column.get("badge") for column in table["columns"]] == [None] * 6 + ["SAMPLE"] * 6


def test_unfinished_runs_carry_reason_and_log(study):
    (run,) = tables.unfinished(read_study(study))
    assert run["state"] == "failed" and "not finite at step 3" in run["reason"]
    assert run["log"].endswith("pocket/pocket-xl/log.txt")
    assert run["last_words"].splitlines() == ["pocket-xl  step 2/500  loss nan", run["reason"]]


def test_unknown_hardware_has_no_mfu(study):
    rows = tables.cost(read_study(study))["rows"]
    assert {row["cells"][-1]["text"] for row in rows} == {"hardware unknown: no MFU"}


def test_provenance_says_once_what_all_share(study):
    told = tables.provenance(read_study(study))
    shared = {fact["label"]: fact["text"] for fact in told["shared"]}
    assert shared["source"] == "0123456789ab (clean)"
    assert shared["command"] == "zeroscale train +sweeps=pocket"
    assert "torch 2.13.0" in shared["packages"]
    assert [column["label"] for column in told["table"]["columns"]] == ["run", "settings hash"]


def test_the_way_back_is_complete(study):
    read = read_study(study)
    commands = " ".join(step["command"] for step in tables.again(read, benchmarks.read_cards(read)))
    for part in (
        "zeroscale train +sweeps=pocket",
        "zeroscale fit runs=",
        "zeroscale report study=",
        "zeroscale eval study=",
    ):
        assert part in commands
    assert "cards=[cbt_cn,cnn_dailymail,coqa,lambada,wikitext2,wmt14_en_fr] cards_from=sample" in commands


def test_examples_are_bounded_and_matched_across_sizes(study):
    read = read_study(study)
    shown = {card["card"]: card["examples"] for card in examples.read_examples([c for c in read.cells if c.done])}
    assert "held_out" not in shown and len(shown) == 6
    for found in shown.values():
        assert len(found) == examples.PER_CARD
        assert all(len(example["passage"]) <= examples.LONGEST + 2 for example in found)
    long = shown["lambada"][3]
    assert long["passage"].startswith("… ") and long["passage"].endswith("(lambada 3)")
    assert [answer["cell"] for answer in long["answers"]] == list(study_fixture.SIZES)


def test_right_and_wrong_are_the_records(study):
    import pyarrow.parquet

    read = read_study(study)
    shown = {card["card"]: card["examples"] for card in examples.read_examples(read.cells[:1])}
    folder = study / "pocket-xs/evals/step-00000500"
    records = pyarrow.parquet.read_table(folder / "lambada.paper.examples.parquet").to_pylist()[:12]
    assert [example["answers"][0]["right"] for example in shown["lambada"]] == [row["right"] for row in records]
    chosen = pyarrow.parquet.read_table(folder / "cbt_cn.paper.examples.parquet").to_pylist()[:12]
    assert [example["answers"][0]["right"] for example in shown["cbt_cn"]] == [row["chosen"] == 1 for row in chosen]
    assert {example["answers"][0]["right"] for example in shown["coqa"]} == {None}
