import json
import subprocess
import sys

import pytest
import torch

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import checkpoint, layout
from zeroscale.training import train_state


def save(cell, step: int, value: float = 1.0, val_loss: float | None = None, on_request: bool = False):
    path = layout.checkpoint_directory(cell, step)
    state = {"exp_avg/w": torch.full((3,), value / 2), "step/w": torch.tensor(float(step))}
    meta = {"step": step, "tokens": step * 10, "val/loss": val_loss, "on_request": on_request}
    train_state.write(path, {"w": torch.full((3,), value)}, state, meta)
    return path


def steps(cell) -> list[int]:
    return [checkpoint.step_of(path) for path in checkpoint.all_of(cell)]


def test_a_checkpoint_describes_itself(tmp_path):
    path = save(tmp_path, 7, value=2.5)
    meta = checkpoint.verify(path)
    assert (meta["step"], meta["tokens"], checkpoint.step_of(path)) == (7, 70, 7)
    assert set(meta["sha256"]) == {layout.WEIGHTS, layout.OPTIMIZER}


def test_the_newest_whole_checkpoint_is_taken_and_bad_ones_are_named(tmp_path):
    for step in (5, 10, 15, 20):
        save(tmp_path, step)
    (layout.checkpoint_directory(tmp_path, 20) / "meta.json").unlink()
    (layout.checkpoint_directory(tmp_path, 15) / "model.safetensors").write_bytes(b"x")
    said: list[str] = []
    assert checkpoint.latest(tmp_path, said.append) == layout.checkpoint_directory(tmp_path, 10)
    assert len(said) == 2 and "step-00000020" in said[0] and "step-00000015" in said[1]
    assert checkpoint.latest(tmp_path / "empty", said.append) is None
    assert checkpoint.latest(tmp_path, said.append, at_most=9) == layout.checkpoint_directory(tmp_path, 5)


def test_a_meta_file_of_something_else_is_no_checkpoint(tmp_path):
    path = save(tmp_path, 5)
    (path / "meta.json").write_text("[1]")
    with pytest.raises(ZeroscaleError, match="should hold a JSON object, not list"):
        checkpoint.verify(path)


def test_a_half_written_directory_is_no_checkpoint_and_is_swept_away(tmp_path):
    path = save(tmp_path, 5)
    path.rename(path.with_name(f".{path.name}.123.tmp"))
    assert checkpoint.all_of(tmp_path) == []
    checkpoint.remove_partial(tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_newer_format_is_refused_and_not_passed_over(tmp_path):
    save(tmp_path, 4)
    path = save(tmp_path, 5)
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps({**meta, "format": 99}))
    with pytest.raises(ZeroscaleError, match="newer zeroscale"):
        checkpoint.verify(path)
    with pytest.raises(ZeroscaleError, match="newer zeroscale"):
        checkpoint.latest(tmp_path, print)


def test_an_older_format_is_scored_but_not_trained_on(tmp_path):
    path = save(tmp_path, 5)
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps({**meta, "format": 1}))
    assert checkpoint.verify(path)["step"] == 5
    with pytest.raises(ZeroscaleError, match="older zeroscale"):
        checkpoint.read_meta(path)


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (checkpoint.RetentionPolicy(2), [25, 30]),
        (checkpoint.RetentionPolicy(1, every_tokens=100), [10, 20, 30]),
        (checkpoint.RetentionPolicy(1, best=True), [15, 30]),
        (checkpoint.RetentionPolicy(2, every_tokens=200, best=True), [15, 20, 25, 30]),
    ],
)
def test_the_policy_says_which_checkpoints_stay(tmp_path, policy, kept):
    losses = {5: 4.0, 10: 3.0, 15: 2.0, 20: 2.5, 25: None, 30: 2.7}
    for step, loss in losses.items():
        save(tmp_path, step, val_loss=loss)
    checkpoint.prune(tmp_path, policy)
    assert steps(tmp_path) == kept
    # Nothing is left over that looks like half of a checkpoint.
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [f"step-{n:08d}" for n in kept]


def test_one_that_a_stop_asked_for_is_the_newest_or_gone(tmp_path):
    for step in (5, 10):
        save(tmp_path, step)
    save(tmp_path, 12, val_loss=0.0, on_request=True)
    policy = checkpoint.RetentionPolicy(2, every_tokens=120, best=True)
    checkpoint.prune(tmp_path, policy)
    assert steps(tmp_path) == [5, 10, 12]
    save(tmp_path, 15)
    checkpoint.prune(tmp_path, policy)
    assert steps(tmp_path) == [10, 15]


def test_reading_checkpoints_and_scoring_need_no_lightning():
    code = (
        "import sys; from zeroscale.eval import run; from zeroscale.runs import checkpoint;"
        "from zeroscale.training import build, guards;"
        "sys.exit(any('lightning' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
