"""W&B's files in a run's directory, and our notes on them: run ids, what was sent, offline runs that wait.

Only files are read here; wandb is not imported.
"""

import secrets
from pathlib import Path
from typing import TypedDict

from zeroscale.config.trainer import TrackerConfig
from zeroscale.core import json_records
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_text
from zeroscale.core.jsonl import Row
from zeroscale.runs.run import Run

RUN_ID = "wandb_id"
SENT = "wandb_sent.json"
REPLACED = "replaced"


def run_id(folder: Path, start: str) -> str:
    """A name and a nonce, kept in the folder before W&B starts: a resumed run is the same W&B run."""
    path = folder / RUN_ID
    if not path.is_file():
        write_text(path, f"{start}-{secrets.token_hex(4)}\n")
    return path.read_text(encoding="utf-8").strip()


class SentNote(TypedDict, total=False):
    """wandb_sent.json: which W&B run was sent to, and up to where."""

    id: str
    mode: str
    project: str
    entity: str | None
    state: str
    step: int
    scored: dict[str, int]


def complete_note(directory: Path, rows: list[Row], done: bool) -> SentNote:
    """What the note says once everything has been sent."""
    scored = {str(step): count for step, count in Run(directory).scored_steps.items()}
    return {"step": rows[-1]["step"], "scored": scored, "state": "done" if done else "not done"}


def is_sent(directory: Path, tracker: TrackerConfig, mode: str, complete: SentNote) -> bool:
    """Whether the note says that all of `complete` was sent, and offline, whether its run still exists."""
    note = read_note(directory)
    if any(note.get(key) != value for key, value in complete.items()) or note.get("project") != tracker.project:
        return False
    if mode == "offline":
        # Sent online is more than written for later.
        return note.get("mode") == "online" or len(offline_runs(directory)) == 1
    return note.get("mode") == "online" and tracker.entity in (None, note.get("entity"))


def read_note(directory: Path) -> SentNote:
    """The note of the last sending; empty where there is none."""
    try:
        return json_records.read(SentNote, directory / SENT)
    except ZeroscaleError:
        return {}


def offline_runs(folder: Path) -> list[Path]:
    """The runs below `folder` that wait for `wandb sync`."""
    return sorted((folder / "wandb").glob("offline-run-*"))


def put_aside(folder: Path, start: str) -> bool:
    """Moves the offline runs whose names begin so out of `wandb sync`'s way; whether W&B knows one of them, or one that
    was online."""
    online = list((folder / "wandb").glob(f"run-*_*-{start}*"))
    for run in offline_runs(folder):
        if run.name.partition("-run-")[2].partition("-")[2].startswith(start):
            online += run.glob("*.synced")
            (folder / "wandb" / REPLACED).mkdir(exist_ok=True)
            run.rename(folder / "wandb" / REPLACED / run.name)
    return bool(online) or any((folder / "wandb" / REPLACED).glob(f"*-{start}*/*.synced"))
