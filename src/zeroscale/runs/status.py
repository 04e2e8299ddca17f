"""What the processes of a run record of its state: status.json while it lives, DONE when it is finished.

`Run.state` says in which state a run is: it asks the locks, too.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from zeroscale.core import json_records
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import is_held, write_json
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


class StatusFile(TypedDict, total=False):
    """status.json."""

    state: str
    reason: str | None
    step: int | None
    time: float | str | None
    """Seconds since 1970; of old versions an ISO date."""


class Done(TypedDict):
    """The content of DONE: `sha256` is of the run's files that nothing writes again, by name."""

    settings_hash: str
    cards: list[str]
    cards_from: str
    revision: NotRequired[str | None]
    sha256: NotRequired[dict[str, str]]
    adopted: NotRequired[list[str]]
    """Hashes of other code that the result was accepted under, the last one last."""


def read(run: Path) -> Status:
    """The run's last recorded state; a missing or unreadable record is `missing`."""
    try:
        found = read_file(run)
    except ZeroscaleError:
        return Status("missing")
    return Status(
        state=found.get("state", "missing"),
        reason=found.get("reason") or "",
        step=found.get("step") or 0,
        time=when if isinstance(when := found.get("time"), int | float) else 0.0,
    )


def read_file(run: Path) -> StatusFile:
    """status.json; {} where there is none.

    Raises:
        ZeroscaleError: it is damaged.
    """
    path = run / layout.STATUS
    return json_records.read(StatusFile, path) if path.exists() else {}


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
    if accepted := adopted(run):
        done["adopted"] = accepted
    write_json(run / layout.DONE, {**done, "sha256": sha256 or {}})


def adopt(run: Path, code_hash: str) -> None:
    """Records in a finished run that its result is accepted under other code, too.

    Raises:
        ZeroscaleError: it is not finished, or its directory cannot be written.
    """
    done = read_done_file(run)
    if done is None:
        raise ZeroscaleError(f"{run} is not finished: only a result can be accepted under other code")
    before = [known for known in done.get("adopted", []) if known != code_hash]
    write_json(run / layout.DONE, {**done, "adopted": [*before, code_hash]})


def adopted(run: Path) -> list[str]:
    """Hashes of other code that a finished run's result was accepted under, the last one last."""
    done = read_done(run)
    return done.get("adopted", []) if done else []


def read_done(run: Path) -> Done | None:
    """What DONE says, or None where the run is not finished, or DONE is damaged: then it is finished anew."""
    try:
        return read_done_file(run)
    except ZeroscaleError:
        return None


def read_done_file(run: Path) -> Done | None:
    """What DONE says, or None where there is none.

    Raises:
        ZeroscaleError: it is damaged.
    """
    path = run / layout.DONE
    return json_records.read(Done, path) if path.exists() else None


def cause(reason: str) -> str:
    """The first sentence of a reason: why a run failed, without what may be done about it."""
    first = re.split(r"(?<=[^.])[.;] (?=[A-Z`]|the traceback|see )", " ".join(reason.split()), maxsplit=1)[0]
    return first.rstrip(".")
