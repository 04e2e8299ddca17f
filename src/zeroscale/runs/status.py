"""A cell's state on disk: status.json while it lives, DONE when it is finished."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, try_lock, write_json

STATUS = "status.json"
DONE = "DONE"
LOG = "log.txt"
LOCK = ".lock"
# Held by the process that starts the cell's worker; LOCK by the worker itself, which may outlive it for a moment.
LAUNCH_LOCK = ".claim"
# The exit code of a worker that found its cell taken.
BUSY = 3


@dataclass(frozen=True)
class Status:
    """`state` is missing, running, done, failed or resumable; `reason` says why in words."""

    state: str
    reason: str = ""
    step: int = 0
    time: float = 0.0
    """When it was recorded, in seconds since 1970."""


def read(cell: Path) -> Status:
    """The cell's last recorded state; a missing or unreadable record is `missing`."""
    try:
        value = read_json(cell / STATUS)
        return Status(
            state=value["state"],
            reason=value.get("reason", ""),
            step=value.get("step", 0),
            time=value.get("time", 0.0),
        )
    except (ZeroscaleError, KeyError, TypeError, OSError):
        return Status("missing")


def is_locked(cell: Path) -> bool:
    """Whether a live process has the cell: one that trains it, or one that is about to start that."""
    for name in (LAUNCH_LOCK, LOCK):
        if (cell / name).exists():
            ours = try_lock(cell / name)
            if ours is None:
                return True
            ours.close()
    return False


def write(cell: Path, state: str, reason: str = "", step: int = 0) -> None:
    """Records a state."""
    write_json(cell / STATUS, {"state": state, "reason": reason, "step": step, "time": time.time()})


def write_done(
    cell: Path,
    settings_hash: str,
    cards: list[str],
    cards_from: str,
    revision: str | None,
    sha256: dict[str, str] | None = None,
) -> None:
    """Marks a cell finished: written last, after everything else has reached the disk.

    `sha256` is of the cell's files that nothing writes again.
    """
    value = {"settings_hash": settings_hash, "cards": cards, "cards_from": cards_from, "revision": revision}
    write_json(cell / DONE, {**value, "sha256": sha256 or {}})


def read_done(cell: Path) -> dict[str, Any] | None:
    """What DONE says, or None where the cell is not finished."""
    if not (cell / DONE).is_file():
        return None
    try:
        value = read_json(cell / DONE)
    except ZeroscaleError:
        return None
    return value if isinstance(value, dict) and "settings_hash" in value else None
