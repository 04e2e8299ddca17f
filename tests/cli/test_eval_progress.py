"""What `eval` says while it works: which of how many checkpoints, which card, how far, how long."""

from support.made_study import write_rates

from zeroscale.cli import eval_progress
from zeroscale.runs.resolve import CheckpointRef
from zeroscale.runs.study import Study
from zeroscale.training.progress_events import Pace


def reference(run, config) -> CheckpointRef:
    path = run.checkpoint(1000)
    return CheckpointRef(run.name, path, run.results_directory(1000), "0" * 64, config)


def test_checkpoints_are_called_by_what_varies_and_counted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Pace, "is_due", lambda self: True)
    study = Study(write_rates(tmp_path / "rates"))
    first, second = study.runs[:2]

    class Config:
        steps = 1000

    with eval_progress.EvalProgress(30) as progress:
        for run in (first, second):
            progress.begin(reference(run, Config()))
            progress.say("lambada: 40 % of 5,153 examples, 12 s left")
            progress.say("lambada: 5,153 scored in 20 s")
    label, other = study.axes.label(first), study.axes.label(second)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"1 of 30  {label}  lambada: 40 % of 5,153 examples, 12 s left"
    assert lines[1] == f"1 of 30  {label}  lambada: 5,153 scored in 20 s"
    # From the second on the others are reckoned with.
    assert lines[2].startswith(f"2 of 30  {other}  lambada: 40 %") and lines[2].endswith("for all")


def test_one_checkpoint_is_not_counted_and_a_stranger_keeps_its_name(tmp_path, capsys):
    with eval_progress.EvalProgress(1) as progress:
        progress.begin(CheckpointRef("gpt2", tmp_path, tmp_path, "0" * 64, None))
        progress.say("lambada: 5,153 scored in 20 s")
    assert capsys.readouterr().err == "gpt2  lambada: 5,153 scored in 20 s\n"
