"""W&B never keeps a run from training, unless `tracker.mode=online` asks for that."""

import sys
from pathlib import Path

import pytest
from support import wandb_log
from support.own_wandb import hide_users_wandb

from zeroscale.cli.compose import compose
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.training.trackers import tracker, wandb_start


@pytest.fixture(autouse=True)
def own_wandb(monkeypatch, tmp_path):
    """Nothing of the user's."""
    hide_users_wandb(monkeypatch, tmp_path)
    monkeypatch.setattr(wandb_start, "CONNECT_SECONDS", 2.0)
    yield
    if sys.modules.get("wandb") is not None:
        sys.modules["wandb"].teardown()


def settings(*overrides: str) -> TrainConfig:
    (job,) = compose("train", ["tracker=wandb", *overrides]).configs
    return build_config(TrainConfig, job[1])


def start(folder: Path, *overrides: str) -> tracker.Tracker:
    folder.mkdir(exist_ok=True)
    return tracker.start(settings(*overrides), folder)


def test_names_that_are_too_long_for_w_and_b_are_cut(tmp_path, monkeypatch):
    folder = tmp_path / ("pocket-" + "r" * 200 + "-0123456789")
    begun = start(
        folder, "tracker.mode=offline", f"data.name={'d' * 65}", f"model.name={'m' * 70}", f"study={'s' * 150}"
    )
    begun.finish(0)
    log = wandb_log.Log(wandb_log.only(folder))
    assert [len(tag) for tag in log.run.tags] == [64, 64]
    assert len(log.run.display_name) == len(log.run.run_group) == 128
    assert log.run.display_name.startswith("pocket-r") and log.run.display_name.endswith("r-0123456789")


@pytest.mark.parametrize(("length", "limit"), [(64, 64), (65, 64), (129, 128), (5, 4)])
def test_a_cut_name_is_as_long_as_may_be_and_ends_as_it_did(length, limit):
    name = ("x" * length)[:-1] + "e"
    short = wandb_start.cut(name, limit)
    assert len(short) == min(length, limit) and short.endswith("e") and (".." in short) == (length > limit)


FAULTS = {
    "no home folder": RuntimeError("Could not determine home directory."),
    "a folder that cannot be written": PermissionError(13, "Permission denied", "/etc/wandb"),
    "a fault of its own": KeyError("x"),
    "an error without words": ValueError(),
    "no network": ConnectionError("unreachable"),
}


@pytest.mark.parametrize("where", ["init", "login"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_whatever_fails_at_its_start_is_one_message_and_the_run_goes_on(tmp_path, monkeypatch, capsys, where, fault):
    import wandb

    def refuse(*_, **__):
        raise fault

    monkeypatch.setattr(wandb, where, refuse)
    begun = start(tmp_path / "run")
    assert isinstance(begun, tracker.Silent)
    told = capsys.readouterr().out
    assert told.startswith("run: W&B does not ") and told.count("the run goes on without it") == 1
    begun.log({})
    begun.finish(0)


def test_one_that_was_asked_for_online_ends_the_run_before_its_first_step(tmp_path, monkeypatch):
    import wandb

    monkeypatch.setattr(wandb, "init", lambda **_: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(ZeroscaleError, match=r"(?s)tracker\.mode=online was asked for.*no home.*tracker=none"):
        start(tmp_path / "run", "tracker.mode=online")


@pytest.mark.parametrize(
    ("name", "value"),
    [("WANDB_BASE_URL", "nowhere"), ("WANDB_API_KEY", "short"), ("WANDB_MODE", "sideways"), ("WANDB_CONSOLE", "x")],
)
def test_odd_values_of_its_variables_keep_no_run_from_training(tmp_path, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    start(tmp_path / "run").finish(0)


@pytest.mark.parametrize("project", ["a/b", "x" * 200, "a#?%:", "…"])
def test_a_project_that_it_does_not_take_is_one_message(tmp_path, capsys, project):
    begun = start(tmp_path / "run", "tracker.mode=offline", f"tracker.project='{project}'")
    begun.finish(0)
    assert ("Invalid project name" in capsys.readouterr().out) == (project != "…")


def test_without_the_package_the_run_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert isinstance(start(tmp_path / "run"), tracker.Silent)
    assert "W&B does not start: import of wandb halted" in capsys.readouterr().out


def test_other_trackers_keep_no_run_from_training_either(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    folder = tmp_path / "run"
    assert isinstance(start(folder, "tracker=tensorboard"), tracker.Silent)
    (folder / "metrics.csv").mkdir()
    assert isinstance(start(folder, "tracker=files"), tracker.Silent)
    told = capsys.readouterr().out
    assert "pip install zeroscale[tensorboard]" in told and "tracker=files does not start" in told
    assert told.count("the run goes on without it") == 2
