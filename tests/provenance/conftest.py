"""A run that was really made, once for all tests, and the report's made-up study."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import made_runs, study_fixture
from support.once import once

from zeroscale.cli import main


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a study of one small cell was trained and scored. To be read and not changed."""
    return once(tmp_path_factory, "made-run", made_runs.train)


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    shutil.copytree(made, tmp_path / "here", ignore=shutil.ignore_patterns("copy"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def run(folder: Path) -> Path:
    """The run in the copy."""
    return made_runs.run_in(folder)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command in this process; what it said, to whichever stream."""

    def run(*arguments: str, code: int = 0) -> str:
        given = main.main(list(arguments))
        out, err = capsys.readouterr()
        assert given == code, out + err
        return out + err

    return run


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The report's made-up study: four runs along a known law."""
    return study_fixture.write_study(tmp_path / "there" / "made-up", n_steps=20, failed=False)
