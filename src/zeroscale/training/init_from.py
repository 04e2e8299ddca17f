"""Initialise a run from another run's checkpoint (its parent), or from that of its WSD trunk."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import lock
from zeroscale.data.corpus import Corpus
from zeroscale.runs import checkpoint, layout, status

# What both must share: the tensors' shapes, the optimizer's moments, and where in the data the run stands.
SHARED = (
    "seed",
    "model.n_layer",
    "model.d_model",
    "model.n_head",
    "model.n_positions",
    "model.vocab_size",
    "optimizer.name",
    "trainer.batch_tokens",
    "trainer.context_length",
)
_POLL_SECONDS = 1.0

Settings = dict[str, Any]
"""A run's settings as config.yaml holds them, group by group."""


def directory(settings: TrainConfig) -> Path:
    """The parent's directory."""
    if settings.init_from.run == "trunk":
        return layout.run_directory(settings.trunk())
    return Path(settings.init_from.run or "")


class Outcome(Protocol):
    """How a run ended (`launch.launcher.RunOutcome`)."""

    @property
    def state(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def good(self) -> bool: ...


def wait(settings: TrainConfig, train: Callable[[TrainConfig], Outcome], say: Callable[[str], None]) -> str:
    """Returns when the parent's checkpoint can be read: a missing trunk is trained by `train`, a parent that another
    process is training is waited for.

    Returns:
        Why it cannot be had; empty where it can.
    """
    parent, step = directory(settings), settings.first_step
    announced = False
    while not (layout.checkpoint_directory(parent, step) / layout.META).is_file():
        if _is_training(parent):
            if not announced:
                say(f"{settings.cell}: waits for step {step} of {parent}")
            announced = True
            time.sleep(_POLL_SECONDS)
        elif settings.init_from.run != "trunk" or status.read_done(parent):
            break
        else:
            outcome = train(settings.trunk())
            if not outcome.good and outcome.state != "busy":
                return f"its trunk {parent.name} is {outcome.state}: {outcome.reason or 'stopped on request'}"
            if outcome.good:
                break
    return ""


def _is_training(parent: Path) -> bool:
    """Whether a live process is training the parent."""
    if not (parent / layout.WORKER_LOCK).exists():
        return False
    try:
        with lock(parent / layout.WORKER_LOCK, 0, "taken"):
            return False
    except ZeroscaleError:
        return True


def start(settings: TrainConfig, corpus: Corpus, say: Callable[[str], None]) -> Path | None:
    """The parent's checkpoint.

    A trunk may have dropped the very step where the decay begins: an earlier one gives the same run, for until then
    the rates are the same; None (the trunk has dropped all) starts anew.

    Raises:
        ZeroscaleError: it is not there, or belongs to a run that this one cannot go on from.
    """
    from zeroscale.config import diff
    from zeroscale.training import guards

    parent, step = directory(settings), settings.first_step
    if settings.init_from.run == "trunk":
        path = checkpoint.latest(parent, say, at_most=step)
        if path is None or checkpoint.step_of(path) < step:
            say(
                f"{settings.cell}: {parent} has kept no checkpoint of step {step}, the steps since are trained again; "
                f"trainer.keep_every_tokens={step * settings.trainer.batch_tokens} (or a divisor) keeps it"
            )
    else:
        path = layout.checkpoint_directory(parent, step)
        if not (path / layout.META).is_file():
            steps = ", ".join(str(checkpoint.step_of(kept)) for kept in checkpoint.all_of(parent)) or "none"
            raise ZeroscaleError(
                f"init_from.run={parent} has no checkpoint of step {step} "
                f"(init_from.tokens={settings.init_from.tokens}); it has steps: {steps}"
            )
    if path is None:
        return None
    meta = checkpoint.read_meta(path)
    guards.check_same_data(path, meta, corpus)
    changed = diff.differences(_shared(meta.get("settings", {})), _shared(as_dict(settings)))
    if changed:
        raise ZeroscaleError(f"init_from: {path} cannot be gone on from with other settings: {'; '.join(changed)}")
    return path


def _shared(settings: Settings) -> Settings:
    """The settings that a run must share with its parent, of those of a whole run."""
    shared: Settings = {}
    for key in SHARED:
        *groups, name = key.split(".")
        target, source = shared, settings
        for group in groups:
            target, source = target.setdefault(group, {}), source.get(group, {})
        target[name] = source.get(name)
    return shared
