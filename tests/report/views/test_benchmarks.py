"""Scores reach the figures, the table and the notes as they stand in the result files."""

import json

import pytest
from support import study_fixture

from zeroscale.core import marks
from zeroscale.core.marks import Mark
from zeroscale.report.figures import plotly_panels
from zeroscale.report.sections import examples, score_notes
from zeroscale.report.tables import study_tables
from zeroscale.report.views import benchmarks
from zeroscale.report.views.study import read_study


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
            path, json.loads(path.read_text()) | {"is_sample": False, "source": "files", "mark": "", "n": 5153}
        )
    cards = benchmarks.read_cards(read_study(short))
    note = score_notes.sample_note(cards)
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
        result = json.loads(path.read_text()) | {"is_sample": False, "source": "files", "mark": ""}
        study_fixture.write_json(path, result)
    assert card_of(read_study(short), "lambada").panels[0].published == [("gpt2", 124_439_808, 35.1)]


def test_notes_tell_what_was_cut_left_out_and_limited(short):
    for path in short.glob("*/evals/*/coqa.paper.json"):
        fields = {"truncated": 3, "left_out": 0, "notes": ["limited to the first 12"]}
        study_fixture.write_json(path, json.loads(path.read_text()) | fields)
    assert card_of(read_study(short), "coqa").notes == [
        "limited to the first 12",
        "Examples cut to fit the context: 3 at every size.",
    ]


def test_a_score_that_is_not_finite_is_left_out(short):
    path = short / "pocket-xs/evals/step-00000010/wmt14_en_fr.paper.json"
    result = json.loads(path.read_text())
    result["metrics"]["bleu"]["value"] = None
    study_fixture.write_json(path, result)
    assert [p.run for p in card_of(read_study(short), "wmt14_en_fr").panels[0].points] == [
        "pocket-s",
        "pocket-m",
        "pocket-l",
    ]


def test_table_rows_carry_the_numbers_and_where_they_stand(study):
    read = read_study(study)
    table = study_tables.results(read, benchmarks.read_cards(read))
    assert [row[0].text for row in table.rows] == list(study_fixture.SIZES)
    loss = table.rows[3][4]
    assert loss.text == "3.054"
    assert loss.origin == "results.csv line 5, column val/loss; run pocket-l, step 500, settings 333333333333"
    assert [column.badge for column in table.columns] == [""] * 6 + ["SAMPLE"] * len(study_fixture.CARDS)


def test_unfinished_runs_carry_reason_and_log(study):
    (run,) = study_tables.unfinished(read_study(study))
    assert run["state"] == "failed" and "not finite at step 3" in run["reason"]
    assert run["log"].endswith("pocket/pocket-xl/log.txt")
    assert run["last_words"].splitlines() == ["pocket-xl  step 2/500  loss nan", run["reason"]]


def test_unknown_hardware_has_no_mfu(study):
    rows = study_tables.cost(read_study(study)).rows
    assert {row[-1].text for row in rows} == {"hardware unknown: no MFU"}


def test_provenance_says_once_what_all_share(study):
    provenance = study_tables.provenance(read_study(study))
    shared = {label: cell.text for label, cell in provenance.shared}
    assert shared["source"] == "0123456789ab (clean)"
    assert shared["command"] == "zeroscale train +sweeps=pocket"
    assert "torch 2.13.0" in shared["packages"]
    assert [column.label for column in provenance.table.columns] == ["run", "settings hash"]


def test_the_way_back_is_complete(study):
    read = read_study(study)
    commands = " ".join(step["command"] for step in study_tables.again(read, benchmarks.read_cards(read)))
    for part in (
        "zeroscale train +sweeps=pocket",
        "zeroscale fit runs=",
        "zeroscale report study=",
        "zeroscale eval study=",
    ):
        assert part in commands
    assert f"cards=[{','.join(sorted(study_fixture.CARDS))}] cards_from=sample" in commands


def test_examples_are_bounded_and_matched_across_sizes(study):
    read = read_study(study)
    shown = {card["card"]: card["examples"] for card in examples.read_examples([c for c in read.runs if c.done])}
    assert "held_out" not in shown and len(shown) == len(study_fixture.CARDS)
    for listed in shown.values():
        assert len(listed) == 14 <= examples.PER_CARD
        assert all(len(example["passage"]) <= examples.MAX_LENGTH + 2 for example in listed)
    long = shown["lambada"][3]
    assert long["passage"].startswith("… ") and long["passage"].endswith("(lambada 3)")
    assert [answer["cell"] for answer in long["answers"]] == list(study_fixture.SIZES)


def test_a_samples_first_example_is_not_a_whole_benchmarks(short):
    """Sizes may have been scored on other data: the same number is then another example."""
    import pyarrow
    import pyarrow.parquet

    path = short / "pocket-l/evals/step-00000010/lambada.paper.examples.parquet"
    rows = [row | {"content": "f" * 16, "target": "ship"} for row in pyarrow.parquet.read_table(path).to_pylist()]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    read = read_study(short)
    shown = {card["card"]: card["examples"] for card in examples.read_examples([c for c in read.runs if c.done])}
    answered = {example["target"]: [one["cell"] for one in example["answers"]] for example in shown["lambada"]}
    assert answered == {"boat": ["pocket-xs", "pocket-s", "pocket-m"], "ship": ["pocket-l"]}


def test_right_and_wrong_are_the_records(study):
    import pyarrow.parquet

    read = read_study(study)
    shown = {card["card"]: card["examples"] for card in examples.read_examples(read.runs[:1])}
    folder = study / "pocket-xs/evals/step-00000500"
    records = pyarrow.parquet.read_table(folder / "lambada.paper.examples.parquet").to_pylist()
    assert [example["answers"][0]["right"] for example in shown["lambada"]] == [row["right"] for row in records]
    chosen = pyarrow.parquet.read_table(folder / "cbt_cn.paper.examples.parquet").to_pylist()
    assert [example["answers"][0]["right"] for example in shown["cbt_cn"]] == [row["chosen"] == 1 for row in chosen]
    assert {example["answers"][0]["right"] for example in shown["coqa"]} == {None}


def score_on_files(study, card, fields, runs="*"):
    """Makes results of a card such as were scored on the benchmark's files; `fields` give them their marks."""
    for path in study.glob(f"{runs}/evals/*/{card}.paper.json"):
        result = json.loads(path.read_text()) | {"is_sample": False, "source": "files"} | fields
        study_fixture.write_json(path, result | {"mark": marks.text(marks.reasons_of(result))})


PART = {"data": "part: 150 of 500 stories (a slice; of three domains)"}


@pytest.mark.parametrize(
    ("fields", "badge"),
    [
        ({}, "BENCHMARK"),
        (PART, "PART"),
        ({"data": "other data: 200 articles, another split", "limit": 50}, "OTHER DATA, LIMITED"),
        ({"subset": {"suite": "quick", "examples": 200, "seed": 0}}, "SUBSET"),
        ({"limit": 5_000}, "LIMITED"),
    ],
)
def test_a_score_of_a_part_bears_what_its_result_says(short, fields, badge):
    score_on_files(short, "coqa", fields)
    card = card_of(read_study(short), "coqa")
    assert card.badge == badge and {point.badge for panel in card.panels for point in panel.points} == {badge}
    assert card.kind == ("part" if fields else "benchmark")
    assert bool(fields) == any(note.startswith(badge.split(",")[0]) for note in card.notes)


def test_the_first_screen_tells_parts_from_samples_and_benchmarks(short):
    score_on_files(short, "coqa", PART)
    score_on_files(short, "lambada", {})
    cards = benchmarks.read_cards(read_study(short))
    note = score_notes.sample_note(cards)
    assert "Scores marked PART are on a part of a benchmark, or on other data, and are not its results: coqa." in note
    assert note.endswith("Real benchmarks here: lambada.")
    assert score_notes.marked(cards) == [(Mark.SAMPLE,), (Mark.PART,)]


def test_the_way_back_scores_the_same_part(short):
    for path in short.glob("*/evals/*/*.paper.json"):
        fields = {"source": "files", "limit": 50, "data": "part: 150 of 500 stories"}
        study_fixture.write_json(path, json.loads(path.read_text()) | fields)
    read = read_study(short)
    commands = " ".join(step["command"] for step in study_tables.again(read, benchmarks.read_cards(read)))
    assert "cards_from=files data_dir=DIR limit=50 allow_other_data=true" in commands


def test_where_sizes_differ_each_score_bears_its_own(short):
    score_on_files(short, "coqa", {})
    score_on_files(short, "coqa", {"limit": 12}, runs="pocket-m")
    study = read_study(short)
    cards = benchmarks.read_cards(study)
    assert card_of(study, "coqa").badge == "MIXED"
    assert "LIMITED to the first 12 (pocket-m)." in card_of(study, "coqa").notes
    table = study_tables.results(study, cards)
    place = next(i for i, column in enumerate(table.columns) if column.label == "coqa")
    assert [row[place].badge for row in table.rows[:4]] == [
        *("BENCHMARK", "BENCHMARK", "LIMITED", "BENCHMARK"),
    ]
    lambada = next(i for i, column in enumerate(table.columns) if column.label == "lambada")
    assert table.rows[0][lambada].badge == ""


def test_data_that_nobody_could_check_are_named(short):
    score_on_files(short, "wmt14_en_fr", {})
    words = "as many sentences as published (3,003); no copy was at hand to compare the content with"
    for path in short.glob("*/evals/*/wmt14_en_fr.paper.json"):
        study_fixture.write_json(path, json.loads(path.read_text()) | {"data": words})
    assert card_of(read_study(short), "wmt14_en_fr").notes == [f"The data: {words}."]


def test_baselines_are_lines_in_the_panel_they_are_compared_with(study):
    panels = {panel.metric: panel for panel in card_of(read_study(study), "cnn_dailymail").panels}
    assert list(panels) == ["rouge1", "rouge2", "rougeL", "rouge_mean"]
    for metric, panel in panels.items():
        lines = {line.name: line for line in panel.lines}
        assert list(lines) == ["without the hint", "lede-3", "random-3"]
        assert lines["lede-3"].fixed and lines["lede-3"].description == "lede-3 0.350"
        for size, (params, value) in zip(study_fixture.SIZES, lines["without the hint"].points, strict=True):
            path = study / f"{size}/evals/step-00000500/cnn_dailymail.paper.json"
            assert params == study_fixture.SIZES[size]
            assert value == json.loads(path.read_text())["metrics"][f"no_hint_{metric}"]["value"]


def test_a_line_through_the_sizes_is_named_in_the_panels_text(study):
    panel = card_of(read_study(study), "cnn_dailymail").panels[0]
    assert plotly_panels.legend(panel) == "dotted: without the hint"
    order = {run.name: i for i, run in enumerate(read_study(study).runs)}
    named = [max(trace["text"]) for trace in plotly_panels.panel(panel, order)["data"] if "text" in trace]
    assert named == ["lede-3", "random-3"]


def test_sizes_scored_on_other_data_are_not_joined_by_a_line(short):
    def joined():
        study = read_study(short)
        order = {run.name: i for i, run in enumerate(study.runs)}
        panel = card_of(study, "coqa").panels[0]
        return any(
            trace["mode"] == "lines" and len(trace["x"]) == 4 for trace in plotly_panels.panel(panel, order)["data"]
        )

    assert joined()
    score_on_files(short, "coqa", {"limit": 12}, runs="pocket-m")
    assert not joined()
