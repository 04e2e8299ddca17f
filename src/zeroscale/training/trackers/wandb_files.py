"""What W&B leaves in a run's folder, and what we note there of it: names, what was sent, offline runs that wait.

No W&B here: only files.
"""

import secrets
from pathlib import Path
from typing import Any

from zeroscale.config.trainer import TrackerConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, write_text
from zeroscale.runs.run import Run
from zeroscale.training.trackers.follower import Row

RUN_ID = "wandb_id"
SENT = "wandb_sent.json"
REPLACED = "replaced"


def run_id(folder: Path, start: str) -> str:
    """A name and a nonce, kept in the folder before W&B starts: a resumed run is the same W&B run."""
    path = folder / RUN_ID
    if not path.is_file():
        write_text(path, f"{start}-{secrets.token_hex(4)}\n")
    return path.read_text(encoding="utf-8").strip()


def all_of(cell: Path, rows: list[Row], done: bool) -> dict[str, Any]:
    """What a note of everything would tell."""
    scored = {str(step): count for step, count in Run(cell).scored_steps.items()}
    return {"step": rows[-1]["step"], "scored": scored, "state": "done" if done else "not done"}


def is_sent(cell: Path, tracker: TrackerConfig, mode: str, last: dict[str, Any]) -> bool:
    """Whether the note that the last sending left tells of all this, and offline, whether its run is still there."""
    note = read_note(cell)
    if any(note.get(key) != value for key, value in last.items()) or note.get("project") != tracker.project:
        return False
    if mode == "offline":
        # Sent online is more than written for later.
        return note.get("mode") == "online" or len(offline_runs(cell)) == 1
    return note.get("mode") == "online" and tracker.entity in (None, note.get("entity"))


def read_note(cell: Path) -> dict[str, Any]:
    try:
        return dict(read_json(cell / SENT))
    except ZeroscaleError:
        return {}


def offline_runs(folder: Path) -> list[Path]:
    """The runs below `folder` that wait for `wandb sync`."""
    return sorted((folder / "wandb").glob("offline-run-*"))


def put_aside(folder: Path, start: str) -> bool:
    """Moves the offline runs whose names begin so out of `wandb sync`'s way; whether W&B knows one of them, or one that
    was online."""
    known = list((folder / "wandb").glob(f"run-*_*-{start}*"))
    for run in offline_runs(folder):
        if run.name.partition("-run-")[2].partition("-")[2].startswith(start):
            known += run.glob("*.synced")
            (folder / "wandb" / REPLACED).mkdir(exist_ok=True)
            run.rename(folder / "wandb" / REPLACED / run.name)
    return bool(known) or any((folder / "wandb" / REPLACED).glob(f"*-{start}*/*.synced"))
