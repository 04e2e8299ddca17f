"""Runs are called by what was varied."""

from support import study_fixture

from zeroscale.report.views import study


def test_runs_are_called_by_what_was_varied(tmp_path, disk):
    runs = study.read_study(disk.write_rates(tmp_path / "rates")).runs
    assert len({run.label for run in runs}) == 30
    assert [run.label for run in runs[:2]] == ["pocket-xs lr=0.003 seed=0", "pocket-xs lr=0.01 seed=0"]


def test_a_model_with_one_run_is_its_name(tmp_path, disk):
    for size in ("s", "l"):
        disk.write_cell(tmp_path, size)
    assert [run.label for run in study.read_study(tmp_path).runs] == ["pocket-s", "pocket-l"]


def test_a_run_without_settings_is_called_by_its_own_name(tmp_path, disk):
    disk.write_cell(tmp_path, "s")
    (disk.write_cell(tmp_path, "s", name="old") / "config.yaml").write_text("{}")
    assert sorted(run.label for run in study.read_study(tmp_path).runs) == ["old", "pocket-s seed=0"]


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
