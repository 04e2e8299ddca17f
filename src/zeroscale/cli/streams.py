"""Standard streams that cannot end a command: closed ones, full ones, and terminals that are not UTF-8."""

import codecs
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

ERRORS = "zeroscale.replace"
# Signs of our tables and messages that have a likeness in ASCII, as wide as they are.
_LIKENESS = {**dict.fromkeys("─━–—−", "-"), **dict.fromkeys("│┃", "|"), "×": "x", "·": ".", "→": ">", "…": "."}


def _replacement(error: UnicodeError) -> tuple[str, int]:
    r"""`?` or a likeness for a character that the terminal lacks; \xe9 for a byte of a file name that is not UTF-8."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = [
        rf"\x{ord(sign) - 0xDC00:02x}" if "\udc80" <= sign <= "\udcff" else _LIKENESS.get(sign, "?")
        for sign in error.object[error.start : error.end]
    ]
    return "".join(shown), error.end


codecs.register_error(ERRORS, _replacement)


def show_every_text() -> None:
    """From now on no text that is printed fails for a character: what the terminal lacks is replaced."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def begin_process() -> None:
    """What a process needs before its first output, and its children before theirs.

    A Python whose paths are not UTF-8 (a locale of ISO 8859, PYTHONUTF8=0) starts again in its UTF-8 mode: settings and
    records are UTF-8, and hold paths. Its output stays in the terminal's own encoding.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Closed by the shell (`>&-`): else the next file that is opened would be standard output to every library.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _open(sys.stdout, 1, "standard output"), _open(sys.stderr, 2, "standard error")
    # Where the system refuses it a thread, OpenBLAS sends its own process SIGINT; numpy's products are small here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["PYTHONIOENCODING"] = f"{sys.stdout.encoding}:replace"
    if codecs.lookup(sys.getfilesystemencoding()).name != "utf-8" and not sys.flags.utf8_mode:
        os.environ["PYTHONUTF8"] = "1"
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


class _NamedFile(io.FileIO):
    """A standard stream whose errors say which it is."""

    def __init__(self, number: int, title: str) -> None:
        super().__init__(number, "w", closefd=False)
        self._title = title

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = self._title
            raise


def _open(stream: TextIO | None, number: int, title: str) -> TextIO:
    """The stream anew, in its own encoding and buffered as it was; UTF-8 where it had been closed."""
    given = stream if isinstance(stream, io.TextIOWrapper) else None
    buffer = io.BufferedWriter(_NamedFile(number, title))
    return io.TextIOWrapper(
        buffer,
        encoding=given.encoding if given else "utf-8",
        errors=ERRORS,
        line_buffering=given.line_buffering if given else False,
        write_through=given.write_through if given else False,
    )


def say_error(text: str) -> None:
    """A message on standard error, as far as that can be written."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def output_fault() -> OSError | None:
    """Writes what is still in standard output's buffer; the error where that fails. What is left is then discarded."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _discard(sys.stdout)
        return error
    return None


def _discard(stream: TextIO) -> None:
    """Python's own flush at the end must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
