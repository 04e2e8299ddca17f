"""Hours on this machine: from earlier runs of the same size, or from steps that are timed now."""

import json
from pathlib import Path

import pytest
import yaml
from conftest import SMALL

from zeroscale.cli.compose import compose
from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core import machine
from zeroscale.launch.plan import Plan, plan_run
from zeroscale.launch.plan_table import render
from zeroscale.launch.speed import earlier, measure
from zeroscale.launch.speed.earlier import from_earlier_runs
from zeroscale.launch.speed.speed import Speed, threads_of


@pytest.fixture(scope="module")
def config() -> TrainConfig:
    overrides = [*SMALL, "trainer.accelerator=cpu", "trainer.threads=1"]
    ((_, settings),) = compose("train", overrides, False).configs
    return build_config(TrainConfig, settings)


def write_run(outputs: Path, config: TrainConfig, name: str, rate: float, **changes: object) -> None:
    run = outputs / "before" / name
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(as_dict(config)))
    manifest = {
        "hardware": {**machine.describe(), "gpu": None},
        "threads": threads_of(config, "cpu", 1),
        "devices": 1,
        "micro_batch_tokens": config.trainer.batch_tokens,
        "params": {"total": config.params.total},
        "flops_per_token": config.flops_per_token,
        "tokens_per_s": rate,
        "seconds": {"data": 1.0, "compute": 7.0, "log": 1.0, "validate": 1.0, "score": 0.0, "checkpoint": 0.0},
    }
    (run / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def test_runs_of_the_same_size_on_the_same_machine_give_the_hours(config, tmp_path, monkeypatch):
    monkeypatch.setattr(earlier, "_gpu", lambda: None)
    other = {**machine.describe(), "gpu": None, "cpu": "another"}
    write_run(tmp_path, config, "a", 1000.0)
    write_run(tmp_path, config, "b", 2000.0)
    write_run(tmp_path, config, "another machine", 9000.0, hardware=other)
    write_run(tmp_path, config, "more threads", 9000.0, threads=64)
    write_run(tmp_path, config, "another size", 9000.0, flops_per_token=1)
    write_run(tmp_path, config, "not finished", 9000.0, tokens_per_s=0.0)
    (tmp_path / "before" / "b" / "status.json").write_text("{")  # not read
    (speed,) = from_earlier_runs(tmp_path, [config])
    # A tenth of their time went into validation.
    assert speed == Speed(1350.0, 900.0, 1800.0, 2, measured=False)
    assert from_earlier_runs(tmp_path / "nothing", [config]) == [None]


def test_a_damaged_manifest_keeps_nobody_from_the_others(config, tmp_path, monkeypatch):
    monkeypatch.setattr(earlier, "_gpu", lambda: None)
    write_run(tmp_path, config, "a", 1000.0)
    write_run(tmp_path, config, "b", 2000.0)
    (tmp_path / "before" / "b" / "manifest.json").write_text("{")
    (speed,) = from_earlier_runs(tmp_path, [config])
    assert speed is not None and speed.count == 1


def test_steps_are_those_of_the_training_loop(config):
    rates = measure.time_steps(config, seconds=0.0)
    assert len(rates) == measure.FEWEST and all(rate > 0 for rate in rates)


def plan(name: str, **changes: object) -> Plan:
    run = dict(n_layer=1, d_model=16, n_head=2, vocab_size=257, n_positions=32, context=32, batch_tokens=256)
    return plan_run(name=name, tokens=3600 * 256, device="cpu", **{**run, **changes})


def test_the_table_says_what_the_hours_stand_on():
    runs = Speed(512.0, 256.0, 1024.0, 5, measured=False)
    text = render([plan("a").at(runs), plan("b").at(runs)])
    (row,) = (line for line in text.splitlines() if line.startswith(" a "))
    assert "30 min" in row and "15 min to 1.0 h" in row
    (total,) = (line for line in text.splitlines() if "total of 2" in line)
    assert "1.0 h" in total and "30 min to 2.0 h" in total
    assert "by 5 earlier runs of the same size" in text and "measure=true" not in text
    (total,) = (line for line in render([plan("a").at(runs), plan("b").at(runs)], 2).splitlines() if "total of" in line)
    assert "30 min" in total and "15 min to 1.0 h" in total


def test_where_nothing_is_known_there_are_no_hours_but_a_way_to_them():
    measured = Speed(512.0, 256.0, 1024.0, 12, measured=True)
    text = render([plan("a").at(measured), plan("b")])
    assert "by 12 steps measured now" in text and "none for 1 of 2 runs" in text and "measure=true" in text
    (total,) = (line for line in text.splitlines() if "total of 2" in line)
    assert "30 min" not in total
    assert plan("b").hours is None


def test_the_price_counts_the_hours_of_this_machine():
    priced = plan("a", price=4.0).at(Speed(256.0, 256.0, 256.0, 1, measured=False))
    assert priced.cost == pytest.approx(4.0)
    assert "by 1 earlier run of the same size" in render([priced])
