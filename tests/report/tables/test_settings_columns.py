"""A study of settings: its tables have a column for each, and call runs by them; the report counts as `status` does."""

import csv
import io
import json
import shutil

import pytest
from support.made_study import write_rates

from zeroscale.launch import status_table, sweep_record
from zeroscale.report import terminal
from zeroscale.report.sections import headline, number_sources
from zeroscale.report.tables import study_tables, table_files
from zeroscale.report.views.study import read_study
from zeroscale.report.wandb import rows as wandb_rows


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    return read_study(write_rates(tmp_path_factory.mktemp("rates") / "rates"))


@pytest.mark.parametrize("name", ["results", "cost", "provenance"])
def test_what_was_varied_is_a_column_of_each_table(rates, name):
    table = table_files.every(rates, [])[name]
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert len(rows) == 30
    assert list(rows[0])[:3] == ["run", "model", "lr"]
    last = rows[-1]
    assert (last["run"], last["model"], float(last["lr"]), last["seed"]) == (
        "pocket-m lr=0.01 seed=4",
        "pocket-m",
        0.01,
        "4",
    )
    assert "lr" in table.markdown() and "0.003" in table.latex()


def test_a_study_of_sizes_alone_keeps_its_columns(tmp_path, disk):
    for size in ("s", "l"):
        disk.write_cell(tmp_path, size)
    head = [column.label for column in study_tables.results(read_study(tmp_path), []).columns]
    assert head == ["run", "parameters", "tokens", "compute", "validation loss", "bits per byte"]


def test_numbers_keep_their_sources_beside_the_new_columns(rates):
    table = number_sources.attach(study_tables.results(rates, []), rates, [])
    head = [column.label for column in table.columns]
    cells = dict(zip(head, table.rows[0], strict=True))
    assert cells["validation loss"].source["metric"] == "val/loss"
    assert cells["lr"].source is None and cells["lr"].sort == 0.003


def test_report_and_status_count_the_same_runs(tmp_path, disk):
    study = tmp_path / "rates"
    for seed in range(4):
        disk.write_cell(study, "s", seed=seed)
    (study / "pocket-s-seed2" / "manifest.json").write_text("{")
    plan = {"command": "", "cells": [{"cell": f"pocket-s-seed{i}", "settings": "", "steps": 512} for i in range(5)]}
    (study / "sweep.json").write_text(json.dumps(plan))
    shutil.rmtree(study / "pocket-s-seed1")
    view, status = read_study(study), status_table.read(study)
    assert status.caption == "2 of 5 finished" and (view.total, view.missing, view.damaged) == (5, 2, 1)
    assert headline._done(view) == {"label": "runs done", "value": "2 of 5", "note": "1 damaged, 2 missing"}
    assert "2 of 5 runs done" in terminal.render(view)
    sweep_record.forget(study, ["pocket-s-seed1", "pocket-s-seed4"])
    assert status_table.read(study).caption == "2 of 3 finished" and read_study(study).total == 3


def test_wandb_groups_the_seeds_of_a_setting(rates):
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed")
    from zeroscale.report.wandb import workspace

    view, page = workspace.describe(rates, "me", "laws", "abc")
    assert [group.name for group in view.runset_settings.groupby] == ["model.name", "optimizer.lr"]
    assert "config:optimizer.value.lr" in view.runset_settings.pinned_columns
    grids = [block for block in page.blocks if hasattr(block, "runsets")]
    assert all(grid.runsets[0].groupby == ["config.model.name", "config.optimizer.lr"] for grid in grids)


def test_wandbs_table_of_scores_has_the_settings(rates):
    assert wandb_rows.scores(rates, [])[0][:5] == ["run", "model", "optimizer.lr", "seed", "params_non_embedding"]
