"""What a run goes on from when it does not begin at the beginning: another run's checkpoint, or its WSD trunk's."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import lock
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


def directory(settings: TrainConfig) -> Path:
    """The parent's directory."""
    if settings.init_from.run == "trunk":
        return layout.run_directory(settings.trunk())
    return Path(settings.init_from.run or "")


def wait(settings: TrainConfig, train: Callable[[TrainConfig], Any], say: Callable[[str], None]) -> str:
    """Returns when the parent's checkpoint can be read: a trunk that is not there is trained (`train` gives an outcome
    with `state`, `reason` and `good`), one that another process is training is waited for.

    Returns:
        Why it cannot be had, or nothing.
    """
    cell, step = directory(settings), settings.first_step
    told = False
    while not (layout.checkpoint_directory(cell, step) / layout.META).is_file():
        if _taken(cell):
            if not told:
                say(f"{settings.cell}: waits for step {step} of {cell}")
            told = True
            time.sleep(_POLL_SECONDS)
        elif settings.init_from.run != "trunk" or status.read_done(cell):
            break
        else:
            outcome = train(settings.trunk())
            if not outcome.good and outcome.state != "busy":
                return f"its trunk {cell.name} is {outcome.state}: {outcome.reason or 'stopped on request'}"
            if outcome.good:
                break
    return ""


def _taken(cell: Path) -> bool:
    """Whether a live process is training the cell."""
    if not (cell / layout.WORKER_LOCK).exists():
        return False
    try:
        with lock(cell / layout.WORKER_LOCK, 0, "taken"):
            return False
    except ZeroscaleError:
        return True


def start(settings: TrainConfig, corpus: Any, say: Callable[[str], None]) -> Path | None:
    """The parent's checkpoint.

    A trunk may have dropped the very step where the decay begins: an earlier one gives the same run, for until then
    the rates are the same; None (the trunk has dropped all) starts anew.

    Raises:
        ZeroscaleError: it is not there, or belongs to a run that this one cannot go on from.
    """
    from zeroscale.config import diff
    from zeroscale.training import guards

    cell, step = directory(settings), settings.first_step
    if settings.init_from.run == "trunk":
        found = checkpoint.latest(cell, say, at_most=step)
        if found is None or checkpoint.step_of(found) < step:
            say(
                f"{settings.cell}: {cell} has kept no checkpoint of step {step}, the steps since are trained again; "
                f"trainer.keep_every_tokens={step * settings.trainer.batch_tokens} (or a divisor) keeps it"
            )
    else:
        found = layout.checkpoint_directory(cell, step)
        if not (found / layout.META).is_file():
            there = ", ".join(str(checkpoint.step_of(path)) for path in checkpoint.all_of(cell)) or "none"
            raise ZeroscaleError(
                f"init_from.run={cell} has no checkpoint of step {step} "
                f"(init_from.tokens={settings.init_from.tokens}); it has steps: {there}"
            )
    if found is None:
        return None
    meta = checkpoint.read_meta(found)
    guards.check_same_data(found, meta, corpus)
    other = diff.differences(_shared(meta["settings"]), _shared(as_dict(settings)))
    if other:
        raise ZeroscaleError(f"init_from: {found} cannot be gone on from with other settings: {'; '.join(other)}")
    return found


def _shared(value: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key in SHARED:
        *parents, last = key.split(".")
        node, source = kept, value
        for parent in parents:
            node, source = node.setdefault(parent, {}), source.get(parent, {})
        node[last] = source.get(last)
    return kept
