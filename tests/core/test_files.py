import errno
import os
import signal
import subprocess
import sys

import pytest

from zeroscale.core import files
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_lines
from zeroscale.core.parsing import regular_file


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "value.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        files.write_json(path, {"a": float("nan")})
    assert files.read_json(path) == {"a": 1} and os.listdir(tmp_path) == ["value.json"]


def test_a_full_disk_is_one_message(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ZeroscaleError, match="the disk is full"):
        files.write_text(tmp_path / "a", "x")
    with pytest.raises(ZeroscaleError, match="the disk is full"):
        files.write_directory(tmp_path / "b", lambda directory: (directory / "x").write_text("x"))
    assert os.listdir(tmp_path) == []


def test_a_directory_is_whole_or_absent(tmp_path):
    target = tmp_path / "made"

    def half(directory):
        (directory / "first").write_text("x")
        raise RuntimeError("killed here")

    with pytest.raises(RuntimeError):
        files.write_directory(target, half)
    assert os.listdir(tmp_path) == []
    files.write_directory(target, lambda directory: (directory / "first").write_text("one"))
    files.write_directory(target, lambda directory: (directory / "second").write_text("two"))
    assert os.listdir(target) == ["second"] and os.listdir(tmp_path) == ["made"]


def test_what_a_kill_left_behind_is_swept_away(tmp_path):
    (tmp_path / ".made.123.abcd.tmp").mkdir()
    files.write_directory(tmp_path / "made", lambda directory: (directory / "x").write_text("x"))
    assert os.listdir(tmp_path) == ["made"]


def test_a_lock_dies_with_its_holder(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; from zeroscale.core.files import lock\n"
        "with lock(Path(sys.argv[1]), 0, 'busy'):\n print('held', flush=True)\n time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ZeroscaleError, match="busy"), files.lock(path, 0, "busy"):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with files.lock(path, 60, "busy"):  # at once, or not at all
        pass


def test_hashes_do_not_depend_on_the_order_of_keys():
    assert files.sha256_json({"a": 1, "b": [2]}) == files.sha256_json({"b": [2], "a": 1})
    assert files.sha256_json({"a": 1}) != files.sha256_json({"a": 2})


def test_only_a_line_feed_ends_a_line(tmp_path):
    # `wc -l` counts three; str.splitlines counts eleven.
    inside = "a\rb\x0bc\x0cd\x1ce\x1df\x1eg\x85h\u2028i\u2029j"
    (tmp_path / "lines").write_bytes(f"{inside}\nsecond\r\n\n".encode())
    assert read_lines(tmp_path / "lines") == [inside, "second", ""]
    (tmp_path / "lines").write_bytes(b"")
    assert read_lines(tmp_path / "lines") == []
    (tmp_path / "lines").write_bytes(b"one\n\nno end")
    assert read_lines(tmp_path / "lines") == ["one", "", "no end"]
    for content, message in ((b"a\n\xff", r"not UTF-8 text \(byte 2"), (None, "does not exist")):
        (tmp_path / "lines").unlink()
        if content is not None:
            (tmp_path / "lines").write_bytes(content)
        with pytest.raises(ZeroscaleError, match=message):
            read_lines(tmp_path / "lines")


def test_a_file_is_read_in_the_memory_that_it_needs(tmp_path):
    """However large it might be: no machine has the memory for `limit` bytes."""
    path = tmp_path / "file"
    path.write_bytes(b"ab" * 2_000_000)
    assert regular_file.read(path, limit=1 << 60) == b"ab" * 2_000_000
    with pytest.raises(ZeroscaleError, match="more than the 10"):
        regular_file.read(path, limit=10)
