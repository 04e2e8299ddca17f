"""What `train` ends with: losses, labels and the next command."""

import io

import pytest
from rich.console import Console
from support.made_study import write_rates

from zeroscale.launch.launcher import RunOutcome
from zeroscale.launch.progress import closing_table
from zeroscale.runs.status import cause
from zeroscale.runs.study import Study


def shown(outcomes: list[RunOutcome], labels: dict[str, str]) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=100, color_system=None).print(closing_table.table(outcomes, labels))
    return [line.strip() for line in text.getvalue().splitlines() if line.strip()]


def test_runs_are_called_by_what_varies_and_show_their_losses(tmp_path):
    study = Study(write_rates(tmp_path / "rates"))
    runs = study.runs
    outcomes = [RunOutcome(runs[0].directory, "skipped"), RunOutcome(runs[1].directory, "failed", "No. Disk is full.")]
    head, _, done, failed = shown(outcomes, study.axes.labels)
    assert "val/loss" in head and head.startswith("run")
    assert done.startswith(study.axes.label(runs[0])) and "done" in done
    assert failed.startswith(study.axes.label(runs[1])) and "failed" in failed


def test_the_next_commands_are_those_that_there_is_something_for(monkeypatch, tmp_path):
    monkeypatch.setenv("ZEROSCALE_COMMAND", "zeroscale train -m seed=0,1")
    study, done = tmp_path / "my study", RunOutcome(tmp_path, "done")
    failed, stopped = RunOutcome(tmp_path, "failed", "why"), RunOutcome(tmp_path, "resumable")
    report = f"zeroscale report study='{study}'"
    assert closing_table.next_commands(study, [done], sizes=1) == [report]
    assert closing_table.next_commands(study, [done], sizes=3) == [f"zeroscale fit runs='{study}'", report]
    assert closing_table.next_commands(study, [failed], 3) == ["zeroscale train -m seed=0,1 retry_failed=true"]
    diverged = RunOutcome(tmp_path, "failed", "training has diverged at step 12: loss nan. Lower optimizer.lr.")
    assert closing_table.next_commands(study, [diverged], 3) == []
    assert closing_table.next_commands(study, [stopped, done], 1) == ["zeroscale train -m seed=0,1", report]


@pytest.mark.parametrize(
    ("reason", "first"),
    [
        (
            "training has diverged at step 12: loss nan, gradient norm 0.25. The step was not taken; the last",
            "training has diverged at step 12: loss nan, gradient norm 0.25",
        ),
        ("RuntimeError: no kernel; the traceback is in a/log.txt", "RuntimeError: no kernel"),
        ("its process was killed by signal 9 (SIGKILL); out of memory is the usual cause", None),
        ("", ""),
    ],
)
def test_the_cause_is_the_first_sentence(reason, first):
    assert cause(reason) == (reason if first is None else first)
