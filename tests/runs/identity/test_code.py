"""Which edits of a source are other code, and which are not."""

import json
from pathlib import Path

import pytest

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.runs import manifest
from zeroscale.runs.identity import code
from zeroscale.runs.source import Source

SOURCE = '''
"""A step."""

from torch import nn


class Step(nn.Module):
    """A step of training."""

    size: int = 3
    """Of the step."""

    def forward(self, x, scale=2.0):
        """Scales."""
        # Twice.
        if x is None:
            raise ValueError(f"x is missing, not {self.size}")
        return x * scale
'''


def edited(before: str, after: str, source: str = SOURCE) -> str:
    assert before in source
    return source.replace(before, after)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(edited("# Twice.", "# Two times."), id="a comment"),
        pytest.param(edited("        # Twice.\n", ""), id="no comment"),
        pytest.param(edited('"""Scales."""', '"""Scales x."""'), id="a docstring"),
        pytest.param(edited('        """Scales."""\n', ""), id="no docstring"),
        pytest.param(edited('    """Of the step."""\n', ""), id="a field's docstring"),
        pytest.param(edited("x * scale", "(\n            x\n            * scale\n        )"), id="layout"),
        pytest.param(edited("self, x, scale=2.0", "self, x, scale=2.0,"), id="a comma"),
        pytest.param(edited("x is missing", "x must be given"), id="an error's words"),
        pytest.param(SOURCE.replace("\n", "\r\n"), id="ends of lines"),
    ],
)
def test_what_computes_the_same_has_the_same_hash(source):
    assert code.hash_source(source.encode()) == code.hash_source(SOURCE.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2.0", "2.5"),
        ("x * scale", "scale * x"),
        ("size: int = 3", "size: int = 4"),
        ("ValueError", "TypeError"),
        ("x is None", "x is not None"),
        ("        return x * scale", "            return x * scale"),
        ("def forward", "def backward"),
    ],
)
def test_what_may_compute_another_thing_has_another_hash(before, after):
    assert code.hash_source(edited(before, after).encode()) != code.hash_source(SOURCE.encode())


def test_the_hash_is_the_same_under_every_version_of_python():
    """Right under 3.11.7, 3.12.1 and 3.13.0, whose syntax trees of f-strings and functions are not quite the same."""
    source = "def f(x: int, *, wide=8) -> str:\n    '''d'''\n    return f'{x!r:>{wide}} of {wide:d}' + 'é' * 0x10\n"
    assert code.hash_source(source.encode()) == "e3a9e3a1ffbd2994"


def package(folder: Path) -> Path:
    for name, text in {
        "model/gpt.py": "SCALE = 1\n",
        "model/generation/sample.py": "TOP = 1\n",
        "data/stream.py": "ORDER = 1\n",
        "training/train.py": "STEPS = 1\n",
        "training/trackers/tracker.py": "NAME = 1\n",
        "training/progress_events.py": "WIDTH = 1\n",
        "config/optimizer.py": "LR = 1\n",
        "config/train.py": "SEED = 1\n",
        "config/types.py": "TEXT = 1\n",
        "eval/held_out.py": "LOSS = 1\n",
        "report/page.py": "PAGE = 1\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A made-up package, whose files are read anew by each `look()`."""
    folder = package(tmp_path / "package")
    monkeypatch.setattr(paths, "PACKAGE", folder)
    forget()
    yield folder
    forget()


def forget() -> None:
    code._read.cache_clear()
    code._files.cache_clear()


def look(own=None) -> code.CodeFacts:
    forget()
    return code.read(own)


def test_the_code_of_a_result_is_that_of_the_rooms_that_compute_it(tree):
    before = look()
    assert sorted(before["files"]) == [
        "config/optimizer.py",
        "config/train.py",
        "data/stream.py",
        "eval/held_out.py",
        "model/gpt.py",
        "training/train.py",
    ]
    assert before["hash"] == sha256_json(before["files"])
    for name in ("training/trackers/tracker.py", "training/progress_events.py", "report/page.py", "config/types.py"):
        (tree / name).write_text("OTHER = 2\n")
    assert look() == before
    (tree / "model/gpt.py").write_text("# one\nSCALE = 1\n")
    assert look()["hash"] == before["hash"] and look()["bytes"] != before["bytes"] and code.is_now(before)
    (tree / "model/gpt.py").write_text("SCALE = 2\n")
    (tree / "data/order.py").write_text("SHUFFLE = True\n")
    now = look()
    assert not code.is_now(before) and code.differing(before, now) == ["data/order.py", "model/gpt.py"]


def test_unchanged_code_is_known_without_being_parsed(tree, monkeypatch):
    before = look()
    forget()
    monkeypatch.setattr(code, "hash_source", None)
    assert code.is_now(before)


def test_the_users_own_python_is_part_of_the_code(tree, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("def lion(lr):\n    return lr\n")
    before = look({"mine.py": mine})
    assert "mine.py" in before["files"] and before["hash"] != look()["hash"]
    mine.write_text("def lion(lr):\n    return 2 * lr\n")
    assert code.differing(before, look({"mine.py": mine})) == ["mine.py"]
    mine.write_text("def lion(lr:\n")
    with pytest.raises(ZeroscaleError, match=r"mine\.py is not Python"):
        look({"mine.py": mine})
    with pytest.raises(ZeroscaleError, match="cannot be read"):
        look({"mine.py": tmp_path / "gone.py"})


def test_what_is_left_out_of_the_code_exists_and_is_named_by_its_room():
    for name in (*code.COMPUTING, *code.NOT_COMPUTING):
        assert (paths.PACKAGE / name).exists(), name
    names = code.read()["files"]
    assert {"model/gpt.py", "model/loss.py", "data/stream.py", "training/module.py", "training/optimizer.py"} <= set(
        names
    )
    assert not [name for name in names if name.startswith(code.NOT_COMPUTING)]


def test_a_run_that_goes_on_by_other_code_records_both(tmp_path):
    source = Source(None, None, {})
    old = {"hash": "a" * 64, "files": {"model/gpt.py": "1" * 16}, "bytes": "b" * 64}
    manifest.write(tmp_path, {"threads": 1, "code": old}, source, 0)
    new = {"hash": "c" * 64, "files": {"model/gpt.py": "2" * 16}, "bytes": "d" * 64}
    manifest.write(tmp_path, {"threads": 1, "code": new}, source, 10)
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert written["code"] == new and written["earlier"][0]["code"] == old
    # The files of one code are listed once.
    manifest.write(tmp_path, {"threads": 1, "code": new}, source, 20)
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert [part["code"].get("files") for part in written["earlier"]] == [old["files"], None]
