"""The lines and bars that a person sees of runs in training."""

import io

import pytest
from rich.console import Console

from zeroscale.launch.progress import bars
from zeroscale.launch.progress.display import Display
from zeroscale.launch.progress.time_left import Cost
from zeroscale.training.progress_events import MARK, Event, Pace, Progress, ProgressReporter, read_event

HALF = Progress(step=128, steps=256, loss=5.4134, val_loss=5.6, tokens_per_s=43_100, seconds_left=12)
END = Progress(step=256, steps=256, loss=5.2, val_loss=5.3, tokens_per_s=43_000, seconds_left=0)
NAMES = {f"pocket-s-seed{seed}-0123abcd": f"pocket-s lr=0.003 seed={seed}" for seed in range(30)}


def drawn(renderable: object, width: int) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=width, color_system=None).print(renderable)
    return [line.rstrip() for line in text.getvalue().splitlines()]


@pytest.mark.parametrize(("width", "lines"), [(80, 2), (120, 1), (200, 1)])
def test_one_bar_says_everything_at_every_width(width, lines):
    text = drawn(bars.single(width, "run 3 of 30", "pocket-s lr=0.003 seed=0", HALF, "", "4:12"), width)
    assert len(text) == lines and all(len(line) <= width for line in text)
    whole = " ".join(text)
    for part in ("run 3 of 30", "pocket-s lr=0.003 seed=0", "50 %", "loss 5.413", "43.1k tokens/s", "0:12 left"):
        assert part in whole
    assert "all 4:12 left" in whole and "━" in whole


@pytest.mark.parametrize("width", [40, 80, 120])
def test_of_several_at_once_each_has_a_line(width):
    names = ["pocket-s lr=0.003 seed=0", "pocket-xs lr=0.01 seed=1"]
    for name in names:
        (line,) = drawn(bars.row(width, name, HALF, "", names), width)
        assert len(line) <= width
        if width >= 80:
            assert name in line and "loss 5.413" in line and "0:12 left" in line
    assert drawn(bars.total(width, 2, 0, 2, 30, "4:12"), width)[0].startswith("2 of 30 runs done  2 running")
    assert drawn(bars.total(80, 2, 1, 2, 30, ""), 80)[0] == "2 of 30 runs done  1 failed  2 running"


def test_a_long_word_of_the_scoring_does_not_push_the_rest_off_the_line():
    stage = "lambada: 14 scored in 0.1 s; 448 tokens computed (57,154/s), peak memory 0.4 GiB"
    text = drawn(bars.single(80, "run 3 of 30", "pocket-s lr=0.003 seed=0", END, stage, "4:12"), 80)
    assert "lambada: 14 scored in 0.1 s" in text[1] and "all 4:12 left" in text[1]


def test_a_pipe_gets_one_line_a_run(capsys):
    names = list(NAMES)
    with Display(NAMES, dict.fromkeys(names, Cost("same", 1.0))) as display:
        display.skip(names[0], "")
        display.skip(names[1], "")
        display.begin(names[2])
        for step in range(1, 256):
            progress = Progress(step, 256, 5.4, None, 43_100, 12)
            display.event(names[2], Event("progress", "", progress))
        display.event(names[2], Event("progress", "", END))
        display.event(names[2], Event("detail", "43,000 tokens/s (data 2 %)"))
        display.end(names[2], "done", "")
        display.begin(names[3])
        display.end(names[3], "failed", "no such file")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 runs: done already, nothing to run"
    assert lines[1].startswith(
        "run 3 of 30  pocket-s lr=0.003 seed=2  step 256/256  loss 5.200  val 5.300  43.0k tokens/s  done in 0:0"
    )
    assert lines[2:] == ["run 4 of 30  pocket-s lr=0.003 seed=3: failed: no such file"]


def test_a_terminal_is_left_as_it_was_and_keeps_the_lines_that_stay(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr("rich.console.Console", lambda: Console(file=terminal, force_terminal=True, width=120))
    names = list(NAMES)
    with Display(NAMES, dict.fromkeys(names, Cost("same", 1.0))) as display:
        display.begin(names[0])
        display.event(names[0], Event("progress", "", HALF))
        assert "all " in "".join(drawn(display.render(), 120))
        display.say("corpus: a note")
        display.end(names[0], "done", "")
    text = terminal.getvalue()
    assert "corpus: a note" in text and "done in 0:0" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor


def test_lines_become_rarer_the_longer_it_takes():
    now = [0.0]
    pace = Pace(lambda: now[0])
    due = []
    for second in range(86_400):
        now[0] = float(second)
        if pace.is_due():
            due.append(second)
    assert due[0] == 10 and len(due) < 250 and due[-1] - due[-2] == 600


def test_events_come_back_as_they_were_sent(monkeypatch, capsys):
    monkeypatch.setenv("ZEROSCALE_EVENTS", "1")
    reporter = ProgressReporter("pocket-s-seed0-0123abcd", 256)
    reporter.update(256, 5.2, 43_000.0, 0.1, 5.3)
    reporter.stage("scoring")
    reporter.say("corpus: a note")
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith(MARK) and read_event(first) == Event("progress", "", END)
    assert read_event(second) == Event("stage", "scoring") and read_event(third) is None


def test_without_a_launcher_the_last_step_is_a_line_for_people(monkeypatch, capsys):
    monkeypatch.delenv("ZEROSCALE_EVENTS", raising=False)
    reporter = ProgressReporter("pocket-s", 256)
    for step in range(1, 257):
        reporter.update(step, 5.2, 43_000.0, 0.1, None)
    (line,) = capsys.readouterr().out.splitlines()
    assert line == "pocket-s  step 256/256  loss 5.200  43.0k tokens/s  0:00 left"
