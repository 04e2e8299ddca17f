"""Standard streams that are closed, full, or not UTF-8."""

import io
import os
import subprocess
import sys

import pytest
from conftest import environment

from zeroscale.cli import main, streams
from zeroscale.cli.commands import COMMANDS


class Terminal(io.TextIOWrapper):
    """Standard output in another encoding, strict as Python makes it."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)

    @property
    def shown(self):
        return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("arguments", [["--help"], ["plan"], ["plan", "trainer.tokens=1"], ["plan", "study=é–"]])
def test_a_terminal_that_lacks_a_sign_gets_another(encoding, arguments, monkeypatch):
    output, errors = Terminal(encoding), Terminal(encoding)
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", errors)
    assert main.main(arguments) == (2 if len(arguments) > 1 else 0)
    assert output.shown or errors.shown.startswith("zeroscale: the settings do not work")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_help_is_shown_in_ascii(command, monkeypatch):
    output = Terminal("ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert main.main([command, "--help"]) == 0
    assert f"zeroscale {command}" in output.shown


def test_what_stands_for_a_sign_is_as_wide_as_the_sign():
    assert "a – b × ─ é".encode("ascii", streams.ERRORS) == b"a - b x - ?"


def test_a_byte_of_a_file_name_that_is_no_utf_8_is_shown_by_its_number():
    assert os.fsdecode(b"caf\xe9").encode("utf-8", streams.ERRORS) == rb"caf\xe9"


def run(command, **changes):
    """`zeroscale plan` behind a shell's redirection."""
    shell = f"{sys.executable} -m zeroscale {command}"
    return subprocess.run(["bash", "-c", shell], env=environment(**changes), capture_output=True, text=True)


@pytest.mark.parametrize(
    ("redirected", "code", "words"),
    [
        ("plan >/dev/full", 2, "zeroscale: standard output: No space left on device\n"),
        ("--help >/dev/full", 2, "zeroscale: standard output: No space left on device\n"),
        ("plan trainer.tokens=1 2>/dev/full", 2, ""),
        ("plan >&- <&-", 0, ""),
        ("plan | true; exit ${PIPESTATUS[0]}", None, ""),
    ],
)
def test_streams_that_cannot_be_written_are_at_most_one_message(redirected, code, words):
    result = run(redirected)
    assert result.stderr == words
    # Whether the reader has gone before the last line is written is the system's choice.
    assert result.returncode == code if code is not None else result.returncode in (0, 141)


def test_paths_and_settings_are_utf_8_where_the_locale_is_not():
    result = run("plan study=é", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", LC_ALL="C")
    assert result.returncode == 2 and "study='?'" in result.stderr
