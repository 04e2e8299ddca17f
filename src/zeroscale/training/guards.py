"""What stops a run before harm is done, or is said about it: non-finite numbers, loss spikes, another run's state."""

import math
import statistics
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zeroscale.config.diff import differences
from zeroscale.config.hashing import NOT_HASHED, as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import checkpoint, layout


class NonFiniteLoss(ZeroscaleError):
    """The loss or the gradient of a step is no number; the weights are those of the step before."""

    def __init__(self, step: int, loss: float, norm: float) -> None:
        super().__init__(f"step {step}: loss {loss:.4g}, gradient norm {norm:.4g}")
        self.step = step


def check_finite(step: int, loss: float, norm: float) -> None:
    """Called between the backward pass of a step (counted from 1) and its optimizer step.

    Raises:
        NotFinite: before any weight has been changed by this step.
    """
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise NonFiniteLoss(step, loss, norm)


def divergence_error(error: NonFiniteLoss, cell: Path) -> ZeroscaleError:
    """What the user is told: the step and its batch, the last good checkpoint, what may help."""
    kept = checkpoint.all_of(cell)
    good = f"the last good checkpoint is {kept[-1]}" if kept else "no checkpoint had been written yet"
    return ZeroscaleError(
        f"training has diverged at {error}. The step was not taken; {good}. Its batch is that of step {error.step} "
        "(`zeroscale batch` shows it). Lower optimizer.lr, lengthen schedule.warmup_tokens, clip with "
        "optimizer.grad_clip, or use trainer.precision=fp32."
    )


class LossSpikeDetector:
    """Says when a logged loss stands out from those before it.

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
            spread = statistics.median(abs(one - median) for one in self._losses)
            if loss - median > max(0.1, 6 * 1.4826 * spread):
                height = loss - median
        self._losses.append(loss)
        return height


def check_same_run(start: Path, meta: dict[str, Any], wanted: TrainConfig, corpus: Any) -> None:
    """Whether a run may go on from one of its own checkpoints.

    Raises:
        ZeroscaleError: other settings, another corpus or another tokenizer; says which, and what may change.
    """
    changed = differences(meta.get("settings", {}), as_dict(wanted))
    if changed:
        raise ZeroscaleError(
            f"{start} was trained with other settings: {'; '.join(changed)}. Put them back, or train the changed run "
            f"as a cell of its own, in another directory. A run may change only {', '.join(NOT_HASHED)}"
        )
    check_same_data(start, meta, corpus)


def check_same_data(start: Path, meta: dict[str, Any], corpus: Any) -> None:
    """Whether the corpus and the tokenizer are those a checkpoint was trained with."""
    for what, found in (("tokenizer", corpus.tokenizer.fingerprint), ("corpus", corpus.fingerprint)):
        if meta.get(what) != found:
            raise ZeroscaleError(
                f"{start} was trained with another {what} (fingerprint {str(meta.get(what))[:12]}, now {found[:12]}): "
                f"the {what} has changed since. Restore it, or remove {layout.run_of(start)} to start anew"
            )


class Stopped(SystemExit):
    """SIGTERM came; the checkpoint of the last whole step is on the disk."""

    def __init__(self, step: int) -> None:
        super().__init__(0)
        self.step = step
