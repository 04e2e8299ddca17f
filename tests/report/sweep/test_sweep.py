"""A study of several settings: what its page and its terminal report say of them.

The made-up study has two rates, three sizes, five seeds; pocket-xs is best at 0.01, the others at 0.003, and seeds move
a loss by -0.02 to 0.02: a standard deviation of 0.0158.
"""

import json
import math
import shlex

import pytest
from scipy import stats

from zeroscale.core.best_mean import Difference
from zeroscale.report import dashboard, terminal
from zeroscale.report.sweep import answers, plots, view
from zeroscale.report.views import size_law
from zeroscale.report.views.study import read_study

SD = math.sqrt(0.001 / 4)


@pytest.fixture
def study(tmp_path, disk):
    return read_study(disk.write_rates(tmp_path / "rates"), keep=False)


def test_of_each_size_the_setting_with_the_best_mean_is_chosen(study):
    sweep = view.read(study)
    assert [(size.name, size.chosen.text) for size in sweep.sizes] == [
        ("pocket-xs", "lr=0.01"),
        ("pocket-s", "lr=0.003"),
        ("pocket-m", "lr=0.003"),
    ]
    assert sweep.sizes[1].chosen.mean == pytest.approx(4.2)
    assert sweep.sizes[1].behind[1].value == pytest.approx(0.05)
    assert sweep.sizes[0].edge(study.axes.settings[0]) == "largest"


def test_the_noise_of_a_seed_is_pooled_over_all_settings(study):
    sweep = view.read(study)
    assert sweep.seed_sd == pytest.approx(SD)
    assert (sweep.seed_freedom, sweep.seeds) == (24, 5)
    expected = stats.t.ppf(0.975, 24) * SD * math.sqrt(2 / 5)
    assert sweep.smallest_difference == pytest.approx(expected)


def test_the_interval_of_a_mean_is_students(study):
    chosen = view.read(study).sizes[2].chosen
    expected = stats.t.interval(0.95, 4, loc=4.0, scale=SD / math.sqrt(5))
    assert chosen.ends == pytest.approx(expected)


def test_settings_that_seeds_do_not_tell_apart_are_named(tmp_path, disk):
    def losses(model, rate, seed):
        return {"xs": 4.4, "s": 4.2, "m": 4.0}[model] + (0.001 if rate == 0.01 else 0) * (-1) ** seed * seed

    found = view.read(read_study(disk.write_rates(tmp_path / "s", losses), keep=False))
    assert [one.text for one in found.sizes[0].tied] == ["lr=0.01"]


def test_four_answers(study):
    found = {one.question: one.answer for one in answers.answers(study, view.read(study))}
    assert found["Which size"].startswith("pocket-m lr=0.003 has the lowest loss, 4.000 (3.98 to 4.02; 5 seeds)")
    assert "pocket-xs lr=0.01, pocket-s lr=0.003, pocket-m lr=0.003" in found["Which setting"]
    assert "0.016 nats (standard deviation, 24 degrees of freedom)" in found["How noisy"]
    assert "model=pocket-xs optimizer.lr=0.0333" in found["What next"]
    assert answers.answers(study, view.read(study))[-1].commands[-1].startswith("zeroscale fit runs=")


def test_what_next_is_the_studys_last_command_for_the_sizes_at_an_edge(tmp_path, disk):
    folder = tmp_path / "thirty"
    disk.write_rates(folder)
    command = "zeroscale train -m study=thirty model=pocket-xs,pocket-s optimizer.lr=0.003,0.01 seed=0,1 'cards=[]'"
    (folder / "sweep.json").write_text(json.dumps({"command": command, "cells": []}))
    study = read_study(folder, keep=False)
    first, *_ = answers.answers(study, view.read(study))[-1].commands
    assert first == "zeroscale train -m study=thirty model=pocket-xs optimizer.lr=0.0333 seed=0,1 'cards=[]'"
    lines = terminal.render(study, width=80).splitlines()
    start = lines.index("  zeroscale train -m study=thirty model=pocket-xs optimizer.lr=0.0333 seed=0,1 \\")
    assert shlex.split(" ".join(line.removesuffix("\\") for line in lines[start : start + 2])) == shlex.split(first)


def test_the_headline_rests_on_means_of_the_chosen_settings(study):
    law = size_law.read_law(study)
    assert len(law.points) == 15
    assert "falls from 4.40 to 4.00 nats" in size_law.verdict(law)


def test_one_seed_each_says_that_noise_is_not_known(tmp_path, disk):
    for rate in (0.003, 0.01):
        disk.write_cell(tmp_path / "s", "s", name=f"r-{rate}", loss=4 + rate, settings={"optimizer.lr": rate})
    study = read_study(tmp_path / "s", keep=False)
    sweep = view.read(study)
    assert sweep.seed_sd is None
    assert sweep.sizes[0].behind[1] == Difference(pytest.approx(0.007), None, None)
    assert "no setting was trained with two seeds" in answers.answers(study, sweep)[2].answer
    assert plots.over_settings(sweep)[0].layers[1].low == []


def test_words_are_drawn_side_by_side(tmp_path, disk):
    for name in ("adamw", "muon"):
        more = {"optimizer.name": name}
        disk.write_cell(tmp_path / "s", "s", name=f"r-{name}", loss=4.0, settings=more)
    (plot,) = plots.over_settings(view.read(read_study(tmp_path / "s", keep=False)))
    assert plot.x.ticks() == ([0.0, 1.0], ["adamw", "muon"])
    assert plot.title == "Loss over optimizer"


def test_a_ladder_of_sizes_alone_has_no_such_section(tmp_path, disk):
    for model in ("xs", "s"):
        disk.write_cell(tmp_path / "s", model)
    assert view.read(read_study(tmp_path / "s", keep=False)) is None


def test_curves_are_means_over_seeds_in_a_band(study):
    by_size, by_rate = plots.curves(study)
    lines = [layer for layer in by_size.layers if layer.kind == "line"]
    assert len(lines) == 6
    assert lines[0].x == [262144.0, 524288.0, 786432.0, 1048576.0]
    assert {layer.name for layer in by_rate.layers if layer.name} == {"lr=0.003", "lr=0.01"}
    bands = [layer for layer in by_size.layers if layer.kind == "band"]
    assert bands[0].high[-1] - bands[0].low[-1] == pytest.approx(0.04)


def test_the_page_holds_it(study):
    index = dashboard.write(study.directory, live=1.0)
    content = (index.parent / "data.js").read_text().removeprefix("window.zeroscale = ").rstrip(";\n")
    sweep = json.loads(content)["sweep"]
    assert [one["question"] for one in sweep["answers"]] == ["Which size", "Which setting", "How noisy", "What next"]
    assert [one["title"] for one in sweep["figures"]] == ["Loss over lr"]
    assert [one["by"] for one in sweep["curves"]] == ["model", "lr"]
    assert len(sweep["chosen"]["rows"]) == 3


def test_the_terminal_says_the_same_in_80_columns(study):
    text = terminal.render(study, 80)
    assert "How noisy: Seeds of one setting scatter by 0.016 nats" in text
    assert "CHOSEN SETTINGS" in text
    assert max(len(line) for line in text.splitlines() if str(study.directory) not in line) <= 80


def test_a_page_of_some_runs_lies_beside_the_studys(study, zeroscale):
    folder = study.directory
    shown = zeroscale("report", f"study={folder}", "where.lr=0.003", "where.seed=0,1", "format=text", cwd=folder).stdout
    assert "6 of 6 runs done" in " ".join(shown.split())
    assert "where.lr=0.003 where.seed=0,1" in " ".join(shown.split())
    index = dashboard.write(folder, live=1.0, filters={"lr": 0.003})
    assert index.parent.name == "report-lr=0.003"
    assert len(json.loads((index.parent / "data.js").read_text()[len("window.zeroscale = ") : -2])["cells"]) == 15


def test_a_law_over_data_is_on_the_page(tmp_path, disk):
    from zeroscale.scaling import fit_study

    folder = tmp_path / "lengths"
    for tokens in (1 << 18, 1 << 19, 1 << 20, 1 << 21):
        more = {"trainer.tokens": tokens, "trainer.batch_tokens": tokens // 512}
        cell = disk.write_cell(folder, "s", name=f"r{tokens}", loss=3 + 40 * tokens**-0.3, settings=more)
        lines = [json.loads(line) for line in (cell / "metrics.jsonl").read_text().splitlines()]
        text = "".join(json.dumps({**row, "tokens": row["step"] * tokens // 512}) + "\n" for row in lines)
        (cell / "metrics.jsonl").write_text(text)
    fit_study(folder, law="data", bootstrap=100)
    index = dashboard.write(folder, live=1.0)
    figures = json.loads((index.parent / "data.js").read_text()[len("window.zeroscale = ") : -2])["sweep"]["figures"]
    assert [one["name"] for one in figures] == ["loss_over_length"]
