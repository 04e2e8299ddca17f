import json

import pytest
import torch

from zeroscale.errors import ZeroscaleError
from zeroscale.training import checkpoint


def save(cell, step: int, value: float = 1.0):
    io = checkpoint.DirectoryIO(lambda step: {"tokens": step * 10})
    path = checkpoint.path_of(cell, step)
    content = {
        "global_step": step,
        "state_dict": {"model.w": torch.full((3,), value)},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(float(step))}}}],
    }
    io.save_checkpoint(content, path)
    return io, path


def test_what_is_saved_is_loaded(tmp_path):
    io, path = save(tmp_path, 7, value=2.5)
    loaded = io.load_checkpoint(path)
    assert loaded["state_dict"]["model.w"].tolist() == [2.5] * 3
    assert loaded["optimizer_states"][0]["state"][0]["step"] == 7
    meta = checkpoint.verify(path)
    assert (meta["step"], meta["tokens"]) == (7, 70) and checkpoint.step_of(path) == 7


def test_the_newest_whole_checkpoint_is_taken_and_bad_ones_are_named(tmp_path):
    for step in (5, 10, 15, 20):
        save(tmp_path, step)
    (checkpoint.path_of(tmp_path, 20) / "meta.json").unlink()
    (checkpoint.path_of(tmp_path, 15) / "model.safetensors").write_bytes(b"x")
    said: list[str] = []
    assert checkpoint.latest(tmp_path, said.append) == checkpoint.path_of(tmp_path, 10)
    assert len(said) == 2 and "step-00000020" in said[0] and "step-00000015" in said[1]
    assert checkpoint.latest(tmp_path / "empty", said.append) is None


def test_a_half_written_directory_is_no_checkpoint(tmp_path):
    _, path = save(tmp_path, 5)
    path.rename(path.with_name(f".{path.name}.123.tmp"))
    assert checkpoint.all_of(tmp_path) == []


def test_a_newer_format_is_refused(tmp_path):
    _, path = save(tmp_path, 5)
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps({**meta, "format": 99}))
    with pytest.raises(ZeroscaleError, match="newer zeroscale"):
        checkpoint.verify(path)


def test_the_last_ones_are_kept(tmp_path):
    for step in (5, 10, 15):
        save(tmp_path, step)
    checkpoint.prune(tmp_path, 2)
    assert [checkpoint.step_of(path) for path in checkpoint.all_of(tmp_path)] == [10, 15]
