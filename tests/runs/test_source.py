"""Which source a run was made by: revision, uncommitted changes, and a hash that is the same in every copy."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment
from support import made_runs
from support.made_runs import git

from zeroscale.core import paths
from zeroscale.runs import manifest, source

TELL = """
import base64, json
from zeroscale.runs import source
found = source.read()
print(json.dumps({"facts": found.facts(), "diff": base64.b64encode(found.diff).decode()}))
"""


def told(clone: Path) -> tuple[dict, bytes]:
    """What the source of a clone says of itself, in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", TELL], env=environment(PYTHONPATH=str(clone / "src")), capture_output=True, cwd=clone
    )
    assert result.returncode == 0, result.stderr.decode()
    value = json.loads(result.stdout)
    return value["facts"], base64.b64decode(value["diff"])


@pytest.fixture
def clone(tmp_path):
    return made_runs.committed(tmp_path / "one")


def test_a_clean_clone_a_copy_without_git_and_this_very_source_have_the_same_hashes(clone, tmp_path):
    facts, diff = told(clone)
    assert facts["revision"] == git(clone, "rev-parse", "HEAD").strip() and facts["dirty"] is False and not diff
    copy = made_runs.clone_to(tmp_path / "two")
    without, _ = told(copy)
    assert without["revision"] is None and without["dirty"] is None
    assert without["rooms"] == facts["rooms"] == source.rooms_of(paths.PACKAGE)
    assert {".", "model", "training", "eval"} <= set(facts["rooms"])


def test_uncommitted_changes_new_and_binary_files_included_make_the_source_again(clone, tmp_path):
    clean, _ = told(clone)
    with open(clone / "src" / "zeroscale" / "model" / "gpt.py", "a") as file:
        file.write("\n# A change — not committed, and not ASCII.\n")
    (clone / "src" / "zeroscale" / "eval" / "of my own.py").write_text("ANSWER = 42\n")
    (clone / "evals" / "samples" / "picture.bin").write_bytes(bytes(range(256)))
    (clone / "src" / "zeroscale" / "core" / "errors.py").unlink()
    (clone / "src" / "zeroscale" / "core" / "errors.py").write_text("class ZeroscaleError(ValueError):\n    pass\n")
    (clone / "README.md").write_text("No part of a result.\n")
    git(clone, "config", "color.ui", "always")
    git(clone, "config", "diff.noprefix", "true")
    facts, diff = told(clone)
    assert facts["dirty"] is True and facts["revision"] == clean["revision"] and b"README" not in diff
    changed = {room for room in facts["rooms"] if facts["rooms"][room] != clean["rooms"][room]}
    assert changed == {"core", "eval", "model"}
    git(tmp_path, "clone", "--quiet", str(clone), "again")
    again = tmp_path / "again"
    (tmp_path / "source.diff").write_bytes(diff)
    git(again, "apply", str(tmp_path / "source.diff"))
    assert told(again)[0]["rooms"] == facts["rooms"]
    assert (again / "evals" / "samples" / "picture.bin").read_bytes() == bytes(range(256))


def test_a_new_file_too_large_to_be_copied_into_every_run_is_named(clone):
    (clone / "evals" / "large.jsonl").write_bytes(b"x" * (source.UNTRACKED_LIMIT + 1))
    facts, diff = told(clone)
    assert facts["dirty"] is True and facts["diff_left_out"] == ["evals/large.jsonl"] and not diff


def test_a_run_that_goes_on_keeps_what_it_was_made_with_until_then(tmp_path):
    def session(threads: int, diff: bytes, first_step: int) -> dict:
        found = source.Source("a" * 40, bool(diff), {"model": "1"}, diff)
        manifest.write(tmp_path, {"threads": threads, "source": found.facts()}, found, first_step)
        return json.loads((tmp_path / "manifest.json").read_text())

    assert "earlier" not in session(1, b"one", 0)
    assert (tmp_path / "source.diff").read_bytes() == b"one"
    second = session(2, b"", 10)
    assert [(one["until_step"], one["threads"]) for one in second["earlier"]] == [(10, 1)]
    assert (tmp_path / "source.until-00000010.diff").read_bytes() == b"one" and not (tmp_path / "source.diff").exists()
    # One that left no checkpoint behind made no step that stands.
    third = session(3, b"three", 10)
    assert [(one["until_step"], one["threads"]) for one in third["earlier"]] == [(10, 1)]
    fourth = session(4, b"three", 30)
    assert [(one["until_step"], one["threads"]) for one in fourth["earlier"]] == [(10, 1), (30, 3)]
    assert not (tmp_path / "source.until-00000030.diff").exists()  # the changes of then are those of now
    # Back to before them: what came after is gone.
    fifth = session(5, b"", 5)
    assert [(one["until_step"], one["threads"]) for one in fifth["earlier"]] == [(5, 1)]


def test_without_git_the_content_still_tells(clone, tmp_path, monkeypatch):
    facts, _ = told(clone)
    monkeypatch.setenv("PATH", str(tmp_path))
    blind, diff = told(clone)
    assert blind["revision"] is None and blind["dirty"] is None and not diff and blind["rooms"] == facts["rooms"]
    shutil.rmtree(clone / ".git")
    assert told(clone)[0]["rooms"] == facts["rooms"]
