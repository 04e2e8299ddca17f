"""metrics.jsonl: one object per logged step, append-only; the record that all views are made from."""

import json
import os
from pathlib import Path
from typing import Any

from zeroscale.core.files import disk_errors, write_bytes

METRICS = "metrics.jsonl"


def read(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics file; a partial last line, left by a kill, is dropped."""
    rows = []
    if path.is_file():
        for line in path.read_bytes().split(b"\n"):
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
    return rows


def truncate_after(path: Path, step: int) -> list[dict[str, Any]]:
    """Forgets what lies after `step`, so that a resumed run writes each step once; returns what is kept."""
    kept = [row for row in read(path) if row["step"] <= step]
    if path.exists() or kept:
        write(path, kept)
    return kept


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes the whole file anew."""
    write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())


class JsonlWriter:
    """Appends lines. `sync()` forces them to the disk: before each checkpoint, so that it never outruns its record."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with disk_errors(path):
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (held for the run)

    def add(self, row: dict[str, Any]) -> None:
        """Writes one line and hands it to the kernel."""
        with disk_errors(self._path):
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Forces the lines to the disk. Another thread may call it while lines are added: each was flushed whole."""
        with disk_errors(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
