"""The most usual slips: each is one message with the right spelling."""

import pytest
from support.made_study import disk  # noqa: F401

from zeroscale.cli import select_runs, slips
from zeroscale.core.errors import ZeroscaleError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "data.path=texts"], "data.path is a setting of data=files: add that"),
        (["plan", "data.dataset=x"], "data.dataset is a setting of data=hub: add that"),
        (["train", "sweeps=pocket"], "write +sweeps=pocket"),
        (["train", "trainer.max_steps=100"], "N = steps x trainer.batch_tokens"),
        (["train", "learning_rate=0.1"], "optimizer.lr=0.003"),
        (["train", "trainer.batch_size=8"], "trainer.batch_tokens=N"),
        (["train", "epochs=3"], "there are no epochs"),
        (["plan", "model.hidden_size=64"], "model.d_model=N"),
        (["train", "model=pocket-s,pocket-m"], "add -m"),
        (["train", "pocket"], "+sweeps=pocket"),
        (["train", "pocket-s"], "model=pocket-s"),
        (["fit", "outputs/pocket"], "runs=outputs/pocket"),
        (["sample", "outputs/pocket/x"], "checkpoint=outputs/pocket/x"),
        (["report", "--study", "outputs/pocket"], "write study=outputs/pocket"),
        (["report", "--study=outputs/pocket"], "write study=outputs/pocket"),
        (["report", "-study=outputs/pocket"], "write study=outputs/pocket"),
        (["report", "study", "=", "outputs/pocket"], "no spaces around the equals sign"),
        (["train", "--frobnicate"], "unknown option --frobnicate"),
        (["training"], "did you mean 'train'?"),
        (["runs", "study=empty"], "holds no runs"),
        (["fit", "study=empty"], "empty"),
        (["report", "runs=empty"], "holds no run"),
        (["status", "runs=empty"], "has no"),
    ],
)
def test_it_is_answered_with_the_right_spelling(zeroscale, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    assert message in zeroscale(*arguments, code=2).stderr


@pytest.mark.parametrize(
    ("command", "given", "taken"),
    [
        ("fit", "study=a", "runs=a"),
        ("report", "runs=a", "study=a"),
        ("status", "runs=a", "study=a"),
        ("fit", "runs=a", "runs=a"),
        ("compare", "runs=[a,b]", "runs=[a,b]"),
    ],
)
def test_a_study_may_be_given_under_either_name(command, given, taken):
    assert slips.mended(command, [given]) == [taken]


def test_a_hash_cut_short_names_its_run(tmp_path, disk):  # noqa: F811
    whole = disk.write_cell(tmp_path / "one", "s", name="pocket-s-seed0-33b2af2c")
    assert select_runs.named(f"{tmp_path}/one/pocket-s-seed0-33b2") == str(whole)


def test_slurms_launcher_without_slurm(monkeypatch):
    monkeypatch.setattr(slips.shutil, "which", lambda name: None)
    with pytest.raises(ZeroscaleError, match="this machine has no sbatch"):
        slips.check_launcher("submitit_slurm")
    slips.check_launcher("basic")
