"""Whether an interrupted build can be resumed, and from where when its files have changed since."""

import sqlite3
from pathlib import Path
from typing import cast

from zeroscale.config.data import DataConfig
from zeroscale.data.prepare import output
from zeroscale.data.prepare.deduplicate import DeduplicationIndex
from zeroscale.data.prepare.progress import STATE, BuildState, ProgressDatabase
from zeroscale.data.sources import sources
from zeroscale.data.sources.sources import FileStamp, SourcePlace


def resumable(part: Path, data: DataConfig, requirements: dict[str, object]) -> BuildState | None:
    """The state of an earlier build that can be resumed, else None.

    Where files have changed, it is the state behind the last file before them, without "found": the files are to be
    looked at again. A dataset is read at its recorded commit, whatever the hub has by now.
    """
    if not (part / STATE).is_file():
        return None
    try:
        with ProgressDatabase(part / STATE) as progress:
            state = progress.read()
            if state is None or state["wanted"] != requirements or not output.whole(part, state):
                return None
            if data.kind == "hub":
                return state
            now = sources.describe(data)
            if now == state["source"]:
                return state
            if data.kind != "files":
                return None
            same = _same_files(state["source"]["files"], now["files"])
            state = _behind(same, state, progress)
            if state is not None:
                del state["found"]
                progress.commit(state)
            return state
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        # No database any more.
        return None


def _same_files(before: list[FileStamp], now: list[FileStamp]) -> int:
    """How many files from the first on are what they were, by name, size and time."""
    pairs = list(zip(before, now, strict=False))
    return next((number for number, (old, new) in enumerate(pairs) if old != new), len(pairs))


def _behind(same: int, state: BuildState, progress: ProgressDatabase) -> BuildState | None:
    """The state with nothing in it of other files than the first `same`; None: there is none."""
    learnt_from = state.get("learnt_from")
    if "tokenizer" not in state or learnt_from is None or learnt_from > same:
        return None
    if _lies_before(same, state.get("place")):
        state.pop("complete", None)
        return state
    before = state.get("before")
    if before is None or not _lies_before(same, before["place"]):
        return None
    DeduplicationIndex(progress.database, None).forget_after(before["seen"])
    state.update(cast(BuildState, before))
    state.pop("complete", None)
    state["before"] = None
    return state


def _lies_before(same: int, place: object) -> bool:
    return place is not None and sources.number_of(cast(SourcePlace, place)) < same
