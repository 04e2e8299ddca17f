"""Runs are named by what was varied: by filters, or by a part of their name; the hash is never needed."""

import json

import pytest
from support.made_study import disk  # noqa: F401

from zeroscale.cli import select_runs
from zeroscale.cli.compose import read_value
from zeroscale.core.errors import ZeroscaleError


@pytest.fixture
def study(tmp_path, disk):  # noqa: F811
    return disk.write_rates(tmp_path / "rates")


def jobs(command, filters=None, **config):
    return [job for _, job in select_runs.resolve(command, [("", config)], filters or {})]


def run_of(study, model, seed, rate):
    return str(study / f"pocket-{model}-seed{seed}-{int(1e4 * rate):08x}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.003", 0.003),
        ("3e-3", 0.003),
        ("0,1", [0, 1]),
        ("[pocket-s,pocket-m]", ["pocket-s", "pocket-m"]),
        ("null", None),
        ("true", True),
        ("'a b'", "a b"),
        ("~/texts", "~/texts"),
        ("a]b", "a]b"),
    ],
)
def test_a_filter_is_read_by_hydras_grammar(text, value):
    assert read_value(text) == value


class TestOneRun:
    def test_filters_leave_it(self, study):
        filters = {"model": "pocket-s", "optimizer.lr": 0.003, "seed": 4}
        (job,) = jobs("sample", filters, study=str(study), prompt="x")
        assert job == {"checkpoint": run_of(study, "s", 4, 0.003), "prompt": "x", "study": str(study)}
        assert jobs("batch", filters, study=str(study), step=1)[0]["run"] == run_of(study, "s", 4, 0.003)
        explained = jobs("explain", filters, study=str(study), metric="alpha")[0]
        assert explained["cell"] == "pocket-s-seed4-0000001e"

    def test_several_are_named_with_the_filters_that_are_missing(self, study):
        with pytest.raises(ZeroscaleError, match=r"takes one run, .* leave 5: .*Add where\.seed=…$"):
            jobs("export", {"model": "pocket-s", "lr": 0.003}, study=str(study), out="x")

    @pytest.mark.parametrize("given", ["pocket-s lr=0.003 seed=0", "s lr=0.003 seed=0", "pocket-s-seed0-0000001e"])
    def test_a_part_of_its_name_after_its_study(self, study, given):
        assert jobs("sample", checkpoint=f"{study}/{given}")[0]["checkpoint"] == run_of(study, "s", 0, 0.003)
        by_study = jobs("sample", checkpoint=given, study=str(study))
        assert by_study[0]["checkpoint"] == run_of(study, "s", 0, 0.003)

    def test_a_part_before_a_checkpoint(self, study):
        given = f"{study}/xs lr=0.01 seed=2/checkpoints/step-00000256"
        expected = run_of(study, "xs", 2, 0.01) + "/checkpoints/step-00000256"
        assert jobs("sample", checkpoint=given)[0]["checkpoint"] == expected

    def test_what_is_there_and_names_of_the_hub_stay_as_they_are(self, study):
        for given in (run_of(study, "s", 0, 0.003), "openai-community/gpt2", "nowhere/at/all", ""):
            assert jobs("sample", checkpoint=given)[0]["checkpoint"] == given


class TestSeveralRuns:
    def test_eval_and_reproduce_run_once_for_each(self, study):
        filters = {"model": "pocket-xs", "seed": [0, 1]}
        chosen = jobs("eval", filters, study=str(study), checkpoint=None)
        assert len(chosen) == 4
        assert {job["study"] for job in chosen} == {None}
        assert {job["checkpoint"] for job in chosen} >= {run_of(study, "xs", 0, 0.003), run_of(study, "xs", 1, 0.01)}
        assert len(jobs("reproduce", filters, study=str(study), run=None)) == 4

    def test_compare_takes_two(self, study):
        two = jobs("compare", {"model": "pocket-s", "seed": 0}, study=str(study), runs=[])[0]["runs"]
        assert sorted(two) == [run_of(study, "s", 0, 0.003), run_of(study, "s", 0, 0.01)]
        with pytest.raises(ZeroscaleError, match="compare takes two runs, and these settings leave 10"):
            jobs("compare", {"model": "pocket-s"}, study=str(study), runs=[])

    def test_commands_with_filters_of_their_own_get_them(self, study):
        assert jobs("fit", {"lr": 0.003}, runs=str(study)) == [{"runs": str(study), "where": {"lr": 0.003}}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "where.lr=1"], "`train` chooses no runs by their settings; these do: batch, compare"),
        (["sample", "where.lr=1", "prompt=x"], "where.lr chooses among the runs of a study: give study=DIR"),
        (["eval", "where.lr", "study=x"], "write where.KEY=VALUE"),
        (["eval", "where.lr=1", "study=rates", "checkpoint=x"], "leave checkpoint= out"),
        (["runs", "study=rates", "where.optimizer.lt=1"], "did you mean where.optimizer.lr?"),
        (["runs", "study=rates", "sort=depth"], "sort=depth: there is no such column"),
        (["status", "study=rates", "where.lr=7"], "where.optimizer.lr=7: the runs have 0.003, 0.01"),
    ],
)
def test_a_slip_is_one_message(zeroscale, study, arguments, message):
    assert message in zeroscale(*arguments, code=2).stderr


class TestRuns:
    def test_lists_sorts_and_filters(self, zeroscale, study):
        shown = zeroscale("runs", "study=rates", "where.model=pocket-s", "sort=-loss").stdout.splitlines()
        assert shown[0].split() == ["model", "lr", "seed", "state", "val", "loss", "tokens", "FLOPs", "time"]
        losses = [float(line.split()[4]) for line in shown[1:11]]
        assert losses == sorted(losses, reverse=True)
        assert shown[-1] == "10 of 30 runs in rates"

    def test_json_has_every_setting_that_differs(self, zeroscale, study):
        rows = json.loads(zeroscale("runs", "study=rates", "where.seed=0", "format=json").stdout)
        assert len(rows) == 6
        assert {(row["model.name"], row["optimizer.lr"]) for row in rows} >= {("pocket-xs", 0.01), ("pocket-m", 0.003)}
        assert rows[0]["label"] == "pocket-xs lr=0.003 seed=0"

    def test_csv_is_a_row_a_run(self, zeroscale, study):
        lines = zeroscale("runs", "study=rates", "format=csv", "columns=[trainer.tokens]").stdout.splitlines()
        assert len(lines) == 31
        assert lines[0].endswith("step,trainer.tokens")
        assert lines[1].endswith(",512,1048576")

    def test_status_lists_those_that_a_filter_leaves(self, zeroscale, study):
        assert "5 of 5 finished" in zeroscale("status", "study=rates", "where.lr=0.003", "where.model=pocket-m").stdout
