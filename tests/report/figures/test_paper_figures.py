"""The paper's figures 1 and 4 with this study's models."""

import json
import math

import pytest
from support import study_fixture

from zeroscale.report.figures import paper_figures
from zeroscale.report.views import benchmarks
from zeroscale.report.views.loss_curves import curves
from zeroscale.report.views.study import read_study


@pytest.fixture(scope="module")
def read(study):
    return read_study(study)


def test_figure_1_has_the_papers_four_tasks_in_its_order(read):
    tasks = paper_figures.tasks(benchmarks.read_cards(read))
    assert [task.name for task in tasks] == ["coqa", "wmt14_fr_en", "cnn_dailymail", "natural_questions"]
    assert [task.panel is not None for task in tasks] == [True, False, True, True]
    assert tasks[2].panel.metric == "rouge_mean"


def test_without_any_of_the_four_there_is_no_figure_1(tmp_path):
    read = read_study(study_fixture.write_study(tmp_path / "pocket", n_steps=10, scored=False))
    assert paper_figures.tasks(benchmarks.read_cards(read)) == []


def test_figure_4_is_the_exponential_of_the_losses(read, study):
    plot = paper_figures.perplexity(read, curves(read.runs))
    layers = {layer.name: layer for layer in plot.layers if layer.name}
    assert layers["test"].x == list(study_fixture.SIZES.values())
    test = layers["test"]
    for name, n, value, low in zip(test.runs, test.x, test.y, test.low, strict=True):
        assert value == pytest.approx(math.exp(study_fixture.loss_of(n)))
        score = json.loads((study / name / "evals/step-00000500/held_out.corpus.json").read_text())["metrics"]["loss"]
        assert low == pytest.approx(math.exp(score["low"]))
    for n, value in zip(layers["train"].x, layers["train"].y, strict=True):
        assert value == pytest.approx(math.exp(study_fixture.loss_of(n)), rel=0.1)


def test_of_several_runs_of_a_size_the_best_counts(tmp_path):
    study = study_fixture.write_study(tmp_path / "pocket", n_steps=10, scored=False, failed=False)
    study_fixture.write_cell(study / "pocket-s-again", "pocket-s", 102_400, 7, 10, False)
    for name in ("metrics.jsonl", "evals/step-00000010/held_out.corpus.json"):
        path = study / "pocket-s-again" / name
        path.write_text(path.read_text().replace(f"{study_fixture.loss_of(102_400)}", "2.5"))
    read = read_study(study)
    test = next(m for m in paper_figures.perplexity(read, curves(read.runs)).layers if m.name == "test")
    assert len(test.x) == 4 and test.runs[1] == "pocket-s-again" and test.y[1] == pytest.approx(math.exp(2.5))


def test_one_size_alone_is_no_figure(tmp_path):
    read = read_study(study_fixture.write_study(tmp_path / "one", {"pocket-s": 102_400}, n_steps=10, scored=False))
    assert paper_figures.perplexity(read, curves(read.runs)) is None
