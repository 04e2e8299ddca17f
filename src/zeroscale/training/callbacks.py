"""What happens around an optimizer step: the journal, checkpoints, scores, and leaving in good order on SIGTERM."""

import math
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from zeroscale.config.train import TrainConfig
from zeroscale.core.jsonl import JsonlWriter
from zeroscale.runs import checkpoint, status
from zeroscale.training import train_state
from zeroscale.training.async_writer import AsyncCheckpointWriter
from zeroscale.training.guards import LossSpikeDetector, Stopped
from zeroscale.training.module import Callback, LanguageModel
from zeroscale.training.progress_bar import ProgressLine
from zeroscale.training.throughput import Stopwatch, mfu, peak_memory_bytes
from zeroscale.training.trackers.tracker import Tracker


class _AfterStep(Callback):
    """Acts after optimizer steps."""

    def __init__(self, settings: TrainConfig, stopwatch: Stopwatch) -> None:
        self.settings = settings
        self.stopwatch = stopwatch
        self._last = settings.steps

    def due(self, step: int, every: int | None) -> bool:
        """Every so many steps, and after the last."""
        return step == self._last or (every is not None and step % every == 0)


class MetricsLogger(_AfterStep):
    """Measures each step, validates when due, and writes one line to metrics.jsonl, the tracker and the terminal."""

    def __init__(
        self,
        settings: TrainConfig,
        stopwatch: Stopwatch,
        *,
        recorder: JsonlWriter | None,
        tracker: Tracker,
        progress: ProgressLine,
        spikes: LossSpikeDetector,
        validate: Callable[[], dict[str, float]],
        device_name: str | None,
    ) -> None:
        super().__init__(settings, stopwatch)
        self._recorder = recorder
        self._tracker = tracker
        self._progress = progress
        self._spikes = spikes
        self._validate = validate
        self._device_name = device_name
        self._flops_per_token = settings.flops_per_token
        self._val_loss: float | None = None
        self._validated_at = 0

    def val_loss_at(self, step: int) -> float | None:
        """The validation loss of this very step, if it was measured and is a number."""
        loss = self._val_loss if self._validated_at == step else None
        return loss if loss is not None and math.isfinite(loss) else None

    def begin(self, trainer: pl.Trainer, lit: LanguageModel) -> None:
        self.stopwatch.begin()

    def before_step(self) -> None:
        self.stopwatch.mark("data")

    def after_step(self, trainer: pl.Trainer, lit: LanguageModel, step: int) -> None:
        run = self.settings.trainer
        self.stopwatch.mark("compute")
        self.stopwatch.count(run.batch_tokens)
        log, validate = self.due(step, run.log_every), self.due(step, run.val_every)
        if not (log or validate):
            return
        loss = lit.mean_loss()
        rate = self.stopwatch.lap()
        measured: dict[str, float] = {}
        if validate:
            self.stopwatch.mark("log")
            measured = self._validate()
            self._val_loss, self._validated_at = measured["val/loss"], step
            self.stopwatch.mark("validate")
        if trainer.is_global_zero:
            self._write(step, loss, rate, lit, measured)
        self.stopwatch.mark("log")

    def _write(self, step: int, loss: float, rate: float, lit: LanguageModel, measured: dict[str, float]) -> None:
        run = self.settings.trainer
        tokens = step * run.batch_tokens
        row = {
            "step": step,
            "tokens": tokens,
            "flops": tokens * self._flops_per_token,
            "seconds": round(self.stopwatch.seconds, 4),
            "train/loss": loss,
            "lr": lit.progress.lr,
            "grad_norm": lit.progress.grad_norm,
            "tokens_per_s": round(rate, 1),
            "mfu": mfu(rate, self._flops_per_token, self._device_name, run.devices, run.precision),
            **measured,
        }
        spike = self._spikes.update(loss)
        if spike is not None:
            row["spike"] = spike
            self._progress.say(f"step {step}: loss {loss:.3f} is a spike: {spike:.2f} above the median of 64 before")
        if measured:
            # Where the time went and what memory it took: not in every line, they change slowly.
            row |= {f"seconds/{phase}": round(seconds, 3) for phase, seconds in self.stopwatch.phases.items()}
            row["peak_memory_bytes"] = peak_memory_bytes(self._device_name is not None)
        assert self._recorder is not None
        self._recorder.add(row)
        self._tracker.log(row)
        self._progress.update(step, loss, rate, run.batch_tokens / rate if rate else 0.0, self._val_loss)


class Checkpoints(_AfterStep):
    """Copies the state when due and has it written beside training, after the metrics that it stands on."""

    def __init__(
        self,
        settings: TrainConfig,
        stopwatch: Stopwatch,
        *,
        cell: Path,
        recorder: JsonlWriter | None,
        journal: MetricsLogger,
        writer: AsyncCheckpointWriter,
        describe: dict[str, Any],
    ) -> None:
        super().__init__(settings, stopwatch)
        self.cell = cell
        self._recorder = recorder
        self._journal = journal
        self._writer = writer
        self._describe = describe
        self._snapshots: train_state.StateSnapshot | None = None
        run = settings.trainer
        self._policy = checkpoint.RetentionPolicy(run.keep_checkpoints, run.keep_every_tokens, run.keep_best)
        self._saved: int | None = None

    def after_step(self, trainer: pl.Trainer, lit: LanguageModel, step: int) -> None:
        self._writer.check()
        run = self.settings.trainer
        every = run.keep_every_tokens
        if self.due(step, run.checkpoint_every) or (every and step * run.batch_tokens % every == 0):
            self.save(trainer, lit, step)

    def save(self, trainer: pl.Trainer, lit: LanguageModel, step: int, on_request: bool = False) -> None:
        """Begins the checkpoint of this step, unless it was begun already; training goes on meanwhile.

        One `on_request`, because the run was asked to stop, is noted as such (`checkpoint.Policy`).
        """
        if self._saved == step:
            return
        if self._snapshots is None:
            self._snapshots = train_state.StateSnapshot(lit.model, lit.optimizer_list, keep=trainer.is_global_zero)
        self._writer.wait()
        weights, state = self._snapshots.capture()
        self._saved = step
        if trainer.is_global_zero:
            meta = {
                **self._describe,
                "step": step,
                "tokens": step * self.settings.trainer.batch_tokens,
                "val/loss": self._journal.val_loss_at(step),
                "on_request": on_request,
            }
            self._writer.submit(partial(self._write, step, weights, state, meta))
        self.stopwatch.mark("checkpoint")

    def finish(self) -> None:
        """Returns when the last checkpoint begun is on the disk."""
        self._writer.wait()
        self.stopwatch.mark("checkpoint")

    def _write(self, step: int, weights: train_state.Names, state: train_state.Names, meta: dict[str, Any]) -> None:
        if self._recorder:
            self._recorder.sync()
        train_state.write(checkpoint.path_of(self.cell, step), weights, state, meta)
        checkpoint.prune(self.cell, self._policy)
        status.write(self.cell, "running", step=step)


class Evaluation(_AfterStep):
    """Scores the cards at chosen steps, through the function that `zeroscale eval` calls."""

    def __init__(
        self, settings: TrainConfig, stopwatch: Stopwatch, checkpoints: Checkpoints, score: Callable[[Path], None]
    ) -> None:
        super().__init__(settings, stopwatch)
        self._checkpoints = checkpoints
        self._score = score

    def after_step(self, trainer: pl.Trainer, lit: LanguageModel, step: int) -> None:
        every = self.settings.trainer.score_every
        # The last step is scored after training, like any checkpoint.
        if every is None or step % every or step == self.settings.steps:
            return
        self._checkpoints.save(trainer, lit, step)
        self._checkpoints.finish()
        if trainer.is_global_zero:
            self._score(checkpoint.path_of(self._checkpoints.cell, step))
        self.stopwatch.mark("score")


class StopOnSignal(_AfterStep):
    """On SIGTERM, or after the step it was told: finish the optimizer step, write its checkpoint, leave."""

    def __init__(
        self, settings: TrainConfig, stopwatch: Stopwatch, checkpoints: Checkpoints, stop_after: int | None = None
    ) -> None:
        super().__init__(settings, stopwatch)
        self._checkpoints = checkpoints
        self._stop_after = stop_after
        self._asked = False

    def begin(self, trainer: pl.Trainer, lit: LanguageModel) -> None:
        # Lightning's own handler would leave in the middle of an accumulated step; ours takes its place.
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, *_: Any) -> None:
        self._asked = True

    def after_step(self, trainer: pl.Trainer, lit: LanguageModel, step: int) -> None:
        asked = self._asked or (self._stop_after is not None and step >= self._stop_after)
        if trainer.world_size > 1:
            # Ranks hear of the signal at different steps; they must leave after the same one.
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if asked and step < self.settings.steps:
            self._checkpoints.save(trainer, lit, step, on_request=True)
            self._checkpoints.finish()
            raise Stopped(step)
