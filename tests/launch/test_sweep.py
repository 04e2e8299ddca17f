"""Whole sweeps as child processes, for real: two shells, several cells at once, killed and finished, watched."""

import contextlib
import csv
import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import environment

from zeroscale.cli import compose, main, options
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.files import try_lock
from zeroscale.launch import sweep
from zeroscale.runs import layout, status

# Three cells of some seconds each, most of it imports.
SWEEP = ["-m", "study=tiny", "model.d_model=8,16,24", "optimizer.lr_reference_params=null"]
# So long that it is caught in the middle however late a busy machine comes to it: it is never trained to its end.
LONG = ["trainer.tokens=15360000", "trainer.checkpoint_every=20", "trainer.val_every=50"]


def ledger(study: Path) -> list[dict[str, str]]:
    """results.csv without the seconds, which no two runs share."""
    with open(study / "results.csv", newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def steps_said(output: str) -> list[str]:
    """The runs that were trained to their end, by label."""
    return sorted(re.findall(r"^run \d of \d  (.+?)  step 20/20", output, re.MULTILINE))


@pytest.mark.parametrize("widths", ["8,16", pytest.param("8,16,24", marks=pytest.mark.slow, id="and as one shell")])
def test_two_shells_share_a_study_and_run_no_cell_twice(zeroscale, running, small, texts, tmp_path, widths):
    arguments = ["train", *small, *SWEEP, f"model.d_model={widths}"]
    shells = [running(*arguments) for _ in range(2)]
    outputs = [shell.process.communicate(timeout=600)[0] for shell in shells]
    assert [shell.process.returncode for shell in shells] == [0, 0], outputs
    cells = sorted(path.parent.name for path in tmp_path.glob("outputs/tiny/*/DONE"))
    labels = sorted(f"pocket-s d_model={width}" for width in widths.split(","))
    assert len(cells) == len(labels) and steps_said("".join(outputs)) == labels
    # Both end with all runs in their tables.
    assert all(output.rindex("val/loss") < output.rindex(label) for output in outputs for label in labels)
    if len(cells) > 2:
        zeroscale(*arguments, "output_dir=alone")
        assert ledger(tmp_path / "outputs" / "tiny") == ledger(tmp_path / "alone" / "tiny")


@pytest.mark.slow
def test_several_cells_at_once_give_the_same_ledger(zeroscale, small, texts, tmp_path):
    one = zeroscale("train", *small, *SWEEP)
    several = zeroscale("train", *small, *SWEEP, "cells_at_once=3", "output_dir=beside")
    assert ledger(tmp_path / "outputs" / "tiny") == ledger(tmp_path / "beside" / "tiny")
    assert steps_said(several.stdout) == steps_said(one.stdout) and len(steps_said(one.stdout)) == 3
    starts = [json.loads(path.read_text())["command"] for path in tmp_path.glob("beside/tiny/*/manifest.json")]
    assert all("cells_at_once=3" in command for command in starts)


def test_the_cores_are_divided_among_the_cells_at_once():
    from zeroscale.core import machine

    here = machine.cpu_cores()
    os_threads = os.environ.pop("OMP_NUM_THREADS", None)
    try:
        assert machine.child_environment("cpu", None, 1)["OMP_NUM_THREADS"] == str(here)
        assert machine.child_environment("cpu", None, 1, at_once=here)["OMP_NUM_THREADS"] == "1"
        given = machine.child_environment("cuda", 3, 1, at_once=2, gpus=("1", "GPU-8f"))
        assert given["OMP_NUM_THREADS"] == "3" and given["CUDA_VISIBLE_DEVICES"] == "1,GPU-8f"
    finally:
        if os_threads is not None:
            os.environ["OMP_NUM_THREADS"] = os_threads


def test_gpus_are_dealt_out_and_no_other_sweep_gets_one_that_is_held(tmp_path):
    here, there = (sweep.Gpus(["0", "1", "MIG-a/1"], tmp_path) for _ in range(2))
    assert here.take(2) == ("0", "1")
    assert there.take(2) is None and there.take(1) == ("MIG-a/1",)
    here.give_back(("0", "1"))
    assert there.take(2) == ("0", "1") and here.take(1) is None


@pytest.mark.slow
def test_ctrl_c_stops_all_cells_in_good_order(zeroscale, running, small, texts, tmp_path):
    arguments = ["train", *small, *SWEEP, *LONG, "trainer.tokens=512000", "cells_at_once=2"]
    run = running(*arguments)
    logs = tmp_path.glob
    run.wait(lambda: True if sum(log.stat().st_size > 0 for log in logs("outputs/tiny/*/metrics.jsonl")) == 2 else None)
    # Each thread's own: cells are started by threads.
    tasks = Path(f"/proc/{run.process.pid}/task").glob("*/children")
    children = [child for task in tasks for child in task.read_text().split()]
    assert len(children) == 2
    run.process.send_signal(signal.SIGINT)
    output, _ = run.process.communicate(timeout=300)
    assert run.process.returncode == 130 and output.count("stopping: writing checkpoints") == 1, output
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    begun = [path.parent for path in tmp_path.glob("outputs/tiny/*/metrics.jsonl")]
    assert len(begun) == 2 and {status.read(cell).state for cell in begun} == {"resumable"}
    shown = zeroscale("status", "study=outputs/tiny", code=1).stdout
    assert shown.count("resumable") == 2 and shown.count("missing") == 1 and "0 of 3 finished" in shown
    assert zeroscale(*arguments).stdout.count("goes on from step") == 2


@pytest.mark.parametrize(
    ("kills", "at_once", "widths"),
    [
        pytest.param(1, 2, "8,16", marks=pytest.mark.slow, id="once, two cells at once"),
        pytest.param(10, 1, "8,16,24", marks=pytest.mark.slow, id="10 kills, minutes"),
        pytest.param(10, 2, "8,16,24", marks=pytest.mark.slow, id="10 kills, two cells at once"),
    ],
)
def test_a_sweep_whose_parent_is_killed_anywhere_ends_with_the_same_ledger(
    zeroscale, running, small, texts, tmp_path, kills, at_once, widths
):
    """SIGKILL of the parent at random moments, in the corpus, in training, in scoring, between two cells."""
    draw = random.Random(kills + at_once)
    steps = ["trainer.tokens=102400", "trainer.checkpoint_every=20"]
    scored = ["cards=[lambada]", "cards_from=sample", f"cells_at_once={at_once}"]
    arguments = ["train", *small, *SWEEP, f"model.d_model={widths}", *steps, *scored]
    began = time.monotonic()
    zeroscale(*arguments, "output_dir=whole")
    whole = time.monotonic() - began
    for _ in range(kills):
        run = running(*arguments)
        # So early that even ten attempts leave something to do, as far as chance allows.
        time.sleep(draw.random() * whole / 3 + 0.3)
        run.process.kill()
        run.process.communicate()
    zeroscale(*arguments)
    assert ledger(tmp_path / "outputs" / "tiny") == ledger(tmp_path / "whole" / "tiny")
    logs = list(tmp_path.glob("outputs/tiny/*/metrics.jsonl"))
    assert len(logs) == len(list(tmp_path.glob("outputs/tiny/*/DONE"))) == len(widths.split(","))
    for log in logs:
        assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == list(range(1, 401))


@pytest.mark.slow
def test_a_cell_of_a_killed_shell_is_taken_up_when_its_orphan_has_left(zeroscale, running, small, texts, tmp_path):
    """Somebody holds the first cell: the others are run meanwhile, then it is come back to."""
    first, *_ = _cells([*small, *SWEEP])
    folder = tmp_path / "outputs" / "tiny" / first.cell
    held = try_lock(folder / layout.LAUNCH_LOCK)
    run = running("train", *small, *SWEEP)
    run.wait(lambda: True if len(list(tmp_path.glob("outputs/tiny/*/DONE"))) == 2 else None)
    assert not (folder / "DONE").exists() and run.process.poll() is None
    held.close()
    output, _ = run.process.communicate(timeout=300)
    assert run.process.returncode == 0 and (folder / "DONE").exists()
    assert output.count(f"later, for tiny/{first.cell} is being trained") == 1


def _cells(arguments: list[str]) -> list[TrainConfig]:
    given = options.parse(arguments)
    multirun, overrides = given.multirun, main._overrides(given.rest, given.multirun)
    return [build_config(TrainConfig, config) for _, config in compose.compose("train", overrides, multirun).configs]


@pytest.mark.slow
def test_branches_at_once_wait_for_the_one_trunk(zeroscale, small, texts, tmp_path):
    lengths = "trainer.tokens=2560,5120"
    wsd = ["schedule=wsd", "schedule.warmup_tokens=256", "schedule.decay_fraction=0.5"]
    trunk = ["init_from.run=trunk", "init_from.trunk_tokens=2560", "trainer.keep_every_tokens=1280"]
    small = [one for one in small if not one.startswith(("trainer.tokens", "schedule."))]
    result = zeroscale("train", "-m", "study=wsd", *small, *wsd, *trunk, lengths, "cells_at_once=2")
    assert len(list(tmp_path.glob("outputs/wsd/*/DONE"))) == 2
    assert len(list(tmp_path.glob("outputs/wsd-trunk/*/DONE"))) == 1
    assert result.stdout.count("step 10/10") == 2  # the trunk once, and the shorter branch


@pytest.mark.slow
def test_jobs_of_another_launcher_leave_the_same_ledger(zeroscale, small, texts, tmp_path):
    """submitit's local executor: what SLURM runs, without SLURM."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    zeroscale("train", *small, *SWEEP)
    elsewhere = zeroscale("train", *small, *SWEEP, "hydra/launcher=submitit_local", "output_dir=far")
    assert ledger(tmp_path / "outputs" / "tiny") == ledger(tmp_path / "far" / "tiny")
    assert elsewhere.stdout.count("done") >= 3
    assert "done already" not in elsewhere.stdout


def test_status_on_a_terminal_goes_on_until_ctrl_c(zeroscale, running, small, texts, tmp_path):
    run = running("train", *small, *SWEEP, *LONG)
    run.wait(lambda: next(iter(tmp_path.glob("outputs/tiny/*/metrics.jsonl")), None))
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, 0x5414, b"\x28\x00\xc8\x00" + b"\x00" * 4)  # TIOCSWINSZ: 40 lines of 200
    command = [sys.executable, "-m", "zeroscale", "status", "study=outputs/tiny", "every=0.2"]
    shown = subprocess.Popen(command, cwd=tmp_path, env=environment(TERM="xterm"), stdout=follower, stderr=follower)
    os.close(follower)
    text = ""
    deadline = time.monotonic() + 240
    stopping = False
    while shown.poll() is None:  # read to the end: a terminal that nobody reads holds its program up
        assert time.monotonic() < deadline, text
        if select.select([leader], [], [], 0.5)[0]:
            with contextlib.suppress(OSError):  # the other end has been closed
                text += os.read(leader, 65536).decode(errors="replace")
        if not stopping and len(set(re.findall(r"([\d,]+)/60,000", text)) - {"0"}) >= 3:
            shown.send_signal(signal.SIGINT)
            stopping = True
    os.close(leader)
    assert shown.returncode == 1 and stopping, text
    assert "running" in text and "missing" in text and "tokens/s" in text and "0 of 3 finished" in text
    piped = zeroscale("status", "study=outputs/tiny", code=1).stdout
    (line,) = [line for line in piped.splitlines() if "running" in line]
    assert re.search(r"\s8\s+running\s+[\d,]+/60,000\s+\d\.\d{3}\s.*\s[\d,]+\s+\d+ (s|min|h)", line), line
    run.process.kill()
    run.process.communicate()


def test_cells_of_a_budget_cost_the_same_flops():
    cells = _cells(["+sweeps=isoflop"])
    budgets: dict[float, list[TrainConfig]] = {}
    for cell in cells:
        flops = cell.flops_per_token * cell.trainer.tokens
        near = next((budget for budget in budgets if abs(flops / budget - 1) < 0.01), flops)
        budgets.setdefault(near, []).append(cell)
    assert len(budgets) >= 3 and len(cells) == sum(map(len, budgets.values()))
    for budget, group in budgets.items():
        assert len({cell.params.non_embedding for cell in group}) == len(group) >= 5
        assert all(abs(cell.flops_per_token * cell.trainer.tokens / budget - 1) < 0.01 for cell in group)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["flops_budget=0"], "flops_budget=0"),
        (["flops_budget=1e5"], "more than 1 % off"),
        (["cells_at_once=0"], "cells_at_once=0"),
        (["cells_at_once=two"], "cells_at_once='two'"),
        (["retry_failed=maybe"], "retry_failed='maybe'"),
        (["-m", "seed=0,1", "hydra/launcher=joblib"], "cells_at_once=N"),
        (["-m", "seed=0,0"], "the same cell"),
    ],
)
def test_what_cannot_be_launched_is_one_message(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main.main(["train", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
