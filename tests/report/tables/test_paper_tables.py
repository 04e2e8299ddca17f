"""The paper's numbers reach the page as the paper prints them, and only beside whole benchmarks."""

import json

import pytest
from support import study_fixture

from zeroscale.eval import published
from zeroscale.report.figures import plotly_panels
from zeroscale.report.tables import paper_tables
from zeroscale.report.views import benchmarks
from zeroscale.report.views.study import read_study

# Radford et al. 2019, table 3, and the text of section 3 for the largest model alone.
TABLE_3 = {
    ("lambada", "perplexity"): [35.13, 15.60, 10.87, 8.63],
    ("lambada", "acc_stop_words"): [0.4599, 0.5548, 0.6012, 0.6324],
    ("cbt_cn", "acc"): [0.8765, 0.9235, 0.9345, 0.9330],
    ("cbt_ne", "acc"): [0.834, 0.871, 0.880, 0.8905],
    ("wikitext2", "word_perplexity"): [29.41, 22.76, 19.93, 18.34],
    ("ptb", "word_perplexity"): [65.85, 47.33, 40.31, 35.76],
    ("enwik8", "bits_per_byte"): [1.16, 1.01, 0.97, 0.93],
    ("text8", "bits_per_character"): [1.17, 1.06, 1.02, 0.98],
    ("wikitext103", "word_perplexity"): [37.50, 26.37, 22.05, 17.48],
    ("lm1b", "word_perplexity"): [75.20, 55.72, 44.575, 42.16],
    ("coqa", "f1"): [55.0],
    ("wmt14_fr_en", "bleu"): [11.5],
    ("cnn_dailymail", "rouge_mean"): [21.40],
    ("natural_questions", "acc"): [0.041],
    ("wsc273", "acc"): [0.707],
}
SIZES = [85_056_000, 302_311_424, 708_390_400, 1_475_561_600]


@pytest.fixture
def whole(tmp_path):
    """A study whose scores of LAMBADA and CoQA are of the whole benchmarks, by the paper's protocol."""
    study = study_fixture.write_study(tmp_path / "pocket", n_steps=10)
    for path in [*study.glob("*/evals/*/lambada.*.json"), *study.glob("*/evals/*/coqa.*.json")]:
        fields = {"is_sample": False, "source": "files", "mark": "", "n": 5153}
        study_fixture.write_json(path, json.loads(path.read_text()) | fields)
    return study


@pytest.mark.parametrize(("card", "metric"), TABLE_3)
def test_the_cards_numbers_are_the_papers(card, metric):
    reported = [entry for entry in published.of(card) if entry.metric == metric and entry.paper]
    assert [entry.value for entry in reported] == TABLE_3[card, metric]
    assert [entry.params for entry in reported] == SIZES[-len(reported) :]


@pytest.mark.parametrize("name", ["nothing", "../conf/report", "lambada-quick", "samples/lambada", ""])
def test_what_is_no_shipped_card_has_none(name):
    assert published.of(name) == ()


def panel(study, card, metric):
    scored = next(entry for entry in benchmarks.read_cards(read_study(study)) if entry.card == card)
    return next(entry for entry in scored.panels if entry.metric == metric)


def test_a_whole_benchmarks_panel_has_the_papers_points_and_others(whole):
    shown = panel(whole, "lambada", "perplexity")
    assert [value for _, _, value in shown.published] == [35.13, 15.60, 10.87, 8.63]
    assert shown.published[0][:2] == ("GPT-2 small, the paper", 85_056_000.0)
    assert [value for _, _, value in shown.reproduced] == [40.055, 10.634]
    order = {run.name: i for i, run in enumerate(read_study(whole).runs)}
    traces = plotly_panels.panel(shown, order)["data"]
    assert next(trace["y"][0] for trace in traces if trace.get("marker", {}).get("symbol") == "x-thin") == 35.13
    low, high = plotly_panels.panel(shown, order)["layout"]["xaxis"]["range"]
    assert 10**low < min(study_fixture.SIZES.values()) and 10**high > SIZES[-1]


def test_a_sample_has_neither(whole):
    shown = panel(whole, "wikitext2", "word_perplexity")
    assert shown.published == [] and shown.reproduced == []


def test_another_protocol_has_only_what_was_measured_by_it(whole):
    for path in list(whole.glob("*/evals/*/lambada.paper.json")):
        result = json.loads(path.read_text()) | {"protocol": "lm-eval"}
        study_fixture.write_json(path.with_name("lambada.lm-eval.json"), result)
        path.unlink()
    shown = panel(whole, "lambada", "perplexity")
    assert shown.published == [] and [value for _, _, value in shown.reproduced] == [40.055, 10.634]


def test_the_first_screens_table_sets_both_side_by_side(whole):
    table = paper_tables.table(benchmarks.read_cards(read_study(whole)))
    assert [column.label for column in table.columns] == [
        *("benchmark", *study_fixture.SIZES, "GPT-2 small", "GPT-2 medium", "GPT-2 large", "GPT-2 xl"),
    ]
    rows = {row[0].text: [cell.text for cell in row[5:]] for row in table.rows}
    assert rows == {"coqa": ["–", "–", "–", "55"], "lambada": ["35.13", "15.6", "10.87", "8.63"]}
    score = table.rows[1][4]
    assert score.note and score.source["metric"] == "lambada/perplexity"


def test_a_study_of_samples_has_no_such_table(study):
    assert paper_tables.table(benchmarks.read_cards(read_study(study))) is None
