"""progress.sqlite: how far the preparation of a corpus is, and which documents it has seen."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, cast

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus import Counts, NamedCount, ShardEntry, SplitCounts
from zeroscale.data.sources.sources import SourcePlace, SourceRecord

STATE = "progress.sqlite"
# Of SQLite's pages in memory.
_CACHE_KIB = 64 << 10


# Called with bytes of the source done, bytes in all (None: not known) and the name of the stage.
Progress = Callable[[int, int | None, str], None]


class FilesFound(TypedDict):
    """What a first look at the files found: the numbers and names of the empty ones, and what is not read."""

    empty: list[int]
    names: list[str]
    left_out: NamedCount
    repeated: NamedCount
    as_text: NamedCount


class ShardState(TypedDict):
    """What a `ShardWriter` needs to resume: the whole shards, and the tokens of the one begun."""

    shards: list[ShardEntry]
    tokens: int


class ListState(TypedDict):
    """What a `DocumentList` needs to resume: the documents listed, and the bytes of their names."""

    documents: int
    names: int


class SplitFiles(TypedDict):
    """The files of a split."""

    shards: ShardState
    list: ListState


class AllCounts(TypedDict):
    """The counts of a corpus so far."""

    train: SplitCounts
    val: SplitCounts
    read: Counts
    left_out: dict[str, Counts]
    without_url: int
    marks: dict[str, int]
    replaced: int
    split_at: int
    """Marks at which texts were split."""
    shares: list[int]
    """The smallest and the largest share of the documents in the corpus (`encode.share_of`); nothing at first."""


class Grown(TypedDict):
    """What is made so far: lengths of the files, counts, the place in the source, its bytes, documents seen."""

    files: dict[str, SplitFiles]
    counts: AllCounts
    place: SourcePlace | None
    done: int
    seen: int


class BuildState(TypedDict, total=False):
    """How far the preparation is; JSON.

    `wanted` is all that a resumed preparation must have in common with the interrupted one; `place` the place in the
    source, `done` its bytes; `tokenizer` a fingerprint, `learnt_from` the number of files that it was trained on (None:
    on all). `before` is what was made when the last batch ended that lies wholly before the file of `place`.
    """

    wanted: dict[str, object]
    source: SourceRecord
    found: FilesFound
    tokenizer: str
    learnt_from: int | None
    files: dict[str, SplitFiles]
    counts: AllCounts
    place: SourcePlace | None
    done: int
    seen: int
    before: Grown | None
    complete: bool


class ProgressDatabase:
    """progress.sqlite: one JSON value, and the tables of `DeduplicationIndex`, in one transaction after the other."""

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

    def read(self) -> BuildState | None:
        row = self.database.execute("SELECT value FROM state").fetchone()
        return cast(BuildState, json.loads(row[0])) if row else None

    def commit(self, state: BuildState) -> None:
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
