"""`status` of a study: what its commands asked for, what became of it, by what was varied."""

import json
import shutil

import pytest
from rich.console import Console
from support.made_study import disk  # noqa: F401

from zeroscale.cli import compose
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch import status_report, status_table, sweep_record
from zeroscale.runs.study import Study


def asked_for(*overrides: str) -> tuple[list[TrainConfig], list[str]]:
    """The runs of a command, and what each was called in it."""
    jobs = compose.compose("train", ["study=rates", "model=pocket-s", *overrides], multirun=True).configs
    return [build_config(TrainConfig, config) for _, config in jobs], [label for label, _ in jobs]


@pytest.fixture(scope="module")
def first() -> tuple[list[TrainConfig], list[str]]:
    return asked_for("optimizer.lr=0.003,0.01", "seed=0,1")


@pytest.fixture(scope="module")
def second() -> tuple[list[TrainConfig], list[str]]:
    return asked_for("optimizer.lr=0.01,0.03", "seed=0")


def drawn(study) -> str:
    console = Console(width=160, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(status_report.describe(status_table.read(study)))
    return capture.get()


def test_a_second_command_adds_to_what_the_first_asked_for(tmp_path, monkeypatch, first, second):
    for command, (configs, labels) in (("one", first), ("two", second), ("two", second)):
        monkeypatch.setenv("ZEROSCALE_COMMAND", command)
        sweep_record.add(tmp_path, configs, labels)
    record = json.loads((tmp_path / "sweep.json").read_text())
    names = [config.cell for config in (*first[0], second[0][1])]
    assert [run["cell"] for run in record["cells"]] == names, "what both asked for stands there once"
    assert [known["command"] for known in record["commands"]] == ["one", "two"]
    assert [len(known["cells"]) for known in record["commands"]] == [4, 2]
    assert record["cells"][0]["values"] == {"optimizer.lr": 0.003, "seed": 0}
    assert record["shared"]["model.n_layer"] == 2
    rows = status_table.read(tmp_path).rows
    assert [(row.values["optimizer.lr"], row.values["seed"], row.state) for row in rows] == [
        (0.003, 0, "missing"),
        (0.003, 1, "missing"),
        (0.01, 0, "missing"),
        (0.01, 1, "missing"),
        (0.03, 0, "missing"),
    ]


def test_a_record_of_an_older_version_is_read_and_added_to(tmp_path, second):
    old = {"command": "zeroscale train -m", "cells": [{"cell": "old-seed0-abc", "settings": "seed=0", "steps": 8}]}
    (tmp_path / "sweep.json").write_text(json.dumps(old))
    (row,) = status_table.read(tmp_path).rows
    assert (row.state, row.settings, row.steps, row.model) == ("missing", "seed=0", 8, None)
    sweep_record.add(tmp_path, *second)
    record = Study(tmp_path).sweep
    assert [known["cells"] for known in record["commands"]] == [["old-seed0-abc"], [run.cell for run in second[0]]]
    assert "0 of 3 finished" in drawn(tmp_path)


def test_what_an_older_version_planned_is_known_by_the_words_of_its_command(tmp_path, disk):  # noqa: F811
    for rate in (0.003, 0.01):
        disk.write_cell(tmp_path, "s", name=f"r{rate}", settings={"optimizer.lr": rate})
    words = "model=pocket-s optimizer.lr=0.01 trainer.log_every=3"
    old = {"command": "", "cells": [{"cell": "pocket-s-seed0-abc", "settings": words, "steps": 8}]}
    (tmp_path / "sweep.json").write_text(json.dumps(old))
    (row,) = [row for row in status_table.read(tmp_path).rows if row.state == "missing"]
    assert (row.model, row.values) == (None, {"optimizer.lr": 0.01})
    assert words in drawn(tmp_path) and "abc" not in drawn(tmp_path)


def test_a_run_whose_folder_is_gone_is_missing_until_it_is_forgotten(tmp_path, disk, first):  # noqa: F811
    names = [config.cell for config in first[0]]
    for config in first[0]:
        settings = {"optimizer.lr": config.optimizer.lr}
        disk.write_cell(tmp_path, "s", seed=config.seed, name=config.cell, settings=settings)
    sweep_record.add(tmp_path, *first)
    assert status_table.read(tmp_path).all_done
    shutil.rmtree(tmp_path / names[1])
    assert [row.state for row in status_table.read(tmp_path).rows] == ["done", "missing", "done", "done"]
    assert names[1] not in set(Study(tmp_path).ledger["cell"])
    sweep_record.forget(tmp_path, [names[1]])
    assert [row.directory.name for row in status_table.read(tmp_path).rows] == [names[0], *names[2:]]
    assert status_table.read(tmp_path).all_done


def test_a_damaged_record_is_told_and_replaced_by_the_next_command(tmp_path, first):
    (tmp_path / "sweep.json").write_text("{")
    (row,) = status_table.read(tmp_path).rows
    assert row.state == "damaged" and "runs that have not begun are not known" in row.reason
    with pytest.raises(ZeroscaleError, match=r"sweep\.json"):
        sweep_record.forget(tmp_path, ["x"])
    sweep_record.add(tmp_path, *first)
    assert [row.state for row in status_table.read(tmp_path).rows] == ["missing"] * 4


class TestDrawn:
    def test_settings_are_columns_and_no_hash_is_shown(self, tmp_path, disk):  # noqa: F811
        for rate, state in ((0.003, "done"), (0.01, "failed")):
            name = f"pocket-s-seed0-{int(1e4 * rate):08x}"
            disk.write_cell(tmp_path, "s", name=name, state=state, settings={"optimizer.lr": rate})
        text = drawn(tmp_path)
        head, _, *lines = [line.split() for line in text.splitlines() if line.strip()]
        assert head == ["model", "lr", "state", "step", "loss", "val", "loss", "tokens/s", "left", "why"]
        assert [line[:4] for line in lines[:2]] == [
            ["pocket-s", "0.003", "done", "512/512"],
            ["pocket-s", "0.01", "failed", "512/512"],
        ]
        assert "1 of 2 finished" in text

    def test_many_settings_share_a_column(self, tmp_path, disk):  # noqa: F811
        for i in range(2):
            settings = {f"optimizer.{letter}": i for letter in "abcdefgh"}
            disk.write_cell(tmp_path, "s", name=f"r{i}", settings=settings)
        assert "a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1" in " ".join(drawn(tmp_path).split())

    def test_two_runs_that_nothing_tells_apart_have_their_hash(self, tmp_path, disk):  # noqa: F811
        for i in range(2):
            disk.write_cell(tmp_path, "s", name=f"pocket-s-seed0-{i:08x}")
        assert "pocket-s (00000000)" in drawn(tmp_path) and "pocket-s (00000001)" in drawn(tmp_path)

    def test_a_large_study_is_counted_by_setting_and_what_is_not_done_is_listed(self, tmp_path, disk):  # noqa: F811
        for rate in (0.003, 0.01, 0.03):
            for seed in range(20):
                state = "failed" if seed == 0 else "resumable" if rate == 0.03 and seed > 16 else "done"
                name = f"pocket-s-seed{seed}-{int(1000 * rate):08x}"
                disk.write_cell(tmp_path, "s", seed=seed, name=name, state=state, settings={"optimizer.lr": rate})
        text = drawn(tmp_path)
        lines = [line.split() for line in text.splitlines() if line.strip()]
        assert ["runs", "done", "resumable", "failed", "in", "all"] in lines
        assert ["all", "54", "3", "3", "60"] in lines
        assert ["lr=0.003", "19", "1", "20"] in lines and ["lr=0.03", "16", "3", "1", "20"] in lines
        assert sum(line[:1] == ["pocket-s"] for line in lines) == 6, "those that are not done"
        assert "54 of 60 finished" in text and "seed=" not in text, "twenty seeds have no counts of their own"

    def test_filters_leave_runs_that_have_not_begun_too(self, tmp_path, first):
        sweep_record.add(tmp_path, *first)
        rows = status_table.read(tmp_path, {"lr": 0.003}).rows
        assert [row.values["seed"] for row in rows] == [0, 1]
        with pytest.raises(ZeroscaleError, match=r"the runs have 0\.003, 0\.01"):
            status_table.read(tmp_path, {"lr": 7})
