"""progress.sqlite: how far the making of a corpus is, and which documents it has seen."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zeroscale.core.errors import ZeroscaleError

STATE = "progress.sqlite"
# Of SQLite's pages in memory.
_CACHE_KIB = 64 << 10


class ProgressDatabase:
    """progress.sqlite: one JSON value, and the tables of `duplicates.Seen`, in one transaction after the other."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self.database.execute("CREATE TABLE IF NOT EXISTS state (value TEXT)")
        self.database.execute("BEGIN")

    def __enter__(self) -> "ProgressDatabase":
        return self

    def __exit__(self, *_: object) -> None:
        # Not committed: the last commit is what counts.
        self.database.close()

    def read(self) -> dict[str, Any] | None:
        row = self.database.execute("SELECT value FROM state").fetchone()
        return json.loads(row[0]) if row else None

    def commit(self, state: dict[str, Any]) -> None:
        self.database.execute("DELETE FROM state")
        self.database.execute("INSERT INTO state VALUES (?)", (json.dumps(state),))
        self.database.execute("COMMIT")
        self.database.execute("BEGIN")


@contextmanager
def database_errors(part: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        full = "full" in str(error)
        reason = "the disk is full" if full else str(error)
        raise ZeroscaleError(
            f"cannot write {part / STATE}: {reason}. Free it or choose another place with output_dir=DIR."
        ) from error
