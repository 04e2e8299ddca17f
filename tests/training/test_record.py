import json

from zeroscale.training import record
from zeroscale.training.progress import duration
from zeroscale.training.throughput import mfu


def test_a_resumed_record_holds_each_step_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    first = record.Recorder(path)
    for step in (1, 2, 3, 4):
        first.add({"step": step})
    first.close()
    with open(path, "a") as file:
        file.write('{"step": 5, "train')
    assert [row["step"] for row in record.cut_back(path, 2)] == [1, 2]
    second = record.Recorder(path)
    second.add({"step": 3})
    second.sync()
    second.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]


def test_nothing_to_cut_back_makes_no_file(tmp_path):
    assert record.cut_back(tmp_path / "metrics.jsonl", 0) == [] and not list(tmp_path.iterdir())


def test_mfu_is_none_for_unknown_hardware_and_half_of_lightnings_error_is_not_ours():
    # facts/scaling.yaml: an H200's dense bf16 peak is 989.4e12; its sparse one (2.0e15) would halve the share.
    share = mfu(400_000, 0.8552e9, "NVIDIA H200", 1, "bf16-mixed")
    assert round(share, 3) == 0.346
    assert mfu(400_000, 0.8552e9, "NVIDIA H200", 2, "bf16-mixed") == share / 2
    assert mfu(400_000, 0.8552e9, "Some Other Card", 1, "bf16-mixed") is None
    assert mfu(400_000, 0.8552e9, None, 1, "fp32") is None


def test_durations_are_read_at_a_glance():
    assert [duration(seconds) for seconds in (5, 65, 3705)] == ["0:05", "1:05", "1:01:45"]
