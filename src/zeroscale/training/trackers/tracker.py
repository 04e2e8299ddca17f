"""Trackers: W&B (the only place where training knows it), TensorBoard, CSV.

A run's own files are the record and every tracker is a view of it (`follower`): it may not answer, or be slow, and gets
what it lacks when it answers again, each step once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.config.trainer import TrackerConfig
from zeroscale.core import jsonl
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_json
from zeroscale.core.jsonl import Row
from zeroscale.runs import layout, status
from zeroscale.runs.results import Json
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study
from zeroscale.training.trackers import wandb_log, wandb_start
from zeroscale.training.trackers.follower import SCORED, Follower, Sink, SyncState
from zeroscale.training.trackers.local import Files, TensorBoard
from zeroscale.training.trackers.wandb_files import RUN_ID, SENT, complete_note, is_sent, put_aside, read_note, run_id
from zeroscale.training.trackers.wandb_start import (
    TrackerUnavailable,
    checkpoint_artifact,
    connect,
    first_line,
    mode_of,
)

if TYPE_CHECKING:
    import wandb


_TITLES = {"wandb": "W&B", "tensorboard": "TensorBoard", "files": "tracker=files"}
_MISSING = (
    "the run goes on without it. metrics.jsonl has every step: `zeroscale report study=… tracker={tracker}` sends what "
    "{title} lacks"
)


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
    """The tracker that the settings ask for; one that does not start says so, and the run goes on without it.

    Raises:
        ZeroscaleError: `tracker.mode=online` was asked for, and W&B does not start: no step is trained.
    """
    tracker, title = settings.tracker, _TITLES.get(settings.tracker.name, "")
    facts = {"settings_hash": settings.hash(), "params": vars(settings.params)}
    try:
        sink = _sink(tracker, directory, as_dict(settings), facts, live=True)
        return Silent() if sink is None else Follower(directory, settings.trainer.batch_tokens, sink)
    except TrackerUnavailable as error:
        # An offline run would be a second one of this name: what W&B lacks is sent from the files afterwards.
        reason = f"W&B does not answer: {first_line(error)}"
    except ZeroscaleError as error:
        reason = str(error).replace("\n", "\n    ")
    except Exception as error:  # (a tracker is third-party code on the user's disk, and no number depends on it)
        reason = f"{title} does not start: {first_line(error)}"
    if tracker.name == "wandb" and tracker.mode == "online":
        raise ZeroscaleError(f"tracker.mode=online was asked for. {reason}")
    print(f"{directory.name}: {reason}\n    {_MISSING.format(title=title, tracker=tracker.name)}", flush=True)
    return Silent()


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
    missing_message = _MISSING.format(title=name, tracker="wandb")

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
                    f"{self._directory.name}: W&B does not take the checkpoint's name: {first_line(error)}", flush=True
                )
        wandb_log.finish(self._run, self._mode, exit_code)
        state = "done" if exit_code == 0 else "not done"
        facts = {"id": self._run.id, "mode": self._mode, "project": self._run.project, "entity": self._run.entity}
        write_json(self._directory / SENT, {**facts, "state": state, **vars(self._synced)})

    def _log_checkpoint(self) -> None:
        artifact = checkpoint_artifact(self._directory)
        if artifact is not None:
            study = wandb_start.cut(self._directory.parent.name, wandb_start.MAX_NAME)
            self._run.log_artifact(artifact, aliases=["latest", study])


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
    follower.finish(0 if done else 1, wandb_start.SEND_SECONDS)
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
    label, varied = _called(directory)
    names = [*((settings.get(part) or {}).get("name") for part in ("model", "data")), *varied]
    params = {f"params_{name}": count for name, count in (manifest.get("params") or {}).items()}
    return connect(
        tracker,
        mode,
        directory,
        identity=identity,
        live=live,
        group=settings.get("study") or directory.parent.name,
        job_type="train",
        name=label,
        tags=[str(name) for name in names if name],
        config={**settings, **params, "settings_hash": settings_hash, "cell": directory.name},
    )


def _called(directory: Path) -> tuple[str, list[str]]:
    """What a reader calls a run, and a tag for each setting that its study varied: "lr=0.003"."""
    study = Study(directory.parent)
    run = next((run for run in study.planned_axes.runs if run.name == directory.name), None)
    if run is None:
        return directory.name, []
    axes = study.planned_axes
    return axes.label(run), [
        axes.text(axis.key, axes.value(run, axis.key)) for axis in axes.varied if axis.kind != "size"
    ]
