"""What happens around an optimizer step: the journal, checkpoints, scores, and leaving in good order on SIGTERM."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from zeroscale import status
from zeroscale.settings import TrainSettings
from zeroscale.training import checkpoint
from zeroscale.training.lit import LanguageModel
from zeroscale.training.progress import ProgressLine
from zeroscale.training.record import Recorder
from zeroscale.training.throughput import Stopwatch, mfu
from zeroscale.training.tracker import Tracker


class _AfterStep(pl.Callback):
    """A callback that acts after whole optimizer steps, not after each micro-batch."""

    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings

    def due(self, step: int, every: int | None) -> bool:
        """Every so many steps, and after the last."""
        return step == self.settings.steps or (every is not None and step % every == 0)

    def on_train_batch_end(self, trainer: pl.Trainer, lit: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self.after_step(trainer, lit, trainer.global_step)

    def after_step(self, trainer: pl.Trainer, lit: LanguageModel, step: int) -> None:
        """`step` optimizer steps are done."""
        raise NotImplementedError


class Journal(_AfterStep):
    """Measures each step, validates when due, and writes one line to metrics.jsonl, the tracker and the terminal."""

    def __init__(
        self,
        settings: TrainSettings,
        *,
        recorder: Recorder,
        tracker: Tracker,
        progress: ProgressLine,
        stopwatch: Stopwatch,
        validate: Callable[[], dict[str, float]],
        device_name: str | None,
    ) -> None:
        super().__init__(settings)
        self._recorder = recorder
        self._tracker = tracker
        self._progress = progress
        self._stopwatch = stopwatch
        self._validate = validate
        self._device_name = device_name
        self._val_loss: float | None = None

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        self._stopwatch.start()

    def after_step(self, trainer: pl.Trainer, lit: LanguageModel, step: int) -> None:
        run = self.settings.trainer
        log = self.due(step, run.log_every)
        validate = self.due(step, run.val_every)
        loss = trainer.strategy.reduce(lit.step_loss, reduce_op="mean").item() if log or validate else 0.0
        self._stopwatch.stop(run.batch_tokens)
        if not (log or validate):
            return
        rate = self._stopwatch.lap()
        tokens = step * run.batch_tokens
        flops_per_token = self.settings.flops_per_token
        row = {
            "step": step,
            "tokens": tokens,
            "flops": tokens * flops_per_token,
            "seconds": round(self._stopwatch.seconds, 4),
            "train/loss": loss,
            "lr": lit.lr,
            "grad_norm": float(lit.grad_norm),
            "tokens_per_s": round(rate, 1),
            "mfu": mfu(rate, flops_per_token, self._device_name, run.devices, run.precision),
        }
        if validate:
            row |= self._validate()
            self._val_loss = row["val/loss"]
        if trainer.is_global_zero:
            self._recorder.add(row)
            self._tracker.log(row)
            self._progress.update(step, loss, rate, run.batch_tokens / rate if rate else 0.0, self._val_loss)


class Checkpoints(_AfterStep):
    """Writes a checkpoint when due, after the metrics it stands on have reached the disk."""

    def __init__(self, settings: TrainSettings, cell: Path, recorder: Recorder | None) -> None:
        super().__init__(settings)
        self._cell = cell
        self._recorder = recorder

    def after_step(self, trainer: pl.Trainer, lit: LanguageModel, step: int) -> None:
        if self.due(step, self.settings.trainer.checkpoint_every):
            self.save(trainer, step)

    def save(self, trainer: pl.Trainer, step: int) -> None:
        """Writes the checkpoint of this step and drops the oldest beyond those that are kept."""
        if self._recorder:
            self._recorder.sync()
        trainer.save_checkpoint(checkpoint.path_of(self._cell, step))
        if trainer.is_global_zero:
            checkpoint.prune(self._cell, self.settings.trainer.keep_checkpoints)
            status.write(self._cell, "running", step=step)


class Scores(_AfterStep):
    """Scores the cards at chosen steps, through the function that `zeroscale eval` calls."""

    def __init__(self, settings: TrainSettings, checkpoints: Checkpoints, score: Callable[[Path], None]) -> None:
        super().__init__(settings)
        self._checkpoints = checkpoints
        self._score = score

    def after_step(self, trainer: pl.Trainer, lit: LanguageModel, step: int) -> None:
        every = self.settings.trainer.score_every
        # The last step is scored after training, like any checkpoint.
        if every is None or step % every or step == self.settings.steps:
            return
        path = checkpoint.path_of(self._checkpoints._cell, step)
        if not path.exists():
            self._checkpoints.save(trainer, step)
        if trainer.is_global_zero:
            self._score(path)


class Stopped(SystemExit):
    """SIGTERM came; the checkpoint of the last whole step is on the disk."""

    def __init__(self, step: int) -> None:
        super().__init__(0)
        self.step = step


class StopOnSignal(_AfterStep):
    """On SIGTERM: finish the optimizer step, write its checkpoint, leave."""

    def __init__(self, settings: TrainSettings, checkpoints: Checkpoints) -> None:
        super().__init__(settings)
        self._checkpoints = checkpoints
        self._asked = False

    def on_train_start(self, *_: Any) -> None:
        # Lightning's own handler would leave in the middle of an accumulated step; ours takes its place.
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: Any) -> None:
        self._asked = True

    def after_step(self, trainer: pl.Trainer, lit: LanguageModel, step: int) -> None:
        asked = self._asked
        if trainer.world_size > 1:
            # Ranks hear of the signal at different steps; they must leave after the same one.
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if asked and step < self.settings.steps:
            if not checkpoint.path_of(self._checkpoints._cell, step).exists():
                self._checkpoints.save(trainer, step)
            raise Stopped(step)
