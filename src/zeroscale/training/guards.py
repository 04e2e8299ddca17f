"""Checks of a run: non-finite losses and gradients, loss spikes, checkpoints of other settings or other data."""

import math
import statistics
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zeroscale.config.diff import differences
from zeroscale.config.hashing import NOT_HASHED, as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus import Corpus
from zeroscale.runs import checkpoint, layout


class NonFiniteLoss(ZeroscaleError):
    """The loss or the gradient norm of a step is not finite; the weights are those of the step before."""

    def __init__(self, step: int, loss: float, norm: float) -> None:
        super().__init__(f"step {step}: loss {loss:.4g}, gradient norm {norm:.4g}")
        self.step = step


def check_finite(step: int, loss: float, norm: float) -> None:
    """Called between the backward pass of a step (counted from 1) and its optimizer step.

    Raises:
        NonFiniteLoss: before any weight has been changed by this step.
    """
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise NonFiniteLoss(step, loss, norm)


def divergence_error(error: NonFiniteLoss, directory: Path) -> ZeroscaleError:
    """The message for the user: the step and its batch, the last good checkpoint, what may help."""
    paths = checkpoint.all_of(directory)
    last = f"the last good checkpoint is {paths[-1]}" if paths else "no checkpoint had been written yet"
    return ZeroscaleError(
        f"training has diverged at {error}. The step was not taken; {last}. Its batch is that of step {error.step} "
        "(`zeroscale batch` shows it). Lower optimizer.lr, lengthen schedule.warmup_tokens, clip with "
        "optimizer.grad_clip, or use trainer.precision=fp32."
    )


class LossSpikeDetector:
    """Detects logged losses that stand out from those before them.

    A spike is more than 6 robust standard deviations (1.4826 · median absolute deviation; Iglewicz and Hoaglin 1993)
    and at least 0.1 nats above the median of the 64 logged losses before it. It depends on the logged losses alone, so
    that a resumed run, which is given those of its record, finds the same spikes.
    """

    _WINDOW = 64

    def __init__(self, losses: Iterable[float] = ()) -> None:
        self._losses: deque[float] = deque(losses, maxlen=self._WINDOW)

    def update(self, loss: float) -> float | None:
        """Nats above the median where it is a spike, else None; remembers the loss."""
        height = None
        if len(self._losses) == self._WINDOW and loss - min(self._losses) > 0.1:
            median = statistics.median(self._losses)
            spread = statistics.median(abs(logged - median) for logged in self._losses)
            if loss - median > max(0.1, 6 * 1.4826 * spread):
                height = loss - median
        self._losses.append(loss)
        return height


def check_same_run(start: Path, meta: Mapping[str, Any], settings: TrainConfig, corpus: Corpus) -> None:
    """Checks that a run may go on from one of its own checkpoints.

    Raises:
        ZeroscaleError: other settings, another corpus or another tokenizer; says which, and what may change.
    """
    changed = differences(meta.get("settings", {}), as_dict(settings))
    if changed:
        raise ZeroscaleError(
            f"{start} was trained with other settings: {'; '.join(changed)}. Put them back, or train the changed run "
            f"as a run of its own, in another directory. A run may change only {', '.join(NOT_HASHED)}"
        )
    check_same_data(start, meta, corpus)


def check_same_data(start: Path, meta: Mapping[str, Any], corpus: Corpus) -> None:
    """Checks that the corpus and the tokenizer are those that a checkpoint was trained with."""
    for what, fingerprint in (("tokenizer", corpus.tokenizer.fingerprint), ("corpus", corpus.fingerprint)):
        if meta.get(what) != fingerprint:
            raise ZeroscaleError(
                f"{start} was trained with another {what} "
                f"(fingerprint {str(meta.get(what))[:12]}, now {fingerprint[:12]}): the {what} has changed "
                f"since. Restore it, or remove {layout.run_of(start)} to start anew"
            )


class Stopped(SystemExit):
    """The run was asked to stop; the checkpoint of its last step is on the disk."""

    def __init__(self, step: int) -> None:
        super().__init__(0)
        self.step = step
