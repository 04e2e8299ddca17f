"""Append-only files of JSON lines, one object a line.

One rule for every reader: a last line without its line feed was cut off by a kill and is passed over; any other line
that is no JSON object is an error that names the file and the line, and no file is written anew without it.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import disk_errors, write_bytes
from zeroscale.core.parsing import json_text, regular_file
from zeroscale.core.parsing.plain_values import is_finite

Row = dict[str, Any]
# How much of a file's end `tail` reads.
TAIL_BYTES = 65536
# The largest file that is read whole: ten million steps have some four gigabytes.
METRICS_LIMIT = 16 << 30


def read(path: Path, key: str | None = None) -> list[Row]:
    """The objects in a file, in order; none where there is no file.

    Args:
        key: what each object must hold an integer of, such as its step.

    Raises:
        ZeroscaleError: a line is damaged.
    """
    if not path.exists():
        return []
    content = regular_file.read(path, METRICS_LIMIT)
    found = None if key is None else _rows_at_once(content, key)
    return list(_rows(content, path, key, 1)) if found is None else found


def tail(path: Path, key: str, rows: int | None = None, *with_keys: str) -> list[Row]:
    """The last objects of a file, `rows` or all that begin in its last `TAIL_BYTES`; before them the last one there
    that holds one of `with_keys`, where none of them does.

    Raises:
        ZeroscaleError: a line among them is damaged.
    """
    content, cut = last_bytes(path)
    if cut:
        # It begins within a line, most likely.
        content = content.partition(b"\n")[2]
    start = 0 if rows is None else _start_of_last(content, rows)
    earlier = []
    for name in with_keys:
        mark = b'"%s"' % name.encode()
        if mark not in content[start:] and (place := content.rfind(mark, 0, start)) >= 0:
            earlier.append(content[content.rfind(b"\n", 0, place) + 1 : content.find(b"\n", place) + 1])
    try:
        return list(_rows(b"".join(earlier) + content[start:], path, key, 1))
    except ZeroscaleError:
        # The whole file has the number of the line.
        return read(path, key)


def _start_of_last(content: bytes, lines: int) -> int:
    """Where the last lines begin, of which each ends with a line feed."""
    end = len(content)
    for _ in range(lines + 1):
        end = content.rfind(b"\n", 0, end)
        if end < 0:
            return 0
    return end + 1


def last_bytes(path: Path) -> tuple[bytes, bool]:
    """The end of a file, at most `TAIL_BYTES` of it, and whether there is more before it; nothing of a missing file."""
    if not path.is_file():
        return b"", False
    try:
        with open(path, "rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES)
            file.seek(start)
            return file.read(), start > 0
    except OSError:
        return b"", False


class JsonlReader:
    """Follows a file that another thread or process appends to."""

    def __init__(self, path: Path, key: str | None = None) -> None:
        self._path = path
        self._key = key
        self._offset = 0
        self._lines = 0

    def follow(self) -> Iterator[Row]:
        """The objects that were appended since the last call, as far as their lines are whole.

        Raises:
            ZeroscaleError: a line is damaged.
        """
        if not self._path.is_file():
            return
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                rows = list(_rows(line, self._path, self._key, self._lines + 1))
                self._offset += len(line)
                self._lines += 1
                yield from rows


# What a value of a row with a key may be: those of metrics.jsonl are numbers, and null where a number was not finite.
_NUMBERS = (int, float, type(None))


def _rows(content: bytes, path: Path, key: str | None, first_line: int) -> Iterator[Row]:
    *lines, rest = content.split(b"\n")
    for number, line in enumerate(lines, start=first_line):
        if not line.strip():
            continue
        row = _object(line, key)
        if row is None:
            asked = "a JSON object" if key is None else f"a JSON object with an integer {key!r} and numbers besides"
            raise ZeroscaleError(
                f"{path}, line {number}, is damaged: {line[:60]!r} is not {asked}. Restore the file from a copy, or "
                "delete this line to go on without it"
            )
        yield row
    row = _object(rest, key)
    if row is not None:
        # Whole but for its line feed.
        yield row


_DECODER = json.JSONDecoder(parse_constant=lambda name: None)
_TYPES = frozenset(_NUMBERS)


def _rows_at_once(content: bytes, key: str) -> list[Row] | None:
    """The objects of a file, read as one list: several times as fast as line by line. None where a line is damaged or
    anything else than an object of numbers.

    No line can hide in another: each is in braces of its own, a text of JSON has no line feed in it, and an object of
    numbers holds no other.
    """
    whole = content[: content.rfind(b"\n") + 1].rstrip(b"\n")
    feeds = whole.count(b"\n")
    if not (whole.startswith(b"{") and whole.endswith(b"}") and whole.count(b"}\n{") == feeds):
        return None
    try:
        values = _DECODER.decode(f"[{whole.decode().replace(chr(10), f',{chr(10)}')}]")
    except (ValueError, RecursionError):
        return None
    if len(values) != feeds + 1:
        return None
    rows: list[Row] = []
    for value in values:
        row = value if _is_plain(value, key) else _checked(value, key)
        if row is None:
            return None
        rows.append(row)
    rest = _object(content[content.rfind(b"\n") + 1 :], key)
    return rows if rest is None else [*rows, rest]


def _is_plain(value: object, key: str) -> bool:
    """Whether an object is a row as `_checked` gives it; false where that takes a closer look."""
    if type(value) is not dict:
        return False
    numbers = value.values()
    if not _TYPES.issuperset(map(type, numbers)) or type(step := value.get(key)) is not int or step < 0:
        return False
    # As none of them is as large, all are finite, and its integers have 64 bits.
    try:
        return bool(sum(map(abs, filter(None, numbers))) < 1 << 62)
    except OverflowError:
        return False


def _object(line: bytes, key: str | None) -> Row | None:
    """The object in a line, with null for each number that is not finite; None where there is none such as is asked."""
    try:
        value = json.loads(line, parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return None
    return _checked(value, key)


def _checked(value: object, key: str | None) -> Row | None:
    if not isinstance(value, dict):
        return None
    if key is not None and not _is_step(value.get(key)):
        return None
    row = {
        name: None if isinstance(item, int | float) and not is_finite(item) else item for name, item in value.items()
    }
    whole = key is None or all(_is_metric(item) for item in value.values())
    return row if whole else None


def _is_metric(item: object) -> bool:
    """A number, of an integer one of 64 bits, or null."""
    return type(item) in _NUMBERS and not (isinstance(item, int) and not -(1 << 63) <= item < 1 << 63)


def _is_step(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def truncate_after(path: Path, step: int) -> list[Row]:
    """Removes the objects after `step`, so that a resumed run writes each step once; returns those that stay.

    Raises:
        ZeroscaleError: a line is damaged; then the file is left as it is.
    """
    rows = [row for row in read(path, "step") if row["step"] <= step]
    if path.exists() or rows:
        write(path, rows)
    return rows


def write(path: Path, rows: Iterable[Row]) -> None:
    """Writes a whole file."""
    write_bytes(path, "".join(_line(row) for row in rows).encode())


def _line(row: Row) -> str:
    """A row as a line of JSON, with null for each number that is not finite."""
    return json.dumps(json_text.finite(row), allow_nan=False) + "\n"


class JsonlWriter:
    """Appends lines. `sync()` forces them to the disk: before each checkpoint, so that it never outruns its record."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with disk_errors(path):
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (held for the run)

    def add(self, row: Row) -> None:
        """Writes one line and hands it to the kernel."""
        with disk_errors(self._path):
            self._file.write(_line(row))
            self._file.flush()

    def sync(self) -> None:
        """Forces the lines to the disk. Another thread may call it while lines are added: each was flushed whole."""
        with disk_errors(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
