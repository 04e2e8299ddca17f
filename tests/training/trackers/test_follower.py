"""A run's files, followed: each step once, and nothing that befalls a tracker reaches the run."""

import csv
import json
import threading
import time
from pathlib import Path

import pytest

from zeroscale.config.trainer import TrackerConfig
from zeroscale.core import jsonl
from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import layout
from zeroscale.runs.results import scores_in
from zeroscale.training.trackers import tracker
from zeroscale.training.trackers.follower import Follower, SyncState
from zeroscale.training.trackers.local import Files

BATCH = 256


def row(step: int, **more: float) -> dict:
    return {"step": step, "tokens": step * BATCH, "train/loss": 5 / step, "lr": 1e-3, "mfu": None, **more}


def write(cell: Path, steps: range, mode: str = "a") -> None:
    cell.mkdir(parents=True, exist_ok=True)
    with open(cell / layout.METRICS, mode, encoding="utf-8") as handle:
        for step in steps:
            handle.write(json.dumps(row(step, **({"val/loss": 4 / step} if step % 5 == 0 else {}))) + "\n")


def score(cell: Path, step: int, value: float = 0.25) -> None:
    folder = cell / f"evals/step-{step:08d}"
    folder.mkdir(parents=True)
    metric = {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 12}
    result = {"card": "lambada", "protocol": "paper", "metrics": {"acc": metric}}
    (folder / "lambada.paper.json").write_text(json.dumps(result))


class Kept:
    """A sink in memory."""

    name, missing_message, done_message = "memory", "it is in the files", "kept"

    def __init__(self, state: SyncState | None = None) -> None:
        self.rows: list[dict] = []
        self.at = state or SyncState()
        self.exit_code: int | None = None

    def sync_state(self) -> SyncState:
        return self.at

    def add(self, row: dict) -> None:
        self.rows.append(row)

    score = add

    def end(self, exit_code: int) -> None:
        self.exit_code = exit_code


def followed(cell: Path, sink: Kept, code: int = 0) -> Follower:
    follower = Follower(cell, BATCH, sink)
    follower.log({})
    follower.finish(code, 20)
    return follower


def test_every_step_and_every_scored_checkpoint_arrives_once_and_in_order(tmp_path):
    write(tmp_path, range(1, 11))
    score(tmp_path, 5)
    score(tmp_path, 10)
    sink = Kept()
    assert followed(tmp_path, sink).complete and sink.exit_code == 0
    assert [row["step"] for row in sink.rows if "step" in row] == list(range(1, 11))
    scored = [row for row in sink.rows if "scored_step" in row]
    assert [row["scored_step"] for row in scored] == [5, 10]
    assert scored[0] == {
        "tokens": 5 * BATCH,
        "scored_step": 5,
        "lambada/acc": 0.25,
        "lambada/acc/low": 0.15,
        "lambada/acc/high": 0.35,
        "lambada/acc/n": 12,
    }


def test_what_a_place_has_already_is_not_sent_again_and_what_it_lacks_is(tmp_path):
    write(tmp_path, range(1, 21))
    score(tmp_path, 5)
    score(tmp_path, 15)
    sink = Kept(SyncState(step=12, scored={5: 1}))
    followed(tmp_path, sink)
    assert [row.get("step", row.get("scored_step")) for row in sink.rows] == [13, 14, 15, 15, *range(16, 21)]


def test_lines_are_sent_while_the_run_goes_on_and_half_a_line_waits(tmp_path):
    write(tmp_path, range(1, 4))
    sink = Kept()
    follower = Follower(tmp_path, BATCH, sink)
    follower.log({})
    deadline = time.monotonic() + 10
    while len(sink.rows) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    text = json.dumps(row(4))
    with open(tmp_path / layout.METRICS, "a") as handle:
        handle.write(text[:20])
        handle.flush()
        follower.log({})
        time.sleep(0.7)
        assert len(sink.rows) == 3
        handle.write(text[20:] + "\n")
    follower.finish(0, 20)
    assert [row["step"] for row in sink.rows] == [1, 2, 3, 4]


def test_nothing_is_read_before_the_first_news(tmp_path):
    """A resumed run cuts its record back first: what stood there before is no part of it."""
    write(tmp_path, range(1, 31))
    sink = Kept()
    follower = Follower(tmp_path, BATCH, sink)
    time.sleep(0.1)
    jsonl.truncate_after(tmp_path / layout.METRICS, 10)
    write(tmp_path, range(11, 13))
    follower.log({})
    follower.finish(0, 20)
    assert [row["step"] for row in sink.rows] == list(range(1, 13))


def test_a_place_that_never_answers_delays_no_step_and_the_end_by_so_much_only(tmp_path, capsys):
    class Stuck(Kept):
        def add(self, row: dict) -> None:
            threading.Event().wait()

    write(tmp_path, range(1, 3))
    follower = Follower(tmp_path, BATCH, Stuck())
    slowest = 0.0
    for step in range(3, 503):
        write(tmp_path, range(step, step + 1))
        before = time.perf_counter()
        follower.log(row(step))
        slowest = max(slowest, time.perf_counter() - before)
    assert slowest < 5, "a step that waited would wait for ever"
    before = time.monotonic()
    follower.finish(0, 0.3)
    assert time.monotonic() - before < 60 and not follower.complete
    assert "no answer for 0 s" in capsys.readouterr().out


def test_a_place_that_fails_is_said_once_and_is_still_told_the_end(tmp_path, capsys):
    class Broken(Kept):
        def add(self, row: dict) -> None:
            raise OSError("the wire is cut\nmore")

    write(tmp_path, range(1, 10))
    sink = Broken()
    follower = followed(tmp_path, sink, code=1)
    told = capsys.readouterr().out
    assert told.count("the wire is cut") == 1 and "it is in the files" in told and "more" not in told
    assert not follower.complete and sink.exit_code == 1


def test_another_protocol_s_scores_bear_its_name_and_damaged_ones_are_passed_over(tmp_path):
    result = {"card": "lambada", "protocol": "lm-eval", "metrics": {"acc": {"value": 0.5, "low": None}}}
    (tmp_path / "a.json").write_text(json.dumps(result))
    (tmp_path / "b.json").write_text("{")
    assert scores_in(tmp_path) == {"lambada.lm-eval/acc": 0.5}


def test_files_hold_each_step_once_after_a_resumption(tmp_path):
    write(tmp_path, range(1, 31))
    score(tmp_path, 20)
    followed(tmp_path, Files(tmp_path), code=1)
    jsonl.truncate_after(tmp_path / layout.METRICS, 20)
    write(tmp_path, range(21, 41))
    score(tmp_path, 40)
    followed(tmp_path, Files(tmp_path))
    with open(tmp_path / "metrics.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [int(row["step"]) for row in rows] == list(range(1, 41))
    assert [row["val/loss"] for row in rows][3:6] == ["", "0.8", ""] and "mfu" in rows[0]
    with open(tmp_path / "scores.csv", newline="") as handle:
        scored = list(csv.DictReader(handle))
    assert [(row["step"], row["tokens"], row["lambada/acc"]) for row in scored] == [
        ("20", str(20 * BATCH), "0.25"),
        ("40", str(40 * BATCH), "0.25"),
    ]
    assert not list(tmp_path.glob(".*.tmp"))


def test_tensorboard_holds_each_step_once_over_tokens_after_a_resumption(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install zeroscale[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = {"model": {"name": "pocket-s"}, "trainer": {"batch_tokens": BATCH}}
    wanted = TrackerConfig(name="tensorboard")
    write(tmp_path, range(1, 31))
    assert tracker.send(wanted, tmp_path, settings, {}, done=False) == "written to tensorboard/"
    jsonl.truncate_after(tmp_path / layout.METRICS, 20)
    write(tmp_path, range(21, 41))
    score(tmp_path, 40)
    tracker.send(wanted, tmp_path, settings, {}, done=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    losses = events.Scalars("train/loss")
    assert [one.step for one in losses] == [step * BATCH for step in range(1, 41)]
    assert [one.value for one in losses][:2] == pytest.approx([5.0, 2.5])
    assert [one.step for one in events.Scalars("val/loss")] == [step * BATCH for step in range(5, 41, 5)]
    assert [one.step for one in events.Scalars("lambada/acc")] == [40 * BATCH]


def test_a_missing_tensorboard_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    write(tmp_path, range(1, 3))
    with pytest.raises(ZeroscaleError, match=r"pip install zeroscale\[tensorboard\]"):
        tracker.send(TrackerConfig(name="tensorboard"), tmp_path, {}, {}, done=True)
