"""Whole runs under a tracker: killed and gone on with, and with a W&B that goes silent or dies in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from support import wandb_log, wandb_server

LONG = ["trainer.tokens=256000", "trainer.checkpoint_every=100"]
STEPS = 1000


def cell_of(folder: Path) -> Path:
    (config,) = folder.glob("outputs/single/*/config.yaml")
    return config.parent


def logged(cell: Path) -> list[dict]:
    return [json.loads(line) for line in (cell / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_an_offline_run_that_was_killed_twice_holds_each_step_once(zeroscale, running, small, texts, tmp_path):
    command = ["train", *small, *LONG, "tracker=wandb", "tracker.mode=offline"]
    for step in (200, 500):
        run = running(*command)
        while int(run.checkpoint(1).name.partition("-")[2]) < step:
            time.sleep(0.02)
        os.kill(run.worker(), signal.SIGKILL)
        run.process.communicate()
    zeroscale(*command)
    log = wandb_log.Log(wandb_log.only(cell_of(tmp_path)))
    assert log.steps() == list(range(1, STEPS + 1)) and log.exit_code == 0
    assert any("held_out/loss" in row for row in log.history)
    assert "stats" in log.kinds  # the system's metrics


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["silent", "dead"])
def test_a_w_and_b_that_goes_silent_or_dies_delays_no_step(zeroscale, small, texts, tmp_path, fault):
    server = wandb_server.Server()
    changes = {**server.environment(), "WANDB_CONFIG_DIR": str(tmp_path / "config")}
    process = subprocess.Popen(
        [sys.executable, "-m", "zeroscale", "train", *small, *LONG, "tracker=wandb"],
        cwd=tmp_path,
        env={**os.environ, **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        while not len(list(tmp_path.glob("outputs/single/*/checkpoints/step-*"))) >= 3:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
        before = len(logged(cell_of(tmp_path)))
        server.mute.set() if fault == "silent" else server.stop()
        began = time.monotonic()
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        assert time.monotonic() - began < 120
    finally:
        process.kill()
        if fault == "silent":
            server.stop()
    cell = cell_of(tmp_path)
    seconds = [row["seconds"] for row in logged(cell)]
    steps = [later - earlier for earlier, later in pairwise(seconds)]
    assert len(seconds) == STEPS and (cell / "DONE").exists()
    assert median(steps[before:]) < 2 * median(steps[:before]) and max(steps[before:]) < 1.0
    assert "metrics.jsonl has every step" in output
    again = wandb_server.Server()
    try:
        zeroscale("report", "study=outputs/single", "tracker=wandb", **changes | again.environment())
        trained = next(run for run in again.runs.values() if run.facts["jobType"] == "train")
        assert trained.steps() == list(range(1, STEPS + 1))
    finally:
        again.stop()
