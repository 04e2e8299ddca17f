"""The report in a terminal: the same numbers, in as many columns as there are, and nothing that a terminal obeys."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import study_fixture

from zeroscale.core import format
from zeroscale.report import terminal
from zeroscale.report.views import size_law
from zeroscale.report.views.study import read_study


@pytest.fixture(scope="module")
def shown(study) -> str:
    return terminal.render(read_study(study), 100)


def test_it_says_the_law_with_its_interval_the_hold_out_and_every_warning(study, shown):
    fit = json.loads((study / "fit.json").read_text())["laws"]["val/loss"]
    flat = " ".join(shown.split())
    assert "0.0900" in flat and "0.081 to 0.099" in flat
    assert format.printable(size_law.hold_out_sentence(size_law.read_law(read_study(study)))) in flat
    for warning in fit["warnings"]:
        assert warning in flat
    assert "pocket-xl is failed at step 3: the loss is not finite at step 3" in flat


def test_every_run_and_every_score_stands_in_it(study, shown):
    view = read_study(study)
    for run in view.runs:
        assert run.label in shown
    for card in study_fixture.CARDS:
        assert f"\n{card} " in shown
    assert "SAMPLE" in shown and "higher" not in shown.lower().split("scores beside")[0][-1:]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_longer_than_the_terminal(study, width):
    lines = terminal.render(read_study(study), width).splitlines()
    assert max(map(len, lines)) <= width
    assert not any(line != line.rstrip() for line in lines)


def test_numbers_stand_under_each_other(shown):
    lines = shown.splitlines()
    at = next(i for i, line in enumerate(lines) if line == "RUNS")
    rule = next(line for line in lines[at:] if set(line) == {"-", " "})
    ends = [view.end() for view in re.finditer("-+", rule)]
    row = next(line for line in lines[at:] if line.startswith("pocket-l"))
    assert len(row) <= ends[-1] and row[ends[1] - 1] not in " " and row[ends[2] - 1] != " "


def test_it_is_bare_text_without_a_terminal_and_bold_headings_with_one(study):
    view = read_study(study)
    assert "\x1b" not in terminal.render(view, 100, colours=False)
    assert "\x1b[1mRuns\x1b[0m" in terminal.render(view, 100, colours=True)


def test_what_a_terminal_would_obey_is_shown_as_nothing(tmp_path):
    folder = study_fixture.write_study(tmp_path / "pocket", n_steps=10, scored=False)
    status = {"state": "failed", "reason": "\x1b]0;owned\x07\x1b[2Jbad\x9b31m\u202ereason", "step": 3}
    (folder / "pocket-xl/status.json").write_text(json.dumps(status))
    shown = terminal.render(read_study(folder), 100)
    assert "bad" in shown and not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)


def test_many_runs_are_cut_to_the_largest_and_the_file_is_named(tmp_path):
    sizes = {f"m{i:02d}": 10_000 + 1_000 * i for i in range(30)}
    folder = study_fixture.write_study(tmp_path / "many", sizes, n_steps=4, scored=False, failed=False, fit=False)
    shown = terminal.render(read_study(folder), 80)
    runs = shown.partition("\nRUNS\n")[2].partition("\n\n")[0]
    assert "m29" in runs and "m05" not in runs and "20 largest of 30 runs" in runs and "results.csv" in runs


def test_a_study_with_nothing_but_a_failure_still_has_a_text(tmp_path):
    study_fixture.write_failed(tmp_path / "pocket/pocket-xl")
    shown = terminal.render(read_study(tmp_path / "pocket"), 80)
    assert "No run of this study has finished" in shown and "! pocket-xl is failed" in shown


def test_the_command_prints_it_and_writes_nothing(study, tmp_path):
    copy = study_fixture.write_study(tmp_path / "pocket", n_steps=10, scored=False)
    before = sorted(path.relative_to(copy) for path in copy.rglob("*"))
    result = subprocess.run(
        [sys.executable, "-m", "zeroscale", "report", "study=pocket", "format=text"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "90"},
        check=True,
    )
    assert result.stderr == "" and "RUNS" in result.stdout and max(map(len, result.stdout.splitlines())) <= 90
    assert sorted(path.relative_to(copy) for path in copy.rglob("*")) == before
    assert Path(copy / "report").exists() is False
