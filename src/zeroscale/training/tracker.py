"""Weights & Biases as a view of the run's own files; W&B is touched nowhere else during training."""

import os
import secrets
from pathlib import Path
from typing import Any, Protocol

from zeroscale.errors import ZeroscaleError
from zeroscale.files import write_text
from zeroscale.settings import TrackerSettings, TrainSettings, as_dict

RUN_ID = "wandb_id"
_CONNECT_SECONDS = 30.0


class Tracker(Protocol):
    """Where a run is shown besides its own files."""

    def log(self, row: dict[str, Any]) -> None: ...

    def finish(self, exit_code: int) -> None: ...


class Silent:
    """No tracker."""

    def log(self, row: dict[str, Any]) -> None:
        """Nothing."""

    def finish(self, exit_code: int) -> None:
        """Nothing."""


class Wandb:
    """One W&B run per cell, grouped by study, over tokens.

    Never passes `step=` (W&B drops lower steps after a resume): tokens are the axis. A fault of W&B in the middle of a
    run is said once and does not stop training.
    """

    def __init__(self, run: Any) -> None:
        self._run = run
        self._broken = False

    def log(self, row: dict[str, Any]) -> None:
        """Sends one line of metrics.jsonl, or the scores of a checkpoint."""
        if self._broken:
            return
        try:
            self._run.log({key: value for key, value in row.items() if value is not None})
        except Exception as error:
            self._broken = True
            print(f"W&B: {error}; training goes on, metrics.jsonl has every step", flush=True)

    def finish(self, exit_code: int) -> None:
        """Marks the run finished or failed."""
        try:
            self._run.finish(exit_code=exit_code)
        except Exception as error:
            print(f"W&B: {error}; metrics.jsonl has every step", flush=True)


def start(settings: TrainSettings, cell: Path) -> Tracker:
    """The tracker that the settings ask for.

    Raises:
        ZeroscaleError: W&B cannot be reached or does not accept the user, before a single step is trained.
    """
    tracker = settings.tracker
    if tracker.name == "none" or tracker.mode == "disabled":
        return Silent()
    import wandb

    mode = _mode(tracker)
    if mode == "disabled":
        return Silent()
    try:
        run = wandb.init(
            project=tracker.project,
            entity=tracker.entity,
            group=settings.study,
            job_type="train",
            name=cell.name,
            id=_run_id(settings, cell),
            dir=str(cell),
            config=as_dict(settings),
            tags=[settings.model.name, settings.data.name],
            mode=mode,
            resume="allow" if mode == "online" else None,
            settings=wandb.Settings(silent=True, console="off", init_timeout=_CONNECT_SECONDS),
        )
    except wandb.errors.Error as error:
        first = str(error).strip().splitlines()[0]
        raise ZeroscaleError(
            f"W&B does not start: {first}\nLog in with `wandb login`, or go on without: tracker.mode=offline keeps the "
            "run for `wandb sync`, tracker=none leaves W&B out."
        ) from error
    run.define_metric("tokens")
    run.define_metric("*", step_metric="tokens")
    return Wandb(run)


def _mode(tracker: TrackerSettings) -> str:
    """`auto` is online where the user is logged in, else offline; WANDB_MODE is respected."""
    import wandb

    wanted = os.environ.get("WANDB_MODE", "auto") if tracker.mode == "auto" else tracker.mode
    if wanted in ("offline", "disabled", "online"):
        return wanted
    try:
        return "online" if wandb.login(prompt=False) else "offline"
    except (wandb.errors.Error, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ZeroscaleError(
            f"W&B does not accept the credentials it finds: {first}\nLog in again with `wandb login --relogin`, or go "
            "on without: tracker.mode=offline or tracker=none."
        ) from error


def _run_id(settings: TrainSettings, cell: Path) -> str:
    """The settings hash and a nonce, kept in the cell before W&B starts: a resumed run is the same W&B run."""
    path = cell / RUN_ID
    if not path.is_file():
        write_text(path, f"{settings.hash()[:12]}-{secrets.token_hex(4)}\n")
    return path.read_text(encoding="utf-8").strip()
