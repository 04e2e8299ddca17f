"""W&B's start, and what of its failures we say.

W&B is third-party code that reads the user's environment, home folder and network as it starts. Whatever it raises
there is caught here and becomes one of two exceptions, so that it never keeps a run from training (`tracker.start`).
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from zeroscale.config.trainer import TrackerConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import checkpoint, layout
from zeroscale.runs.results import Json
from zeroscale.runs.run import Run
from zeroscale.training.trackers.follower import FINISH_SECONDS

if TYPE_CHECKING:
    import wandb

CONNECT_SECONDS = 20.0
SEND_SECONDS = 600.0
# W&B's limits, in characters: of a tag (checked at its start), of the names of runs, groups and artifacts.
MAX_TAG, MAX_NAME = 64, 128
# W&B's errors where it has answered and refused: the user must mend that. After all others of the network the run is
# sent later.
_REFUSAL = re.compile(r"\b40[0134]\b|permission|denied|unauthori[sz]ed|credential|api key|log ?in", re.IGNORECASE)


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
        ZeroscaleError: W&B does not accept the user or the run, or cannot start here.
        TrackerUnavailable: it does not answer.
    """
    with _faults("W&B does not start", offline=mode == "offline"):
        import wandb

        options: Json = {"silent": True, "console": "off", "init_timeout": CONNECT_SECONDS, "x_disable_stats": not live}
        # Of later versions: without it, the end of a process may wait for hours for a W&B that does not answer.
        later = {"finish_timeout": (FINISH_SECONDS if live else SEND_SECONDS) - 10, "finish_timeout_raises": True}
        options |= {key: value for key, value in later.items() if key in wandb.Settings.model_fields}
        where: Json = {"project": tracker.project, "entity": tracker.entity, "dir": str(folder), "mode": mode}
        where |= {"id": identity, "resume": "allow" if mode == "online" else None}
        return wandb.init(**where, settings=wandb.Settings(**options), **_within_limits(facts))


def mode_of(tracker: TrackerConfig) -> str:
    """`auto` is online where the user is logged in, else offline; WANDB_MODE is respected.

    Raises:
        ZeroscaleError: W&B cannot start here, or the credentials that it finds cannot be valid.
    """
    if tracker.mode == "disabled":
        return "disabled"
    # Offline means offline: W&B's own error reports would ask the network. What we have to say we say ourselves.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_SILENT", "true")
    with _faults("W&B does not start", offline=True):
        import wandb
    mode = os.environ.get("WANDB_MODE", "auto") if tracker.mode == "auto" else tracker.mode
    if mode in ("offline", "disabled", "online"):
        return mode
    with _faults("W&B does not accept the credentials it finds", offline=True):
        # Whether W&B accepts them shows when the run starts, which also copes with a W&B that does not answer.
        return "online" if wandb.login(prompt=False, verify=False) else "offline"


@contextmanager
def _faults(what: str, offline: bool) -> Iterator[None]:
    """Whatever W&B raises as a refusal, or where nobody answers, as `TrackerUnavailable`."""
    try:
        yield
    except Exception as error:
        reason = first_line(error)
        # By name: W&B itself may be what cannot be imported.
        kinds = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("wandb.errors")}
        away = isinstance(error, ConnectionError | TimeoutError) or (
            "Error" in kinds and not kinds & {"AuthenticationError", "UsageError"}
        )
        if away and not offline and not _REFUSAL.search(reason):
            raise TrackerUnavailable(reason) from error
        if isinstance(error, RuntimeError | OSError):  # (the system's word, not W&B's: no home folder, no permission)
            what = "W&B does not start"
        raise ZeroscaleError(
            f"{what}: {reason}\nLog in with `wandb login`, or go on without: tracker.mode=offline keeps the run for "
            "`wandb sync`, tracker=none leaves W&B out."
        ) from error


def first_line(error: Exception) -> str:
    """What an error says, on one line; of pydantic's the first fault, for its own first line is a count."""
    if callable(faults := getattr(error, "errors", None)) and (found := faults()):
        return f"{'.'.join(map(str, found[0]['loc']))}: {found[0]['msg']}".splitlines()[0]
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _within_limits(facts: RunFacts) -> RunFacts:
    """The same with names that W&B takes: a tag that is too long would keep it from starting."""
    fitting = facts.copy()
    for key in ("name", "group"):
        if key in fitting:
            fitting[key] = cut(fitting[key], MAX_NAME)
    if "tags" in fitting:
        fitting["tags"] = list(dict.fromkeys(cut(tag, MAX_TAG) for tag in fitting["tags"] if tag))
    return fitting


def cut(text: str, limit: int) -> str:
    """A name of at most so many characters: its beginning, and its end, which tells runs apart."""
    return text if len(text) <= limit else f"{text[: limit - limit // 2 - 2]}..{text[-(limit // 2) :]}"


def checkpoint_artifact(directory: Path) -> "wandb.Artifact | None":
    """The last checkpoint as W&B's artifact, the same for the same checkpoint: the sha256 of each of its files, and
    where the weights lie. Nothing large is uploaded."""
    import wandb

    checkpoints = [path for path in Run(directory).checkpoints if layout.is_checkpoint(path)]
    if not checkpoints:
        return None
    folder = checkpoints[-1]
    meta = dict(checkpoint.meta(folder))
    metadata = {key: meta[key] for key in ("step", "tokens", "settings_hash", "val/loss") if key in meta}
    artifact = wandb.Artifact(cut(f"checkpoint-{directory.name}", MAX_NAME), type="model", metadata=metadata)
    artifact.add_file(str(folder / layout.META))
    weights = folder / layout.WEIGHTS
    if weights.is_file():
        artifact.add_reference(weights.resolve().as_uri(), checksum=False)
    return artifact
