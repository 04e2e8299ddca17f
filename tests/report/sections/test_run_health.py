"""The worst-behaved run is the one that failed, diverged or jumped, and the report says so."""

import json
import math

import pytest
from support import study_fixture

from zeroscale.core.files import lock
from zeroscale.report.sections import run_health
from zeroscale.report.sections.run_health import Severity
from zeroscale.report.views.study import read_study
from zeroscale.runs.layout import WORKER_LOCK


@pytest.fixture
def short(tmp_path):
    """Four sizes of 200 steps on their law, nothing failed."""
    return study_fixture.write_study(tmp_path / "pocket", n_steps=200, scored=False, failed=False)


def change(study, run, step, **fields):
    path = study / run / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [row | fields if row["step"] >= step else row for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def jump(study, run, step, nats):
    path = study / run / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [row | {"train/loss": row["train/loss"] + nats * (row["step"] == step)} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_failed_run_is_the_worst_and_says_why(study):
    worst, *rest = run_health.run_health(read_study(study))
    assert worst.label == "pocket-xl" and worst.severity == Severity.FAILED
    assert worst.worst.startswith("failed at step 3: the loss is not finite at step 3")
    assert worst.remarks[1] == "the training loss was not finite at one logged step, first at step 2"
    assert {health.severity for health in rest} == {Severity.NOTHING}


def test_a_jump_of_the_loss_is_found_at_its_step(short):
    jump(short, "pocket-s", 120, 2.5)
    worst = run_health.run_health(read_study(short))[0]
    assert (worst.label, worst.severity) == ("pocket-s", Severity.JUMPS)
    assert worst.jump.step == 120 and worst.jump.nats == pytest.approx(2.5, abs=0.3)
    assert "at step 120" in worst.worst


def test_noise_is_no_jump_and_the_first_fall_is_none_either(short):
    assert {health.severity for health in run_health.run_health(read_study(short))} == {Severity.NOTHING}


def test_a_loss_that_rises_to_the_end_is_worse_than_a_jump(short):
    jump(short, "pocket-s", 120, 2.5)
    change(short, "pocket-m", 150, **{"train/loss": 6.0})
    first, second, *_ = run_health.run_health(read_study(short))
    assert (first.label, first.severity) == ("pocket-m", Severity.RISES)
    assert first.worst.endswith("nats above its lowest") and second.label == "pocket-s"


def test_a_run_cut_off_is_named_and_one_that_goes_on_is_not(short):
    for run, state in (("pocket-s", "resumable"), ("pocket-m", "running")):
        (short / run / "DONE").unlink()
        study_fixture.write_json(short / run / "status.json", {"state": state, "reason": "", "step": 90})
    with lock(short / "pocket-m" / WORKER_LOCK, 0, "taken"):
        by_label = {health.label: health for health in run_health.run_health(read_study(short))}
    assert by_label["pocket-s"].worst == "not done at step 90 (resumable)"
    assert by_label["pocket-m"].severity == Severity.NOTHING


def test_where_nothing_is_wrong_the_farthest_above_the_law_comes_first(short):
    path = short / "fit.json"
    fit = json.loads(path.read_text())
    for point, off in zip(fit["laws"]["val/loss"]["points"], (0.001, -0.03, 0.02, 0.0), strict=True):
        point["log_residual"] = off
    path.write_text(json.dumps(fit))
    worst = run_health.run_health(read_study(short))[0]
    assert worst.label == "pocket-m" and worst.log_residual == 0.02
    assert worst.worst.startswith(f"{100 * math.expm1(0.02):.1f}\u00a0% above the law")


def test_the_table_has_a_row_for_every_run(study):
    read = read_study(study)
    table = run_health.table(read, run_health.run_health(read))
    assert table.rows[0][0].text == "pocket-xl"
    assert len(table.rows) == 5 and all(len(row) == len(table.columns) for row in table.rows)
    remarks = {row[0].text: row[-1].text for row in table.rows}
    assert remarks["pocket-l"] == "none" and "not finite at step 3" in remarks["pocket-xl"]


def test_runs_without_a_step_are_no_fault(tmp_path):
    study_fixture.write_failed(tmp_path / "pocket/pocket-xl")
    (tmp_path / "pocket/pocket-xl/metrics.jsonl").unlink()
    (health,) = run_health.run_health(read_study(tmp_path / "pocket"))
    assert health.severity == Severity.FAILED and health.jump is None
