"""What follows an optimizer step: validation, metrics, checkpoints, scores, and stopping on SIGTERM.

`train.TrainingLoop` calls each of these after every step; each decides by the step's number whether it is due.
"""

import math
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from zeroscale.config.train import TrainConfig
from zeroscale.core.jsonl import JsonlWriter
from zeroscale.runs import checkpoint, layout, status
from zeroscale.training import train_state
from zeroscale.training.async_writer import AsyncCheckpointWriter
from zeroscale.training.guards import LossSpikeDetector, Stopped
from zeroscale.training.module import LanguageModel
from zeroscale.training.progress_events import ProgressReporter
from zeroscale.training.throughput import Stopwatch, mfu, peak_memory_bytes
from zeroscale.training.trackers.tracker import Tracker


@dataclass(frozen=True)
class StepResult:
    """One optimizer step.

    Attributes:
        step: optimizer steps done, this one included.
        loss: nats per token, the mean over this rank's tokens.
        grad_norm: of the whole gradient, before clipping.
        lr: the learning rate of this step.
        validation: metrics by name (`val/loss`, …); empty where none was due.
    """

    step: int
    loss: float
    grad_norm: float
    lr: float
    validation: dict[str, float]


def is_due(step: int, every: int | None, last: int) -> bool:
    """Every so many steps, and after the last."""
    return step == last or (every is not None and step % every == 0)


class Validation:
    """Measures the loss on held-out text when due."""

    def __init__(self, settings: TrainConfig, stopwatch: Stopwatch, measure: Callable[[], dict[str, float]]) -> None:
        self._settings = settings
        self._stopwatch = stopwatch
        self._measure = measure

    def __call__(self, step: int) -> dict[str, float]:
        if not is_due(step, self._settings.trainer.val_every, self._settings.steps):
            return {}
        metrics = self._measure()
        self._stopwatch.mark("validate")
        return metrics


class MetricsLogger:
    """Writes one line per logged step to metrics.jsonl, the tracker and the terminal."""

    def __init__(
        self,
        settings: TrainConfig,
        stopwatch: Stopwatch,
        *,
        writer: JsonlWriter | None,
        tracker: Tracker,
        progress: ProgressReporter,
        spikes: LossSpikeDetector,
        device_name: str | None,
    ) -> None:
        """`writer` is None on all ranks but the first; `device_name` is the GPU's, None on a CPU."""
        self._settings = settings
        self._stopwatch = stopwatch
        self._writer = writer
        self._tracker = tracker
        self._progress = progress
        self._spikes = spikes
        self._device_name = device_name
        self._flops_per_token = settings.flops_per_token
        self._val_loss: float | None = None

    def __call__(self, module: LanguageModel, result: StepResult) -> None:
        trainer_config = self._settings.trainer
        self._stopwatch.count(trainer_config.batch_tokens)
        if not (result.validation or is_due(result.step, trainer_config.log_every, self._settings.steps)):
            return
        loss = module.mean_over_ranks(result.loss)
        rate = self._stopwatch.lap()
        if self._writer is not None:
            row = self._row(loss, rate, result)
            self._writer.add(row)
            self._tracker.log(row)
            self._val_loss = result.validation.get("val/loss", self._val_loss)
            seconds_per_step = trainer_config.batch_tokens / rate if rate else 0.0
            self._progress.update(result.step, loss, rate, seconds_per_step, self._val_loss)
        self._stopwatch.mark("log")

    def _row(self, loss: float, rate: float, result: StepResult) -> dict[str, float | None]:
        trainer_config = self._settings.trainer
        tokens = result.step * trainer_config.batch_tokens
        row = {
            "step": result.step,
            "tokens": tokens,
            "flops": tokens * self._flops_per_token,
            "seconds": round(self._stopwatch.seconds, 4),
            "train/loss": loss,
            "lr": result.lr,
            "grad_norm": result.grad_norm,
            "tokens_per_s": round(rate, 1),
            "mfu": mfu(
                rate, self._flops_per_token, self._device_name, trainer_config.devices, trainer_config.precision
            ),
            **result.validation,
        }
        spike = self._spikes.update(loss)
        if spike is not None:
            row["spike"] = spike
            self._progress.say(
                f"step {result.step}: loss {loss:.3f} is a spike: {spike:.2f} above the median of 64 before"
            )
        if result.validation:
            # Where the time went and what memory it took: not in every line, they change slowly.
            row |= {f"seconds/{phase}": round(seconds, 3) for phase, seconds in self._stopwatch.phases.items()}
            row["peak_memory_bytes"] = peak_memory_bytes(self._device_name is not None)
        return row


class Checkpoints:
    """Copies the state when due and has it written beside training, after the metrics up to its step."""

    def __init__(
        self,
        settings: TrainConfig,
        stopwatch: Stopwatch,
        *,
        directory: Path,
        metrics: JsonlWriter | None,
        writer: AsyncCheckpointWriter,
        meta: train_state.Meta,
    ) -> None:
        """`meta` is what meta.json holds besides the step; `metrics` is None on all ranks but the first."""
        self.directory = directory
        self._settings = settings
        self._stopwatch = stopwatch
        self._metrics = metrics
        self._writer = writer
        self._meta = meta
        self._snapshot: train_state.StateSnapshot | None = None
        options = settings.trainer
        self._policy = checkpoint.RetentionPolicy(
            options.keep_checkpoints, options.keep_every_tokens, options.keep_best
        )
        self._saved_step: int | None = None

    def __call__(self, module: LanguageModel, result: StepResult) -> None:
        self._writer.check()
        if self.is_due(result.step):
            self.save(module, result)

    def is_due(self, step: int) -> bool:
        options = self._settings.trainer
        tokens = options.keep_every_tokens
        if tokens and step * options.batch_tokens % tokens == 0:
            return True
        return is_due(step, options.checkpoint_every, self._settings.steps)

    def save(self, module: LanguageModel, result: StepResult, on_request: bool = False) -> None:
        """Begins the checkpoint of this step, unless it was begun already; training goes on meanwhile.

        One `on_request`, because the run was asked to stop, is marked as such (`checkpoint.RetentionPolicy`).
        """
        if self._saved_step == result.step:
            return
        is_rank_zero = module.trainer.is_global_zero
        if self._snapshot is None:
            self._snapshot = train_state.StateSnapshot(module.model, module.optimizer_list, keep=is_rank_zero)
        self._writer.wait()
        weights, state = self._snapshot.capture()
        self._saved_step = result.step
        if is_rank_zero:
            val_loss = result.validation.get("val/loss")
            meta = {
                **self._meta,
                "step": result.step,
                "tokens": result.step * self._settings.trainer.batch_tokens,
                "val/loss": val_loss if val_loss is not None and math.isfinite(val_loss) else None,
                "on_request": on_request,
            }
            self._writer.submit(partial(self._write, result.step, weights, state, meta))
        self._stopwatch.mark("checkpoint")

    def finish(self) -> None:
        """Returns when the last checkpoint begun is on the disk."""
        self._writer.wait()
        self._stopwatch.mark("checkpoint")

    def _write(
        self, step: int, weights: train_state.NamedTensors, state: train_state.NamedTensors, meta: train_state.Meta
    ) -> None:
        if self._metrics:
            self._metrics.sync()
        train_state.write(layout.checkpoint_directory(self.directory, step), weights, state, meta)
        checkpoint.prune(self.directory, self._policy)
        status.write(self.directory, "running", step=step)


class Evaluation:
    """Scores the benchmarks at chosen steps, through the function that `zeroscale eval` calls."""

    def __init__(
        self, settings: TrainConfig, stopwatch: Stopwatch, checkpoints: Checkpoints, score: Callable[[Path], object]
    ) -> None:
        self._settings = settings
        self._stopwatch = stopwatch
        self._checkpoints = checkpoints
        self._score = score

    def __call__(self, module: LanguageModel, result: StepResult) -> None:
        every = self._settings.trainer.score_every
        # The last step is scored after training, like any checkpoint.
        if every is None or result.step % every or result.step == self._settings.steps:
            return
        self._checkpoints.save(module, result)
        self._checkpoints.finish()
        if module.trainer.is_global_zero:
            self._score(layout.checkpoint_directory(self._checkpoints.directory, result.step))
        self._stopwatch.mark("score")


class StopOnSignal:
    """On SIGTERM, or after step `stop_after`: finishes the optimizer step, writes its checkpoint, leaves."""

    def __init__(self, settings: TrainConfig, checkpoints: Checkpoints, stop_after: int | None = None) -> None:
        self._settings = settings
        self._checkpoints = checkpoints
        self._stop_after = stop_after
        self._requested = False

    def install(self) -> None:
        """Takes the place of Lightning's own handler, which would leave in the middle of an accumulated step."""
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._requested = True

    def __call__(self, module: LanguageModel, result: StepResult) -> None:
        stop = self._requested or (self._stop_after is not None and result.step >= self._stop_after)
        if module.trainer.world_size > 1:
            # Ranks receive the signal at different steps; they must leave after the same one.
            stop = module.trainer.strategy.reduce_boolean_decision(stop, all=False)
        if stop and result.step < self._settings.steps:
            self._checkpoints.save(module, result, on_request=True)
            self._checkpoints.finish()
            raise Stopped(result.step)
