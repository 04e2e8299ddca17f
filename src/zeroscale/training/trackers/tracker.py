"""Trackers: W&B (the only place where training knows it), TensorBoard, CSV.

A run's own files are the record and every tracker is a view of it (`follower`): it may not answer, or be slow, and gets
what it lacks when it answers again, each step once.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack

from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.config.trainer import TrackerConfig
from zeroscale.core import jsonl
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, write_json
from zeroscale.core.jsonl import Row
from zeroscale.runs import layout, status
from zeroscale.runs.results import Json
from zeroscale.runs.run import Run
from zeroscale.training.trackers import wandb_log
from zeroscale.training.trackers.follower import FINISH_SECONDS, SCORED, Follower, Sink, SyncState
from zeroscale.training.trackers.local import Files, TensorBoard
from zeroscale.training.trackers.wandb_files import RUN_ID, SENT, complete_note, is_sent, put_aside, read_note, run_id

if TYPE_CHECKING:
    import wandb

_CONNECT_SECONDS = 20.0
_SEND_SECONDS = 600.0
# W&B's errors where it has answered and refused: the user must mend that before a step is trained. After all other
# errors the run is trained, and sent later.
_REFUSAL = re.compile(r"\b40[0134]\b|permission|denied|unauthori[sz]ed|credential|api key|log ?in", re.IGNORECASE)


class Tracker(Protocol):
    """What training tells of its progress."""

    def log(self, row: Row) -> None: ...

    def finish(self, exit_code: int) -> None: ...


class Silent:
    """No tracker."""

    def log(self, row: Row) -> None:
        """Nothing."""

    def finish(self, exit_code: int) -> None:
        """Nothing."""


def start(settings: TrainConfig, directory: Path) -> Tracker:
    """The tracker that the settings ask for.

    Raises:
        ZeroscaleError: W&B does not accept the user, or a package is missing, before a single step is trained.
    """
    facts = {"settings_hash": settings.hash(), "params": vars(settings.params)}
    try:
        sink = _sink(settings.tracker, directory, as_dict(settings), facts, live=True)
    except TrackerUnavailable as error:
        # An offline run would be a second one of this name: what W&B lacks is sent from the files afterwards.
        print(f"{directory.name}: W&B does not answer ({error}); {Wandb.missing_message}", flush=True)
        return Silent()
    return Silent() if sink is None else Follower(directory, settings.trainer.batch_tokens, sink)


def _sink(
    tracker: TrackerConfig, directory: Path, settings: Json, manifest: Mapping[str, Any], live: bool
) -> Sink | None:
    if tracker.name == "none":
        return None
    if tracker.name == "tensorboard":
        return TensorBoard(directory, settings)
    if tracker.name == "files":
        return Files(directory)
    mode = mode_of(tracker)
    if mode == "disabled":
        return None
    return Wandb(_open_run(tracker, mode, directory, settings, manifest, live), mode, directory)


class Wandb:
    """One W&B run for each run, grouped by study, over tokens.

    Never passes `step=`: W&B drops steps below the last that it has seen, and a resumed run begins below it.
    """

    name = "W&B"
    missing_message = (
        "the run goes on without it. metrics.jsonl has every step: `zeroscale report study=… tracker=wandb` sends what "
        "W&B lacks"
    )

    def __init__(self, run: "wandb.Run", mode: str, directory: Path) -> None:
        self._run = run
        self._mode = mode
        self.done_message = "sent" if mode == "online" else "written for `wandb sync`"
        self._directory = directory
        self._synced = SyncState()
        run.define_metric("tokens")
        run.define_metric("*", step_metric="tokens")

    def sync_state(self) -> SyncState:
        """How far a run has come that W&B has already: its summary holds the last value of every metric."""
        if self._mode == "online":
            summary = self._run.summary
            last = int(summary.get(SCORED) or 0)
            note = read_note(self._directory)
            sent = note["scored"] if note.get("id") == self._run.id and note.get("mode") == "online" else {}
            scored = {
                step: sent.get(str(step), n) for step, n in Run(self._directory).scored_steps.items() if step <= last
            }
            self._synced = SyncState(int(summary.get("step") or 0), scored)
        return SyncState(self._synced.step, dict(self._synced.scored))

    def add(self, row: Row) -> None:
        self._run.log({key: value for key, value in row.items() if value is not None})
        self._synced.step = row["step"]

    def score(self, row: Row) -> None:
        self._run.log(row)
        self._synced.scored[row[SCORED]] = Run(self._directory).scored_steps.get(row[SCORED], 0)

    def end(self, exit_code: int) -> None:
        """Logs the last checkpoint as an artifact, closes the run, and writes the note of what was sent."""
        if exit_code == 0:
            try:
                self._log_checkpoint()
            except Exception as error:  # the lineage is lost; the run itself must still be closed
                print(
                    f"{self._directory.name}: W&B does not take the checkpoint's name: {_first_line(error)}", flush=True
                )
        wandb_log.finish(self._run, self._mode, exit_code)
        state = "done" if exit_code == 0 else "not done"
        facts = {"id": self._run.id, "mode": self._mode, "project": self._run.project, "entity": self._run.entity}
        write_json(self._directory / SENT, {**facts, "state": state, **vars(self._synced)})

    def _log_checkpoint(self) -> None:
        artifact = checkpoint_artifact(self._directory)
        if artifact is not None:
            self._run.log_artifact(artifact, aliases=["latest", self._directory.parent.name])


def send(tracker: TrackerConfig, directory: Path, settings: Json, manifest: Mapping[str, Any], done: bool) -> str:
    """Sends a run's files as they are now: W&B gets what it lacks, or offline one run that holds everything. A run that
    is being trained is left to its own process.

    Returns:
        A message that says what was done.

    Raises:
        ZeroscaleError: W&B does not accept the user, or a package is missing.
    """
    if status.is_locked(directory):
        return "is being trained: its own process sends it"
    rows = jsonl.read(directory / layout.METRICS, "step")
    if not rows:
        return "has nothing to send"
    if tracker.name == "wandb" and is_sent(directory, tracker, mode_of(tracker), complete_note(directory, rows, done)):
        return "is there already"
    try:
        sink = _sink(tracker, directory, settings, manifest, live=False)
    except TrackerUnavailable as error:
        return f"could not be sent: W&B does not answer ({error})"
    if sink is None:
        return "is not sent: W&B is disabled"
    follower = Follower(directory, int((settings.get("trainer") or {}).get("batch_tokens") or 0), sink)
    follower.log({})
    follower.finish(0 if done else 1, _SEND_SECONDS)
    if not follower.complete:
        return "could not be sent"
    return sink.done_message


def _open_run(
    tracker: TrackerConfig, mode: str, directory: Path, settings: Json, manifest: Mapping[str, Any], live: bool
) -> "wandb.Run":
    """The run at W&B. An offline run will hold everything, and must be the only one of its id that W&B gets: of two of
    one id, some versions of W&B keep the last and others both, one after the other."""
    settings_hash = str(manifest.get("settings_hash") or "")
    identity = run_id(directory, settings_hash[:12] or "cell")
    if mode == "offline" and put_aside(directory, identity):
        (directory / RUN_ID).unlink()
        print(
            f"{directory.name}: W&B has the run {identity}, a part of this one; offline it goes on under a new name. "
            "To go"
        )
        print("  on with that one instead: zeroscale report study=… tracker=wandb, online", flush=True)
        identity = run_id(directory, settings_hash[:12] or "cell")
    names = [(settings.get(part) or {}).get("name") for part in ("model", "data")]
    params = {f"params_{name}": count for name, count in (manifest.get("params") or {}).items()}
    return connect(
        tracker,
        mode,
        directory,
        identity=identity,
        live=live,
        group=settings.get("study") or directory.parent.name,
        job_type="train",
        name=directory.name,
        tags=[str(name) for name in names if name],
        config={**settings, **params, "settings_hash": settings_hash, "cell": directory.name},
    )


class TrackerUnavailable(Exception):
    """W&B does not answer."""


class RunFacts(TypedDict, total=False):
    """What W&B is told of a run, by the names of `wandb.init`."""

    name: str
    group: str
    job_type: str
    tags: list[str]
    config: Json


def connect(
    tracker: TrackerConfig, mode: str, folder: Path, *, identity: str, live: bool = True, **facts: Unpack[RunFacts]
) -> "wandb.Run":
    """A W&B run in `folder`; `live` ones record the system's metrics. Online it goes on from what W&B has of it.

    Raises:
        ZeroscaleError: W&B does not accept the user or the run.
        TrackerUnavailable: it does not answer.
    """
    import wandb

    options: Json = {"silent": True, "console": "off", "init_timeout": _CONNECT_SECONDS, "x_disable_stats": not live}
    # Of later versions: without it, the end of a process may wait for hours for a W&B that does not answer.
    later = {"finish_timeout": (FINISH_SECONDS if live else _SEND_SECONDS) - 10, "finish_timeout_raises": True}
    options |= {key: value for key, value in later.items() if key in wandb.Settings.model_fields}
    where: Json = {"project": tracker.project, "entity": tracker.entity, "dir": str(folder), "mode": mode}
    where |= {"id": identity, "resume": "allow" if mode == "online" else None}
    try:
        return wandb.init(**where, settings=wandb.Settings(**options), **facts)
    except (wandb.errors.Error, TimeoutError) as error:
        reason = _first_line(error)
        refused = isinstance(error, wandb.errors.AuthenticationError | wandb.errors.UsageError)
        if mode == "offline" or refused or _REFUSAL.search(reason):
            raise _refused(f"W&B does not start: {reason}") from error
        raise TrackerUnavailable(reason) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _refused(reason: str) -> ZeroscaleError:
    return ZeroscaleError(
        f"{reason}\nLog in with `wandb login`, or go on without: tracker.mode=offline keeps the run for `wandb sync`, "
        "tracker=none leaves W&B out."
    )


def mode_of(tracker: TrackerConfig) -> str:
    """`auto` is online where the user is logged in, else offline; WANDB_MODE is respected.

    Raises:
        ZeroscaleError: the credentials that W&B finds cannot be valid.
    """
    if tracker.mode == "disabled":
        return "disabled"
    # Offline means offline: W&B's own error reports would ask the network. What we have to say we say ourselves.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    mode = os.environ.get("WANDB_MODE", "auto") if tracker.mode == "auto" else tracker.mode
    if mode in ("offline", "disabled", "online"):
        return mode
    try:
        # Whether W&B accepts them shows when the run starts, which also copes with a W&B that does not answer.
        return "online" if wandb.login(prompt=False, verify=False) else "offline"
    except (wandb.errors.Error, ValueError) as error:
        raise _refused(f"W&B does not accept the credentials it finds: {_first_line(error)}") from error


def checkpoint_artifact(directory: Path) -> "wandb.Artifact | None":
    """The last checkpoint as W&B's artifact, the same for the same checkpoint: the sha256 of each of its files, and
    where the weights lie. Nothing large is uploaded."""
    import wandb

    checkpoints = [path for path in Run(directory).checkpoints if layout.is_checkpoint(path)]
    if not checkpoints:
        return None
    folder = checkpoints[-1]
    meta = read_json(folder / layout.META)
    metadata = {key: meta[key] for key in ("step", "tokens", "settings_hash", "val/loss") if key in meta}
    artifact = wandb.Artifact(f"checkpoint-{directory.name}", type="model", metadata=metadata)
    artifact.add_file(str(folder / layout.META))
    weights = folder / layout.WEIGHTS
    if weights.is_file():
        artifact.add_reference(weights.resolve().as_uri(), checksum=False)
    return artifact
