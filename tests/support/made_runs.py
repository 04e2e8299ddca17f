"""For the tests of provenance: a run that is really made, and other clones of this source to make it again in."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from conftest import ROOT, SMALL, environment, write_texts

# Of a checkout, what a run needs.
PARTS = ("src", "conf", "evals", "sweeps", "lock", "pyproject.toml")
TRAIN = [*SMALL, "study=tiny", "optimizer.lr_reference_params=null"]


def command(folder: Path, *arguments: str, code: int | None = 0, source: Path | None = None, **changes: str) -> str:
    """Runs `zeroscale …` in a folder, from this source or from a clone; returns what it said.

    `code` is the exit code that is expected; None: any.
    """
    if source is not None:
        changes["PYTHONPATH"] = str(source / "src")
    result = subprocess.run(
        [sys.executable, "-m", "zeroscale", *arguments],
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert code in (None, result.returncode), f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stdout + result.stderr
    return result.stdout + result.stderr


def train(folder: Path) -> None:
    """A study of one cell, scored on a sample, with its corpus and texts; made by a copy of this source, `copy`."""
    write_texts(folder / "texts")
    copy = clone_to(folder / "copy")
    command(folder, "train", *TRAIN, "cards=[lambada]", "cards_from=sample", source=copy)


def run_in(folder: Path) -> Path:
    """The one run of the study `tiny`."""
    (done,) = folder.glob("**/tiny/*/DONE")
    return done.parent


def rows(run: Path) -> list[dict[str, Any]]:
    """metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def clone_to(folder: Path, of: Path = ROOT) -> Path:
    """This source (or the copy `of` it), as it stands, at another path."""
    folder.mkdir(parents=True)
    for part in PARTS:
        if (of / part).is_dir():
            shutil.copytree(of / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(of / part, folder / part)
    return folder


def git(folder: Path, *arguments: str) -> str:
    """Git without the user's settings."""
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
    result = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def committed(folder: Path, of: Path = ROOT) -> Path:
    """A clone that is a git repository with all of it committed."""
    clone_to(folder, of)
    (folder / ".gitignore").write_text("__pycache__/\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "All of it")
    return folder
