"""Runs are removed after a question, with what the study says of them."""

import json

import pytest
from support import in_process
from support.made_study import disk  # noqa: F401

from zeroscale.core import files
from zeroscale.runs.study import Study


@pytest.fixture
def study(tmp_path, disk):  # noqa: F811
    return disk.write_rates(tmp_path / "outputs" / "rates")


def remove(study, *arguments):
    return in_process.run(["remove", *arguments], study.parent, {"COLUMNS": "160"})


def test_runs_with_these_settings_go_and_the_ledger_knows_only_the_others(study):
    Study(study).write_ledger()
    (study / "fit.json").write_text("{}")
    planned = [{"cell": run.name, "settings": "", "steps": 1} for run in Study(study).runs]
    (study / "sweep.json").write_text(json.dumps({"command": "zeroscale train", "cells": planned}))
    done = remove(study, f"study={study}", "where.lr=0.01", "where.seed=0,1", "yes=true")
    assert (done.returncode, done.stderr) == (0, "")
    assert "pocket-xs lr=0.01 seed=0" in done.stdout
    assert "6 of 30 runs" in done.stdout
    assert "24 runs left" in done.stdout
    assert "fit.json is older" in done.stdout
    left = Study(study)
    assert len(left.runs) == 24
    assert "lr=0.01 seed=0" not in left.ledger_path.read_text()
    assert not left.missing_runs
    assert not list(study.glob(".removing-*"))


def test_one_run_by_a_part_of_its_name(study):
    done = remove(study, f"study={study}", "run=m lr=0.003 seed=4", "yes=true")
    assert done.returncode == 0
    assert not (study / "pocket-m-seed4-0000001e").exists()
    assert len(Study(study).runs) == 29


def test_without_a_terminal_nothing_goes_unless_yes_is_said(study):
    done = remove(study, f"study={study}", "where.seed=3")
    assert done.returncode == 2
    assert "yes=true" in done.stderr
    assert "6 of 30 runs" in done.stdout  # what it would be
    assert len(Study(study).runs) == 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which runs? remove study=DIR with where.KEY=VALUE"),
        (["study=rates"], "where.KEY=VALUE or run=PART chooses"),
        (["study=rates", "run=seed=4", "yes=true"], "belongs to 6 runs"),
        (["study=rates", "run=seed=4", "where.seed=4", "yes=true"], "give one of them"),
        (["study=rates", "where.seed=9", "yes=true"], "no run has these settings"),
        (["study=nowhere", "where.seed=0", "yes=true"], "nowhere is not a directory"),
    ],
)
def test_what_names_no_runs_removes_none(study, arguments, message):
    done = remove(study, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(Study(study).runs) == 30


def test_a_run_that_is_being_trained_stays(study):
    with files.lock(study / "pocket-s-seed1-0000001e" / ".lock", 0.0, "taken"):
        done = remove(study, f"study={study}", "where.seed=1", "yes=true")
    assert done.returncode == 2
    assert "pocket-s-seed1-0000001e: being trained now" in done.stderr
    assert len(Study(study).runs) == 30


def test_a_parent_is_named_with_the_runs_that_go_on_from_it(tmp_path, disk):  # noqa: F811
    study = tmp_path / "outputs" / "wsd"
    disk.write_cell(study, "s", name="pocket-s-seed0-0123abcd")
    disk.write_cell(
        study, "s", name="pocket-s-seed0-9999ffff", recorded={"init_from": {"parent": "0123abcd", "step": 3}}
    )
    done = remove(study, f"run={study / 'pocket-s-seed0-0123abcd'}", "yes=true")
    assert done.returncode == 0
    assert "pocket-s-seed0-9999ffff goes on from" in done.stdout


def test_the_last_run_leaves_no_ledger(tmp_path, disk):  # noqa: F811
    study = tmp_path / "outputs" / "one"
    run = disk.write_cell(study, "s")
    Study(study).write_ledger()
    assert remove(study, f"run={run}", "yes=true").returncode == 0
    assert not (study / "results.csv").exists()
