"""What the processes of a run record of its state: status.json while it lives, DONE when it is finished.

`Run.state` says in which state a run is: it asks the locks, too.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import is_held, read_json, write_json
from zeroscale.runs import layout

# The exit code of a worker that found its run locked by another.
BUSY = 3


@dataclass(frozen=True)
class Status:
    """`state` is missing, running, done, failed or resumable; `reason` says why in words."""

    state: str
    reason: str = ""
    step: int = 0
    time: float = 0.0
    """When it was recorded, in seconds since 1970."""


class Done(TypedDict, total=False):
    """The content of DONE: `sha256` is of the run's files that nothing writes again, by name."""

    settings_hash: str
    cards: list[str]
    cards_from: str
    revision: str | None
    sha256: dict[str, str]


def read(run: Path) -> Status:
    """The run's last recorded state; a missing or unreadable record is `missing`."""
    try:
        value = read_json(run / layout.STATUS)
        return Status(
            state=value["state"],
            reason=value.get("reason", ""),
            step=value.get("step", 0),
            time=value.get("time", 0.0),
        )
    except (ZeroscaleError, KeyError, TypeError, OSError):
        return Status("missing")


def is_locked(run: Path) -> bool:
    """Whether a live process has the run: one that trains it, or one that is about to start that."""
    return any(is_held(run / name) for name in (layout.LAUNCH_LOCK, layout.WORKER_LOCK))


def write(run: Path, state: str, reason: str = "", step: int = 0) -> None:
    """Records a state."""
    write_json(run / layout.STATUS, {"state": state, "reason": reason, "step": step, "time": time.time()})


def write_done(
    run: Path,
    settings_hash: str,
    cards: list[str],
    cards_from: str,
    revision: str | None,
    sha256: dict[str, str] | None = None,
) -> None:
    """Marks a run finished: written last, after everything else has reached the disk.

    `sha256` is of the run's files that nothing writes again.
    """
    done: Done = {"settings_hash": settings_hash, "cards": cards, "cards_from": cards_from, "revision": revision}
    write_json(run / layout.DONE, {**done, "sha256": sha256 or {}})


def read_done(run: Path) -> Done | None:
    """What DONE says, or None where the run is not finished."""
    if not (run / layout.DONE).is_file():
        return None
    try:
        value: Done = read_json(run / layout.DONE)
    except ZeroscaleError:
        return None
    return value if isinstance(value, dict) and "settings_hash" in value else None
