"""Runs are called by the shortest name that tells them apart."""

from pathlib import Path

from support import study_fixture

from zeroscale.report.views import study
from zeroscale.runs.run import Run


def run(name: str, model: str | None, seed: int = 0, tokens: int | None = None) -> Run:
    settings = {"model": {"name": model}, "seed": seed, "trainer": {"tokens": tokens}} if model else {}
    made = Run(Path(name))
    made.settings = settings
    return made


def test_a_model_with_one_run_is_its_name():
    runs = [run("pocket-s-seed0-9b9ac34f", "pocket-s"), run("pocket-l-seed0-719900df", "pocket-l")]
    assert list(study.labels(runs).values()) == ["pocket-s", "pocket-l"]


def test_seeds_are_told_where_a_model_has_several():
    runs = [run("s-0", "pocket-s"), run("s-1", "pocket-s", 1), run("l-0", "pocket-l")]
    assert list(study.labels(runs).values()) == ["pocket-s seed 0", "pocket-s seed 1", "pocket-l"]


def test_budgets_are_told_by_their_tokens():
    runs = [run("s-aa", "s", tokens=2_000_000), run("s-bb", "s", tokens=4_000_000), run("l-cc", "l", tokens=4_000_000)]
    assert list(study.labels(runs).values()) == ["s, 2\u00a0M tokens", "s, 4\u00a0M tokens", "l"]
    again = [*runs, run("s-dd", "s", 1, 4_000_000), run("s-ee", "s", 1, 8_000_000)]
    assert list(study.labels(again).values())[1:4] == ["s, 4\u00a0M tokens, seed 0", "l", "s, 4\u00a0M tokens, seed 1"]


def test_what_stays_ambiguous_keeps_the_runs_own_name():
    runs = [run("s-0-aa", "pocket-s"), run("s-0-bb", "pocket-s"), run("s-1-cc", "pocket-s", 1), run("old", None)]
    assert list(study.labels(runs).values()) == ["s-0-aa", "s-0-bb", "pocket-s seed 1", "old"]


def test_the_last_words_of_a_log_are_plain_and_bounded(tmp_path):
    folder = tmp_path / "pocket"
    study_fixture.write_failed(folder / "pocket-xl")
    lines = [f"line {i}" for i in range(5_000)] + ["half\rwhole", "\x1b[1;31mred\x1b[0m", "x" * 9_000, ""]
    (folder / "pocket-xl/log.txt").write_bytes("\n".join(lines).encode() + b"\xff\n")
    (run,) = study.read_study(folder).runs
    lines = run.last_words().splitlines()
    assert len(lines) == 12 and lines[-4:] == ["whole", "red", "x" * study.LOG_WIDTH, "\ufffd"]
    (folder / "pocket-xl/log.txt").unlink()
    assert run.last_words() == "" and run.log.name == "status.json"
