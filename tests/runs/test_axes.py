"""What a study varied is read from its runs; what follows from something else is no axis of its own."""

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import where
from zeroscale.runs.study import Study


def axes_of(study):
    return Study(study).axes


def keys(axes):
    return [axis.key for axis in axes.varied]


def test_a_sweep_of_rates_sizes_and_seeds(tmp_path, disk):
    axes = axes_of(disk.write_rates(tmp_path))
    assert keys(axes) == ["model.name", "optimizer.lr", "seed"]
    assert [axis.kind for axis in axes.varied] == ["size", "setting", "seed"]
    assert axes.columns == ("model.name", "model.d_model", "model.n_layer", "optimizer.lr", "seed")
    assert axes.settings[0].values == (0.003, 0.01)
    labels = sorted(axes.labels.values())
    assert len(set(labels)) == 30
    assert labels[0] == "pocket-m lr=0.003 seed=0"


def test_one_run_differs_in_nothing(tmp_path, disk):
    disk.write_cell(tmp_path, "s")
    axes = axes_of(tmp_path)
    assert (axes.columns, axes.varied, list(axes.labels.values())) == ((), (), ["pocket-s"])


def test_what_the_size_decides_is_no_axis_but_a_column(tmp_path, disk):
    for model, rate in (("xs", 0.01), ("s", 0.003)):
        disk.write_cell(tmp_path, model, settings={"optimizer.lr": rate})
    axes = axes_of(tmp_path)
    assert keys(axes) == ["model.name"]
    assert "optimizer.lr" in axes.columns
    assert sorted(axes.labels.values()) == ["pocket-s", "pocket-xs"]


def test_an_optimizer_stands_for_its_settings(tmp_path, disk):
    for name, rate, decay in (("adamw", 0.003, 0.1), ("muon", 0.02, 0.0)):
        more = {"optimizer.name": name, "optimizer.lr": rate, "optimizer.weight_decay": decay}
        disk.write_cell(tmp_path, "s", name=name, settings=more)
    axes = axes_of(tmp_path)
    assert keys(axes) == ["optimizer.name"]
    assert sorted(axes.labels.values()) == ["pocket-s optimizer=adamw", "pocket-s optimizer=muon"]


def test_settings_drawn_at_random_are_all_axes(tmp_path, disk):
    for i, (rate, decay) in enumerate(((0.003, 0.1), (0.004, 0.2), (0.005, 0.3))):
        more = {"optimizer.lr": rate, "optimizer.weight_decay": decay}
        disk.write_cell(tmp_path, "s", name=f"run-{i}", settings=more)
    assert keys(axes_of(tmp_path)) == ["optimizer.lr", "optimizer.weight_decay"]


def test_the_length_of_training_decides_the_warm_up(tmp_path, disk):
    for tokens in (2048, 4096):
        more = {"trainer.tokens": tokens, "schedule.warmup_tokens": tokens // 8}
        disk.write_cell(tmp_path, "s", name=f"run-{tokens}", settings=more)
    (axis,) = axes_of(tmp_path).varied
    assert (axis.key, axis.kind, axis.short) == ("trainer.tokens", "tokens", "tokens")
    assert sorted(axes_of(tmp_path).labels.values()) == ["pocket-s tokens=2.05K", "pocket-s tokens=4.1K"]


def test_one_corpus_has_one_value_however_its_path_is_spelt(tmp_path, disk):
    for i, path in enumerate(("texts", "./texts", "/home/me/texts")):
        more = {"data.kind": "files", "data.path": path}
        disk.write_cell(tmp_path, "s", seed=i, settings=more, recorded={"corpus": {"fingerprint": "a" * 64}})
    axes = axes_of(tmp_path)
    assert keys(axes) == ["seed"]
    assert {axes.value(run, "data.path") for run in axes.runs} == {"texts"}


def test_one_path_with_two_contents_is_an_axis(tmp_path, disk):
    for i in range(2):
        more = {"data.kind": "files", "data.path": "texts"}
        disk.write_cell(tmp_path, "s", name=f"r{i}", settings=more, recorded={"corpus": {"fingerprint": f"{i}" * 64}})
    (axis,) = axes_of(tmp_path).varied
    assert (axis.key, axis.values) == ("corpus", ("0" * 8, "1" * 8))


def test_runs_of_two_codes_are_told_apart_and_those_without_a_record_are_not(tmp_path, disk):
    for i, code in enumerate(({"code": {"hash": "a" * 64}}, {"code": {"hash": "b" * 64}}, {})):
        disk.write_cell(tmp_path, "s", seed=i, recorded=code)
    axes = axes_of(tmp_path)
    assert keys(axes) == ["code", "seed"]
    assert axes.value(axes.runs[2], "code") is None
    (tmp_path / "pocket-s-seed1" / "config.yaml").unlink()
    assert keys(axes_of(tmp_path)) == ["seed"]


def test_what_an_older_version_did_not_record_is_no_difference(tmp_path, disk):
    disk.write_cell(tmp_path, "s", name="old")
    disk.write_cell(tmp_path, "s", name="new", settings={"trainer.deterministic": False, "schedule.decay": "sqrt"})
    assert axes_of(tmp_path).columns == ()


def test_settings_that_change_no_result_are_no_difference(tmp_path, disk):
    for i in range(2):
        more = {"data_dir": f"d{i}", "tracker.mode": f"m{i}", "trainer.log_every": i, "init_from.run": f"r{i}"}
        disk.write_cell(tmp_path, "s", name=f"r{i}-abc{i}", settings=more)
    axes = axes_of(tmp_path)
    assert axes.columns == ()
    assert sorted(axes.labels.values()) == ["pocket-s (abc0)", "pocket-s (abc1)"], "the hash, where nothing else helps"


def test_a_list_is_one_value(tmp_path, disk):
    for i, betas in enumerate(([0.9, 0.95], [0.9, 0.99])):
        disk.write_cell(tmp_path, "s", name=f"r{i}", settings={"optimizer.betas": betas})
    assert sorted(axes_of(tmp_path).labels.values()) == ["pocket-s betas=[0.9, 0.95]", "pocket-s betas=[0.9, 0.99]"]


class TestWhere:
    @pytest.mark.parametrize(
        ("filters", "count"),
        [
            ({}, 30),
            ({"optimizer.lr": 0.003}, 15),
            ({"lr": "3e-3"}, 15),
            ({"lr": 0.003, "model": "pocket-s"}, 5),
            ({"model.name": "pocket-s", "seed": [0, 4]}, 4),
            ({"model.n_layer": 3}, 10),
            ({"optimizer.name": "adamw"}, 30),
        ],
    )
    def test_filters(self, tmp_path, disk, filters, count):
        axes = axes_of(disk.write_rates(tmp_path))
        if filters.get("lr") == "3e-3":
            filters = {"lr": float(filters["lr"])}
        assert len(where.matching(axes, filters)) == count

    def test_an_unknown_setting_is_named_beside_those_that_differ(self, tmp_path, disk):
        axes = axes_of(disk.write_rates(tmp_path))
        with pytest.raises(ZeroscaleError, match=r"where\.optimizer\.l: no run has this setting \(did you mean .*lr"):
            where.matching(axes, {"optimizer.l": 0.003})

    def test_a_value_that_no_run_has_is_answered_with_those_there_are(self, tmp_path, disk):
        axes = axes_of(disk.write_rates(tmp_path))
        with pytest.raises(ZeroscaleError, match=r"where\.optimizer\.lr=0\.1: the runs have 0\.003, 0\.01"):
            where.matching(axes, {"optimizer.lr": 0.1})

    def test_a_part_of_a_name(self, tmp_path, disk):
        axes = axes_of(disk.write_rates(tmp_path))
        assert axes.label(where.one(axes, "pocket-s lr=0.003 seed=0")) == "pocket-s lr=0.003 seed=0"
        assert axes.label(where.one(axes, "POCKET-M seed=4 lr=0.01")) == "pocket-m lr=0.01 seed=4"
        assert where.one(axes, "pocket-xs-seed3-00000064").seed == 3
        with pytest.raises(ZeroscaleError, match="belongs to 10 runs: pocket-s lr"):
            where.one(axes, "pocket-s")
        with pytest.raises(ZeroscaleError, match="is part of no run's name here: pocket-m"):
            where.one(axes, "gpt2")
