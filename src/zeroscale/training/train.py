"""Train one run: build, restore, then for each step batch, forward, backward, clip, step, validate, log, save.

From the command line to the step are four hops:

1. `cli/commands/train.py`, `train`: the settings, checked against this machine;
2. `launch/launcher.py`, `run`: a child process for the run, by torchrun one for each device;
3. `launch/worker.py`, `main`: the run's lock and its corpus; afterwards scores and status;
4. `training/train.py`, `train`: what is built and restored, and `TrainingLoop.run`, the steps.

Between `train` and `TrainingLoop.run` stands Lightning's Trainer, which places the model on the devices
(`module.LanguageModel`). What each step calls is in `module` and, after the step, in `callbacks`.
"""

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import torch

from zeroscale.config import hashing
from zeroscale.config.train import TrainConfig
from zeroscale.core import jsonl
from zeroscale.core.files import write_json
from zeroscale.core.jsonl import Row
from zeroscale.core.machine import read_number
from zeroscale.data.batch_layout import layout_of
from zeroscale.data.corpus import Corpus
from zeroscale.data.corpus_notes import reductions
from zeroscale.data.loader import MicroBatch
from zeroscale.eval.held_out import held_out_text
from zeroscale.runs import checkpoint, layout, manifest
from zeroscale.runs.run import Run
from zeroscale.training import build, callbacks, guards, init_from, throughput, train_state
from zeroscale.training.async_writer import AsyncCheckpointWriter
from zeroscale.training.callbacks import StepResult
from zeroscale.training.module import LanguageModel
from zeroscale.training.progress_events import ProgressReporter
from zeroscale.training.throughput import Stopwatch
from zeroscale.training.trackers.tracker import Tracker

AfterStep = Callable[[LanguageModel, StepResult], None]


def train(
    directory: Path,
    settings: TrainConfig,
    corpus: Corpus,
    progress: ProgressReporter,
    tracker: Tracker,
    score: Callable[[TrainConfig, Path], object],
) -> None:
    """Trains a run from its last whole checkpoint to its last step; the weights are left in its directory.

    Args:
        score: measures a checkpoint on the run's benchmarks.

    Raises:
        Stopped: SIGTERM came; the last step is saved.
        ZeroscaleError: the loss has diverged, or the checkpoint belongs to other settings or another corpus.
    """
    is_rank_zero = read_number("RANK", 0) == 0
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None

    # Restore: where the run goes on, and its record up to there. `TrainingLoop.begin` loads the tensors.
    start, rows = find_start(directory, settings, corpus, progress.say, is_rank_zero)
    metrics = None
    if is_rank_zero:
        _write_manifest(directory, settings, corpus, gpu, start)
        metrics = jsonl.JsonlWriter(directory / layout.METRICS)

    # Build.
    model = build.model(settings, corpus)
    held_out = held_out_text(settings, corpus)
    stopwatch = Stopwatch((rows[-1].get("seconds") or 0.0) if rows else 0.0)
    writer = AsyncCheckpointWriter()
    log = callbacks.MetricsLogger(
        settings,
        stopwatch,
        writer=metrics,
        tracker=tracker,
        progress=progress,
        spikes=guards.LossSpikeDetector(row["train/loss"] for row in rows if row.get("train/loss") is not None),
        device_name=gpu,
    )
    save = callbacks.Checkpoints(
        settings,
        stopwatch,
        directory=directory,
        metrics=metrics,
        writer=writer,
        meta={
            "settings": hashing.as_dict(settings),
            "settings_hash": settings.hash(),
            "tokenizer": corpus.tokenizer.fingerprint,
            "corpus": corpus.fingerprint,
        },
    )
    # A quick check of a run's first steps (`reproduce steps=N`): the schedule is the whole run's.
    stop_after = read_number("ZEROSCALE_STOP_AFTER", 0) or None
    loop = TrainingLoop(
        stopwatch,
        start,
        validate=callbacks.Validation(settings, stopwatch, lambda: held_out.measure(model)),
        log=log,
        save=save,
        score=callbacks.Evaluation(settings, stopwatch, save, lambda path: score(settings, path)),
        stop=callbacks.StopOnSignal(settings, save, stop_after),
    )
    module = build.module(settings, model, loop, start)
    trainer = build.trainer(settings, directory)
    batches = build.batches(settings, corpus, trainer.global_rank, module.step)

    # Train.
    previous_handler = signal.getsignal(signal.SIGTERM)
    try:
        trainer.fit(module, batches)
        save.finish()
    except guards.NonFiniteLoss as error:
        writer.close()
        raise guards.divergence_error(error, directory) from error
    finally:
        signal.signal(signal.SIGTERM, previous_handler)
        writer.close()
        if metrics:
            metrics.close()
    if is_rank_zero:
        _log_summary(directory, settings, stopwatch, gpu, progress)


def _no_validation(step: int) -> dict[str, float]:
    return {}


def _nothing(module: LanguageModel, result: StepResult) -> None:
    pass


@dataclass
class TrainingLoop:
    """The steps of a run. `log`, `save`, `score` and `stop` follow each step; whether they are due is theirs to say."""

    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    start: Path | None = None
    """The checkpoint that the run goes on from."""
    validate: Callable[[int], dict[str, float]] = _no_validation
    log: AfterStep = _nothing
    save: AfterStep = _nothing
    score: AfterStep = _nothing
    stop: callbacks.StopOnSignal | None = None

    def begin(self, module: LanguageModel) -> None:
        """Restores weights and optimizer state, once the model is on its devices and cut into its shards."""
        if self.start is not None:
            train_state.restore(self.start, module.model, module.optimizer_list)
        if self.stop is not None:
            self.stop.install()
        self.stopwatch.begin()

    def run(self, module: LanguageModel, batches: Iterable[list[MicroBatch]]) -> None:
        """One optimizer step for each batch, given as this rank's micro-batches."""
        for batch in batches:
            self.stopwatch.mark("data")
            losses = []
            for index, micro_batch in enumerate(module.to_device(batch)):
                loss = module.loss(micro_batch, index, len(batch))
                module.accumulate_gradients(loss, last=index == len(batch) - 1)
                losses.append(loss.detach())
            mean_loss = reduce(torch.add, losses).item()
            grad_norm = module.clip_gradients_by_norm()
            guards.check_finite(module.step + 1, mean_loss, grad_norm)
            lr = module.update_weights()
            self.stopwatch.mark("compute")

            validation = self.validate(module.step)
            result = StepResult(module.step, mean_loss, grad_norm, lr, validation)
            self.log(module, result)
            self.save(module, result)
            self.score(module, result)
            if self.stop is not None:
                self.stop(module, result)


def find_start(
    directory: Path, settings: TrainConfig, corpus: Corpus, say: Callable[[str], None], is_rank_zero: bool
) -> tuple[Path | None, list[Row]]:
    """The checkpoint to go on from, the run's own or its parent's, and the rows of metrics.jsonl up to its step.

    Rank 0 also removes what a killed process left behind: rows after that step, halves of checkpoints. Other ranks get
    no rows.
    """
    start = checkpoint.latest(directory, say)
    source = directory
    if start is not None:
        guards.check_same_run(start, checkpoint.read_meta(start), settings, corpus)
    elif settings.init_from.run is not None:
        source = init_from.directory(settings)
        start = init_from.start(settings, corpus, say)
    if start is not None:
        parent = "" if source == directory else f" of {source}"
        say(f"{settings.cell}: goes on from step {checkpoint.step_of(start)}{parent}")
    if not is_rank_zero:
        return start, []
    checkpoint.remove_partial(directory)
    step = checkpoint.step_of(start) if start else 0
    if source == directory:
        return start, jsonl.truncate_after(directory / layout.METRICS, step)
    # What a branch shares with its parent is part of its own record: each step once, from the first on.
    rows = [row for row in jsonl.read(source / layout.METRICS, "step") if row["step"] <= step]
    jsonl.write(directory / layout.METRICS, rows)
    return start, rows


def _write_manifest(
    directory: Path, settings: TrainConfig, corpus: Corpus, gpu: str | None, start: Path | None
) -> None:
    """Records what the run is made with, before its first step here."""
    micro_batch_tokens = layout_of(settings).micro_rows * settings.context
    facts, source = manifest.make(
        settings, gpu=gpu, threads=torch.get_num_threads(), micro_batch_tokens=micro_batch_tokens, corpus=corpus
    )
    if smaller := reductions(settings, corpus.index):
        facts["reductions"] = smaller
    if settings.init_from.run is not None:
        facts["init_from"] = {**settings.parent()}
    resumed = start is not None and start.is_relative_to(directory)
    manifest.write(directory, facts, source, checkpoint.step_of(start) if start and resumed else 0)
    corpus.tokenizer.save(directory / layout.TOKENIZER)


def _log_summary(
    directory: Path, settings: TrainConfig, stopwatch: Stopwatch, gpu: str | None, progress: ProgressReporter
) -> None:
    """Adds throughput, MFU, time by phase and peak memory to the manifest, and prints them."""
    options, rate = settings.trainer, stopwatch.rate()
    mfu = throughput.mfu(rate, settings.flops_per_token, gpu, options.devices, options.precision)
    peak_memory = throughput.peak_memory_bytes(gpu is not None)
    facts = dict(Run(directory).manifest) | {
        "train_seconds": round(stopwatch.seconds, 3),
        "tokens_per_s": round(rate, 1),
        "mfu": mfu,
        "seconds": {phase: round(seconds, 3) for phase, seconds in stopwatch.phases.items()},
        "peak_memory_bytes": peak_memory,
    }
    write_json(directory / layout.MANIFEST, facts)
    progress.detail(f"{settings.cell}: {throughput.format_throughput(stopwatch, mfu, peak_memory)}")
