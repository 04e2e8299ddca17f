"""W&B: what its own log and a server on the loopback hold of a run, also of one that was interrupted or cut off."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import wandb_log, wandb_server
from support.own_wandb import hide_users_wandb

from zeroscale.config.trainer import TrackerConfig
from zeroscale.core import jsonl
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import lock, write_json
from zeroscale.runs import layout
from zeroscale.training.trackers import tracker, wandb_files, wandb_start

BATCH = 256
HASH = "0123456789abcdef" * 4
SETTINGS = {
    "study": "pocket",
    "seed": 1,
    "model": {"name": "pocket-s", "d_model": 64},
    "data": {"name": "stdlib"},
    "trainer": {"batch_tokens": BATCH},
}
MANIFEST = {"settings_hash": HASH, "params": {"total": 5000, "non_embedding": 3000, "matmul": 4000}}


@pytest.fixture(autouse=True)
def own_wandb(monkeypatch, tmp_path):
    """Nothing of the user's: no login, no settings, no server but ours."""
    hide_users_wandb(monkeypatch, tmp_path)
    monkeypatch.setattr(wandb_start, "SEND_SECONDS", 25.0)
    yield
    import wandb

    wandb.teardown()


@pytest.fixture
def server(monkeypatch):
    running = wandb_server.Server()
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    yield running
    running.stop()


@pytest.fixture
def cell(tmp_path) -> Path:
    folder = tmp_path / "outputs/pocket/pocket-s-seed1"
    folder.mkdir(parents=True)
    return folder


def train(cell: Path, first: int, last: int) -> None:
    """Writes the lines of steps, every tenth of them validated."""
    with open(cell / layout.METRICS, "a", encoding="utf-8") as handle:
        for step in range(first, last + 1):
            row = {"step": step, "tokens": step * BATCH, "train/loss": 5.0 / step, "lr": 1e-3, "mfu": None}
            handle.write(json.dumps(row | ({"val/loss": 4.0 / step} if step % 10 == 0 else {})) + "\n")


def save(cell: Path, step: int) -> None:
    folder = cell / f"checkpoints/step-{step:08d}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    write_json(folder / "meta.json", {"step": step, "tokens": step * BATCH, "settings_hash": HASH, "sha256": {}})
    scores = {"acc": {"value": 0.25, "low": 0.1, "high": 0.4, "n": 12}}
    write_json(cell / f"evals/step-{step:08d}/lambada.paper.json", {"card": "lambada", "metrics": scores})


def send(cell: Path, mode: str, done: bool = True) -> str:
    return tracker.send(TrackerConfig(name="wandb", mode=mode), cell, SETTINGS, MANIFEST, done)


def test_offline_one_run_holds_every_step_once_after_each_resumption(cell):
    train(cell, 1, 30)
    assert send(cell, "offline", done=False) == "written for `wandb sync`"
    first = wandb_log.Log(wandb_log.only(cell))
    assert first.steps() == list(range(1, 31)) and first.exit_code == 1
    jsonl.truncate_after(cell / layout.METRICS, 20)
    train(cell, 21, 50)
    save(cell, 50)
    send(cell, "offline")
    log = wandb_log.Log(wandb_log.only(cell))
    assert log.steps() == list(range(1, 51)) and log.exit_code == 0
    assert log.run.run_id == first.run.run_id == (cell / "wandb_id").read_text().strip()
    assert [row["tokens"] for row in log.history if "step" in row] == [BATCH * step for step in range(1, 51)]
    assert [row["val/loss"] for row in log.history if "val/loss" in row] == [0.4, 0.2, 4 / 30, 0.1, 0.08]
    (scored,) = [row for row in log.history if "lambada/acc" in row]
    assert scored["lambada/acc/low"] == 0.1 and scored["tokens"] == 50 * BATCH


def test_a_run_is_called_and_tagged_by_what_its_study_varied(cell):
    for rate in (0.003, 0.01):
        folder = cell if rate == 0.003 else cell.with_name("other")
        folder.mkdir(exist_ok=True)
        model = {"name": "pocket-s", "d_model": 64}
        write_json(folder / layout.CONFIG, {"seed": 0, "model": model, "optimizer": {"lr": rate}})
    train(cell, 1, 3)
    send(cell, "offline")
    log = wandb_log.Log(wandb_log.only(cell))
    assert log.run.display_name == "pocket-s lr=0.003"
    assert list(log.run.tags) == ["pocket-s", "stdlib", "lr=0.003"]


def test_a_run_says_what_it_is(cell):
    train(cell, 1, 3)
    save(cell, 3)
    send(cell, "offline")
    log = wandb_log.Log(wandb_log.only(cell))
    assert (log.run.run_group, log.run.job_type, log.run.display_name) == ("pocket", "train", cell.name)
    assert list(log.run.tags) == ["pocket-s", "stdlib"] and log.run.project == "zeroscale"
    assert log.config["model"] == {"name": "pocket-s", "d_model": 64}
    assert log.config["params_non_embedding"] == 3000 and log.config["settings_hash"] == HASH
    axes = {metric.name or metric.glob_name: metric.step_metric for metric in log.metrics}
    assert axes["*"] == "tokens"
    (artifact,) = log.artifacts
    assert (artifact.name, artifact.type) == (f"checkpoint-{cell.name}", "model")
    weights = next(entry for entry in artifact.manifest.contents if entry.path == "model.safetensors")
    assert weights.ref.startswith("file:///") and weights.ref.endswith("step-00000003/model.safetensors")


def test_what_was_sent_is_not_sent_again_and_what_is_new_is(cell):
    train(cell, 1, 5)
    send(cell, "offline")
    path = wandb_log.only(cell)
    assert send(cell, "offline") == "is there already" and wandb_log.only(cell) == path
    train(cell, 6, 8)
    assert send(cell, "offline") == "written for `wandb sync`"
    assert wandb_log.Log(wandb_log.only(cell)).steps() == list(range(1, 9))
    assert (cell / "wandb" / wandb_files.REPLACED).is_dir()


def test_online_a_resumed_run_goes_on_where_w_and_b_stands(cell, server):
    train(cell, 1, 30)
    assert send(cell, "online", done=False) == "sent"
    (name,) = server.runs
    assert server.runs[name].steps() == list(range(1, 31)) and server.runs[name].exit_code == 1
    jsonl.truncate_after(cell / layout.METRICS, 20)  # the last checkpoint: W&B knows ten steps more
    train(cell, 21, 50)
    save(cell, 50)
    assert send(cell, "online") == "sent"
    (run,) = server.runs.values()
    assert run.steps() == list(range(1, 51)) and run.exit_code == 0
    assert run.facts["groupName"] == "pocket" and run.facts["jobType"] == "train"
    assert json.loads(run.facts["config"])["params_non_embedding"]["value"] == 3000
    assert len(run.made) == 1
    assert send(cell, "online") == "is there already"


def test_what_an_offline_run_has_is_sent_when_w_and_b_can_be_reached(cell, server):
    train(cell, 1, 12)
    send(cell, "offline")
    assert send(cell, "online") == "sent"
    (run,) = server.runs.values()
    assert run.steps() == list(range(1, 13))


def test_a_cell_that_is_being_trained_is_left_to_its_own_process(cell):
    train(cell, 1, 3)
    with lock(cell / layout.WORKER_LOCK, 0, "taken"):
        assert "being trained" in send(cell, "offline")
    assert not (cell / "wandb").exists()


def test_a_run_that_w_and_b_s_death_befalls_goes_on_and_is_sent_afterwards(cell, server, monkeypatch, capsys):
    monkeypatch.setattr(wandb_start, "FINISH_SECONDS", 12.0)
    settings = TrackerConfig(name="wandb", mode="online")
    run = tracker._open_run(settings, "online", cell, SETTINGS, MANIFEST, live=True)
    follower = tracker.Follower(cell, BATCH, tracker.Wandb(run, "online", cell))
    slowest = 0.0
    for step in range(1, 201):
        if step == 60:
            server.stop()
        train(cell, step, step)
        before = time.perf_counter()
        follower.log({})
        slowest = max(slowest, time.perf_counter() - before)
        time.sleep(0.01)
    before = time.monotonic()
    follower.finish(0, 12.0)
    assert slowest < 5 and time.monotonic() - before < 60
    assert not follower.complete and "metrics.jsonl has every step" in capsys.readouterr().out
    import wandb

    wandb.teardown()
    again = wandb_server.Server()
    monkeypatch.setenv("WANDB_BASE_URL", again.url)
    try:
        assert send(cell, "online") == "sent"
        (found,) = again.runs.values()
        assert found.steps() == list(range(1, 201))
    finally:
        again.stop()


def test_where_w_and_b_never_answers_a_run_begins_all_the_same_and_is_sent_afterwards(
    cell, server, monkeypatch, capsys
):
    monkeypatch.setattr(wandb_start, "CONNECT_SECONDS", 2.0)
    server.mute.set()
    train(cell, 1, 4)
    before = time.monotonic()
    assert send(cell, "online").startswith("could not be sent: W&B does not answer")
    assert time.monotonic() - before < 120
    assert not wandb_files.offline_runs(cell)
    server.mute.clear()
    import wandb

    wandb.teardown()
    assert send(cell, "online") == "sent"
    (run,) = server.runs.values()
    assert run.steps() == [1, 2, 3, 4]


def test_plain_wandb_sync_doubles_no_step_of_a_run_that_went_on_after_it_was_sent(cell, server):
    """W&B appends a second file of one name, or lets it overwrite the first: so the longer run has a new name."""
    train(cell, 1, 10)
    send(cell, "offline", done=False)
    synced(cell, server)
    train(cell, 11, 20)
    send(cell, "offline")
    synced(cell, server)
    assert sorted(len(run.steps()) for run in server.runs.values()) == [10, 20]
    assert all(run.steps() == sorted(set(run.steps())) for run in server.runs.values())


def test_what_was_sent_online_and_goes_on_offline_is_a_run_of_a_new_name(cell, server):
    train(cell, 1, 10)
    send(cell, "online", done=False)
    first = (cell / "wandb_id").read_text()
    train(cell, 11, 20)
    send(cell, "offline")
    assert (cell / "wandb_id").read_text() != first
    assert wandb_log.Log(wandb_log.only(cell)).steps() == list(range(1, 21))


def synced(cell: Path, server: wandb_server.Server) -> None:
    """`wandb sync`, as a person types it."""
    command = [sys.executable, "-m", "wandb", "sync", *map(str, wandb_files.offline_runs(cell))]
    result = subprocess.run(command, env={**os.environ, **server.environment()}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_credentials_that_cannot_be_any_are_one_message(cell, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "short")
    train(cell, 1, 2)
    with pytest.raises(ZeroscaleError, match=r"(?s)W&B does not .*wandb login.*tracker=none"):
        send(cell, "auto")


def test_a_key_that_w_and_b_does_not_know_is_one_message_and_nothing_is_begun(cell, server):
    server.refuse.set()
    train(cell, 1, 2)
    with pytest.raises(ZeroscaleError, match=r"(?s)W&B does not start.*wandb login.*tracker=none"):
        send(cell, "online")


def test_disabled_means_nothing_happens(cell, monkeypatch):
    train(cell, 1, 2)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert "disabled" in send(cell, "auto") and not (cell / "wandb").exists()
