"""A run's state is one, whoever asks: status, ledger and report. Its settings, metrics and results as its files say."""

import csv
import json
import os
import subprocess
import sys

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch import status_table
from zeroscale.report.views import study as views
from zeroscale.runs import layout
from zeroscale.runs.run import Run, open_run
from zeroscale.runs.study import Study

GONE = "its process is gone; the same command goes on"
HOLDER = """
import sys, time
from pathlib import Path
from zeroscale.core.files import lock
with lock(Path(sys.argv[1]), 0, "taken"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def hold():
    """hold(path): a process that holds the lock there; they are killed at the end."""
    children = []

    def start(path):
        child = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
        children.append(child)
        assert child.stdout.readline() == "held\n"
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()


def states(study):
    """A run's state as the study, the status table, the ledger on disk and the report give it."""
    (run,) = Study(study).runs
    (row,) = status_table.read(study).rows
    (cell,) = views.read_study(study).runs
    with open(study / "results.csv", newline="") as file:
        ledger = {row["status"] for row in csv.DictReader(file)}
    assert {cell.row["status"]} == ledger
    return {run.state, row.state, cell.run.state, *ledger}, row.reason


@pytest.mark.parametrize("name", [layout.WORKER_LOCK, layout.LAUNCH_LOCK])
def test_a_run_whose_process_was_killed_is_resumable_everywhere(tmp_path, disk, hold, name):
    run = disk.write_cell(tmp_path, "s", state="running", checkpoints=(256,))
    child = hold(run / name)
    assert states(tmp_path) == ({"running"}, "trained, being scored")
    child.kill()
    child.wait()
    # Nothing was written since: the ledger on disk is as new as the run's files, and says "running".
    assert states(tmp_path) == ({"resumable"}, GONE)


def test_a_run_without_a_status_is_about_to_begin_or_was_cut_off(tmp_path, disk, hold):
    run = disk.write_cell(tmp_path, "s", checkpoints=(256,))
    (run / "DONE").unlink()
    assert Run(run).status == ("resumable", "", 512)
    (run / "status.json").unlink()
    assert Run(run).status == ("resumable", GONE, None)
    hold(run / layout.LAUNCH_LOCK)
    assert Run(run).status == ("running", "about to begin", None)


def test_what_has_ended_does_not_ask_its_locks(tmp_path, disk, hold):
    for model, state in (("s", "done"), ("m", "failed"), ("l", "resumable")):
        run = disk.write_cell(tmp_path, model, state=state)
        hold(run / layout.WORKER_LOCK)
        assert Run(run).state == state and Run(run).done == (state == "done")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_study_that_cannot_be_written_is_read(tmp_path, disk, hold):
    run = disk.write_cell(tmp_path, "s", state="running")
    hold(run / layout.WORKER_LOCK)
    run.chmod(0o555)
    assert Run(run).state == "running"


def test_a_finished_runs_ledger_has_the_bytes_it_always_had(tmp_path, disk):
    # Written by version 0.1.0, before `Run` and `Study`.
    held = disk.result("held_out", {"loss": disk.score(3.9)}, protocol="corpus", source="corpus", mark="x")
    part = disk.result("lambada", {"acc": disk.score(0.5), "n": disk.score(None)}, mark="PART")
    disk.write_cell(tmp_path, "xs", checkpoints=(512,), results={512: [held, part]})
    assert Study(tmp_path).write_ledger().read_text() == (
        "cell,model,status,step,seed,params,params_non_embedding,params_matmul,tokens,flops,flops_6nd,train/loss,"
        "val/loss,val/bits_per_byte,seconds,sample_cards,partial_cards,held_out/loss,held_out/loss/low,"
        "held_out/loss/high,held_out/loss/n,lambada/acc,lambada/acc/low,lambada/acc/high,lambada/acc/n,lambada/n,"
        "lambada/n/low,lambada/n/high,lambada/n/n\n"
        "pocket-xs-seed0,pocket-xs,done,512,0,61568,25472,57472,1048576,464661774336.0,160255967232.0,4.4879999999999995,3.9,2.0,"
        "51.2,,lambada,3.9,3.88,3.92,100,0.5,0.48,0.52,100,,,,100\n"
    )


def test_of_a_step_that_was_logged_twice_the_last_value_counts(tmp_path):
    lines = [{"step": 1, "a": 1, "b": 1}, {"step": 2, "a": 2}, {"step": 1, "a": 3}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert Run(tmp_path).metrics == {1: {"step": 1, "a": 3, "b": 1}, 2: {"step": 2, "a": 2}}


def test_results_keep_fields_that_this_version_does_not_know(tmp_path, disk):
    made = disk.result("lambada", {"acc": disk.score(0.5)}, of_tomorrow=[1], mark="PART: 10 of 20")
    other = {**disk.result("lambada", {"acc": disk.score(0.4)}), "protocol": "lm-eval"}
    run = Run(disk.write_cell(tmp_path, "s", results={256: [made], 512: [other]}))
    first, second = run.results
    assert (first.step, first.name, first.card, first.protocol) == (256, "lambada.paper", "lambada", "paper")
    assert first.content["of_tomorrow"] == [1] and first.is_part and not first.is_sample
    assert first.scores["lambada/acc"] == 0.5 and second.scores["lambada.lm-eval/acc"] == 0.4
    assert run.scored_steps == {256: 1, 512: 1} and run.results_at(512) == [second]


def test_what_is_no_run_says_so(tmp_path, disk):
    disk.write_cell(tmp_path, "s")
    with pytest.raises(ZeroscaleError, match=r"^run=.* is not a run: .* it is a study, .*: pocket-s-seed0$"):
        open_run(tmp_path, "run=")
    with pytest.raises(ZeroscaleError, match="is not a run"):
        _ = Run(tmp_path).config
    (tmp_path / "pocket-s-seed0" / "config.yaml").write_text("a: [")
    with pytest.raises(ZeroscaleError, match=r"config\.yaml is not valid YAML"):
        _ = Run(tmp_path / "pocket-s-seed0").settings
