"""Where a run is shown besides its own files: W&B (which training knows nowhere else), TensorBoard, CSV.

The files are the record and every tracker is a view of it (`follower`): it may be away, slow or late, and gets what it
lacks when it is back, each step once.
"""

import os
import re
from pathlib import Path
from typing import Any, Protocol

from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.config.trainer import TrackerConfig
from zeroscale.core import jsonl
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, write_json
from zeroscale.runs import layout, status
from zeroscale.runs.run import Run
from zeroscale.training.trackers.follower import FINISH_SECONDS, SCORED, Follower, Row, Sink, SyncState
from zeroscale.training.trackers.local import Files, TensorBoard
from zeroscale.training.trackers.wandb_files import RUN_ID, SENT, all_of, is_sent, put_aside, read_note, run_id

_CONNECT_SECONDS = 20.0
_SEND_SECONDS = 600.0
# What W&B's errors say where somebody answered, and refused: that is for the user to mend, and before anything else is
# done. Whatever else goes wrong, the run is kept for later instead of not being trained.
_REFUSAL = re.compile(r"\b40[0134]\b|permission|denied|unauthori[sz]ed|credential|api key|log ?in", re.IGNORECASE)


class Tracker(Protocol):
    """Where a run is shown besides its own files."""

    def log(self, row: Row) -> None: ...

    def finish(self, exit_code: int) -> None: ...


class Silent:
    """No tracker."""

    def log(self, row: Row) -> None:
        """Nothing."""

    def finish(self, exit_code: int) -> None:
        """Nothing."""


def start(settings: TrainConfig, cell: Path) -> Tracker:
    """The tracker that the settings ask for.

    Raises:
        ZeroscaleError: W&B does not accept the user, or a package is missing, before a single step is trained.
    """
    facts = {"settings_hash": settings.hash(), "params": vars(settings.params)}
    try:
        sink = _sink(settings.tracker, cell, as_dict(settings), facts, live=True)
    except TrackerUnavailable as away:
        # An offline run would be a second one of this name: what W&B lacks is sent from the files afterwards.
        print(f"{cell.name}: W&B does not answer ({away}); {Wandb.missing_message}", flush=True)
        return Silent()
    return Silent() if sink is None else Follower(cell, settings.trainer.batch_tokens, sink)


def _sink(
    tracker: TrackerConfig, cell: Path, settings: dict[str, Any], manifest: dict[str, Any], live: bool
) -> Sink | None:
    if tracker.name == "none":
        return None
    if tracker.name == "tensorboard":
        return TensorBoard(cell, settings)
    if tracker.name == "files":
        return Files(cell)
    mode = mode_of(tracker)
    if mode == "disabled":
        return None
    return Wandb(_cell_run(tracker, mode, cell, settings, manifest, live), mode, cell)


class Wandb:
    """One W&B run per cell, grouped by study, over tokens.

    Never passes `step=`: W&B drops steps below the last that it has seen, and a resumed run begins below it.
    """

    name = "W&B"
    missing_message = (
        "the run goes on without it. metrics.jsonl has every step: `zeroscale report study=… tracker=wandb` sends what "
        "W&B lacks"
    )

    def __init__(self, run: Any, mode: str, cell: Path) -> None:
        self._run = run
        self._mode = mode
        self.done_message = "sent" if mode == "online" else "written for `wandb sync`"
        self._cell = cell
        self._at = SyncState()
        run.define_metric("tokens")
        run.define_metric("*", step_metric="tokens")

    def place(self) -> SyncState:
        """Of a run that W&B knows already, how far it has come: its summary holds the last value of everything."""
        if self._mode == "online":
            known = self._run.summary
            last = int(known.get(SCORED) or 0)
            note = read_note(self._cell)
            sent = note["scored"] if note.get("id") == self._run.id and note.get("mode") == "online" else {}
            scored = {step: sent.get(str(step), n) for step, n in Run(self._cell).scored_steps.items() if step <= last}
            self._at = SyncState(int(known.get("step") or 0), scored)
        return SyncState(self._at.step, dict(self._at.scored))

    def add(self, row: Row) -> None:
        self._run.log({key: value for key, value in row.items() if value is not None})
        self._at.step = row["step"]

    def score(self, row: Row) -> None:
        self._run.log(row)
        self._at.scored[row[SCORED]] = Run(self._cell).scored_steps.get(row[SCORED], 0)

    def end(self, exit_code: int) -> None:
        """Names the last checkpoint as the run's product, and closes the run; then, what was sent is noted."""
        if exit_code == 0:
            try:
                self._keep_checkpoint()
            except Exception as error:  # the lineage is lost; the run itself must still be closed
                print(f"{self._cell.name}: W&B does not take the checkpoint's name: {_first(error)}", flush=True)
        self._run.finish(exit_code=exit_code)
        state = "done" if exit_code == 0 else "not done"
        where = {"id": self._run.id, "mode": self._mode, "project": self._run.project, "entity": self._run.entity}
        write_json(self._cell / SENT, {**where, "state": state, **vars(self._at)})

    def _keep_checkpoint(self) -> None:
        artifact = checkpoint_artifact(self._cell)
        if artifact is not None:
            self._run.log_artifact(artifact, aliases=["latest", self._cell.parent.name])


def send(tracker: TrackerConfig, cell: Path, settings: dict[str, Any], manifest: dict[str, Any], done: bool) -> str:
    """Shows a cell as its files tell it now: W&B gets what it lacks, or offline one run that holds everything. Says
    what was done. A cell that is being trained is left to its own process.

    Raises:
        ZeroscaleError: W&B does not accept the user, or a package is missing.
    """
    if status.is_locked(cell):
        return "is being trained: its own process sends it"
    rows = jsonl.read(cell / layout.METRICS, "step")
    if not rows:
        return "has nothing to send"
    if tracker.name == "wandb" and is_sent(cell, tracker, mode_of(tracker), all_of(cell, rows, done)):
        return "is there already"
    try:
        sink = _sink(tracker, cell, settings, manifest, live=False)
    except TrackerUnavailable as away:
        return f"could not be sent: W&B does not answer ({away})"
    if sink is None:
        return "is not sent: W&B is disabled"
    follower = Follower(cell, int((settings.get("trainer") or {}).get("batch_tokens") or 0), sink)
    follower.log({})
    follower.finish(0 if done else 1, _SEND_SECONDS)
    if not follower.whole:
        return "could not be sent"
    return sink.done_message


def _cell_run(
    tracker: TrackerConfig, mode: str, cell: Path, settings: dict[str, Any], manifest: dict[str, Any], live: bool
) -> Any:
    """The cell's run. Offline it will hold everything, and it must be the only one of its name that W&B gets: runs of
    one name overwrite each other there, or stand one after the other, as its version has it."""
    hashed = str(manifest.get("settings_hash") or "")
    identity = run_id(cell, hashed[:12] or "cell")
    if mode == "offline" and put_aside(cell, identity):
        (cell / RUN_ID).unlink()
        print(
            f"{cell.name}: W&B has the run {identity}, a part of this one; offline it goes on under a new name. To go"
        )
        print("  on with that one instead: zeroscale report study=… tracker=wandb, online", flush=True)
        identity = run_id(cell, hashed[:12] or "cell")
    named = [(settings.get(part) or {}).get("name") for part in ("model", "data")]
    counted = {f"params_{name}": count for name, count in (manifest.get("params") or {}).items()}
    return connect(
        tracker,
        mode,
        cell,
        identity=identity,
        live=live,
        group=settings.get("study") or cell.parent.name,
        job_type="train",
        name=cell.name,
        tags=[str(name) for name in named if name],
        config={**settings, **counted, "settings_hash": hashed, "cell": cell.name},
    )


class TrackerUnavailable(Exception):
    """W&B does not answer."""


def connect(tracker: TrackerConfig, mode: str, folder: Path, *, identity: str, live: bool = True, **facts: Any) -> Any:
    """A W&B run in `folder`; `live` ones record the system's metrics. Online it goes on from what W&B has of it.

    Raises:
        ZeroscaleError: W&B does not accept the user or the run.
        Away: it does not answer.
    """
    import wandb

    wanted = {"silent": True, "console": "off", "init_timeout": _CONNECT_SECONDS, "x_disable_stats": not live}
    # Of later versions: without it, the end of a process may wait for hours for a W&B that does not answer.
    later = {"finish_timeout": (FINISH_SECONDS if live else _SEND_SECONDS) - 10, "finish_timeout_raises": True}
    wanted |= {key: value for key, value in later.items() if key in wandb.Settings.model_fields}
    where = {"project": tracker.project, "entity": tracker.entity, "dir": str(folder), "mode": mode}
    resume = "allow" if mode == "online" else None
    try:
        return wandb.init(**where, id=identity, resume=resume, settings=wandb.Settings(**wanted), **facts)
    except (wandb.errors.Error, TimeoutError) as error:
        reason = _first(error)
        refused = isinstance(error, wandb.errors.AuthenticationError | wandb.errors.UsageError)
        if mode == "offline" or refused or _REFUSAL.search(reason):
            raise _refused(f"W&B does not start: {reason}") from error
        raise TrackerUnavailable(reason) from error


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _refused(reason: str) -> ZeroscaleError:
    return ZeroscaleError(
        f"{reason}\nLog in with `wandb login`, or go on without: tracker.mode=offline keeps the run for `wandb sync`, "
        "tracker=none leaves W&B out."
    )


def mode_of(tracker: TrackerConfig) -> str:
    """`auto` is online where the user is logged in, else offline; WANDB_MODE is respected.

    Raises:
        ZeroscaleError: the credentials that are there cannot be any.
    """
    if tracker.mode == "disabled":
        return "disabled"
    # Offline means offline: W&B's own error reports would ask the network. What we have to say we say ourselves.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    wanted = os.environ.get("WANDB_MODE", "auto") if tracker.mode == "auto" else tracker.mode
    if wanted in ("offline", "disabled", "online"):
        return wanted
    try:
        # Whether W&B accepts them shows when the run starts, which also copes with a W&B that does not answer.
        return "online" if wandb.login(prompt=False, verify=False) else "offline"
    except (wandb.errors.Error, ValueError) as error:
        raise _refused(f"W&B does not accept the credentials it finds: {_first(error)}") from error


def checkpoint_artifact(cell: Path) -> Any | None:
    """The last checkpoint as W&B's artifact, the same for the same checkpoint: the sha256 of each of its files, and
    where the weights lie. Nothing large is uploaded."""
    import wandb

    found = [path for path in Run(cell).checkpoints if layout.is_checkpoint(path)]
    if not found:
        return None
    folder = found[-1]
    meta = read_json(folder / layout.META)
    told = {key: meta[key] for key in ("step", "tokens", "settings_hash", "val/loss") if key in meta}
    artifact = wandb.Artifact(f"checkpoint-{cell.name}", type="model", metadata=told)
    artifact.add_file(str(folder / layout.META))
    weights = folder / layout.WEIGHTS
    if weights.is_file():
        artifact.add_reference(weights.resolve().as_uri(), checksum=False)
    return artifact
