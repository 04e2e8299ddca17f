import time

import pytest

from zeroscale.training import throughput
from zeroscale.training.throughput import Stopwatch, mfu


def test_every_moment_belongs_to_one_phase(monkeypatch):
    clock = iter([10.0, 11.0, 13.0, 13.5, 17.5, 18.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    watch = Stopwatch(seconds=100.0)
    watch.begin()
    for phase in ("data", "compute", "log", "checkpoint", "data"):
        watch.mark(phase)
    assert watch.phases == {
        "data": 1.5, "compute": 2.0, "log": 0.5, "validate": 0.0, "score": 0.0, "checkpoint": 4.0
    }  # fmt: skip
    # A run's seconds go on from before, and checkpoints are none of them.
    assert watch.seconds == 104.0
    assert watch.shares()["checkpoint"] == 0.5


def test_rates_are_over_steps_alone_and_leave_out_the_first(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    watch = Stopwatch()
    watch.begin()
    laps = []
    for step in range(5):
        for phase, seconds in (("data", 1.0), ("compute", 30.0 if step == 0 else 3.0), ("checkpoint", 50.0)):
            now[0] += seconds
            watch.mark(phase)
        watch.count(100)
        laps.append(watch.lap())
    assert laps == pytest.approx([100 / 31, 25.0, 25.0, 25.0, 25.0])
    assert watch.rate() == pytest.approx(25.0)


def test_mfu_is_none_for_unknown_hardware_and_half_of_lightnings_error_is_not_ours():
    # facts/scaling.yaml: an H200's dense bf16 peak is 989.4e12; its sparse one (2.0e15) would halve the share.
    share = mfu(400_000, 0.8552e9, "NVIDIA H200", 1, "bf16-mixed")
    assert round(share, 3) == 0.346
    assert mfu(400_000, 0.8552e9, "NVIDIA H200", 2, "bf16-mixed") == share / 2
    assert mfu(400_000, 0.8552e9, "Some Other Card", 1, "bf16-mixed") is None
    assert mfu(400_000, 0.8552e9, None, 1, "fp32") is None


def test_the_last_line_says_where_the_time_went(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    watch = Stopwatch()
    watch.begin()
    for _ in range(2):
        now[0] += 8.0
        watch.mark("compute")
        watch.count(800)
        now[0] += 2.0
        watch.mark("checkpoint")
    line = throughput.format_throughput(watch, None, 3 * 2**30)
    assert line == "100 tokens/s (compute 80.0 %, checkpoint 20.0 %), no MFU (peak unknown), peak memory 3.00 GiB"
    assert "MFU 34.6 %" in throughput.format_throughput(watch, 0.3459, 0)
