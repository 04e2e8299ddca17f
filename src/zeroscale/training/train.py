"""Training one run: restore, train, save, score on the way."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zeroscale.config import hashing
from zeroscale.config.train import TrainConfig
from zeroscale.core.files import write_json


def train(
    cell: Path,
    wanted: TrainConfig,
    tokens: Any,
    progress: Any,
    view: Any,
    score: Callable[[TrainConfig, Path], Any],
) -> None:
    """Trains a run from its last whole checkpoint on. `score` measures a checkpoint on the run's benchmarks."""
    import torch

    from zeroscale.core import jsonl
    from zeroscale.eval import held_out
    from zeroscale.training import build, callbacks, guards
    from zeroscale.training.async_writer import AsyncCheckpointWriter
    from zeroscale.training.throughput import Stopwatch

    rank_zero = int(os.environ.get("RANK", "0")) == 0
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    start, kept = _start(cell, wanted, tokens, progress, rank_zero)
    recorder = None
    if rank_zero:
        _describe(cell, wanted, tokens, gpu, torch.get_num_threads(), start)
        recorder = jsonl.JsonlWriter(cell / jsonl.METRICS)
    gpt = build.model(wanted, tokens)
    text = held_out.held_out_text(wanted, tokens)
    stopwatch = Stopwatch(kept[-1]["seconds"] if kept else 0.0)
    writer = AsyncCheckpointWriter()
    journal = callbacks.MetricsLogger(
        wanted,
        stopwatch,
        recorder=recorder,
        tracker=view,
        progress=progress,
        spikes=guards.LossSpikeDetector(row["train/loss"] for row in kept),
        validate=lambda: text.measure(gpt),
        device_name=gpu,
    )
    saves = callbacks.Checkpoints(
        wanted,
        stopwatch,
        cell=cell,
        recorder=recorder,
        journal=journal,
        writer=writer,
        describe={
            "settings": hashing.as_dict(wanted),
            "settings_hash": wanted.hash(),
            "tokenizer": tokens.tokenizer.fingerprint,
            "corpus": tokens.fingerprint,
        },
    )
    scores = callbacks.Evaluation(wanted, stopwatch, saves, lambda path: score(wanted, path) and None)
    # A quick check of a run's first steps (`reproduce steps=N`): the schedule is the whole run's.
    stop_after = int(os.environ.get("ZEROSCALE_STOP_AFTER", "0")) or None
    around = [journal, saves, scores, callbacks.StopOnSignal(wanted, stopwatch, saves, stop_after)]
    trainer, lit = build.trainer(wanted, cell), build.module(wanted, gpt, around, start)
    before = signal.getsignal(signal.SIGTERM)
    try:
        trainer.fit(lit, build.batches(wanted, tokens, trainer.global_rank, lit.progress.step))
        saves.finish()
    except guards.NonFiniteLoss as error:
        writer.close()
        raise guards.divergence_error(error, cell) from error
    finally:
        signal.signal(signal.SIGTERM, before)
        writer.close()
        if recorder:
            recorder.close()
    if rank_zero:
        _log_summary(cell, wanted, stopwatch, gpu, progress)


def _start(
    cell: Path, wanted: TrainConfig, tokens: Any, progress: Any, rank_zero: bool
) -> tuple[Path | None, list[dict[str, Any]]]:
    """The checkpoint to go on from, the cell's own or its parent's, and the record that it stands on."""
    from zeroscale.core import jsonl
    from zeroscale.runs import checkpoint
    from zeroscale.training import guards, init_from

    start = checkpoint.latest(cell, progress.say)
    source = cell
    if start is not None:
        guards.check_same_run(start, checkpoint.read_meta(start), wanted, tokens)
    elif wanted.init_from.run is not None:
        source = init_from.directory(wanted)
        start = init_from.start(wanted, tokens, progress.say)
    if start is not None:
        where = "" if source == cell else f" of {source}"
        progress.say(f"{wanted.cell}: goes on from step {checkpoint.step_of(start)}{where}")
    if not rank_zero:
        return start, []
    checkpoint.remove_partial(cell)
    step = checkpoint.step_of(start) if start else 0
    if source == cell:
        return start, jsonl.truncate_after(cell / jsonl.METRICS, step)
    # What a branch shares with its parent is part of its own record: each step once, from the first on.
    kept = [row for row in jsonl.read(source / jsonl.METRICS) if row["step"] <= step]
    jsonl.write(cell / jsonl.METRICS, kept)
    return start, kept


def _describe(cell: Path, wanted: TrainConfig, tokens: Any, gpu: str | None, threads: int, start: Path | None) -> None:
    """What the run is made with, before its first step here."""
    from zeroscale.data.batch_layout import layout_of
    from zeroscale.runs import checkpoint, manifest

    micro = layout_of(wanted).micro_rows * wanted.context
    facts, source = manifest.make(wanted, gpu=gpu, threads=threads, micro_batch_tokens=micro, corpus=tokens)
    if wanted.init_from.run is not None:
        facts["init_from"] = wanted.parent()
    own = start is not None and start.is_relative_to(cell)
    manifest.write(cell, facts, source, checkpoint.step_of(start) if own else 0)
    tokens.tokenizer.save(cell / "tokenizer")


def _log_summary(cell: Path, wanted: TrainConfig, stopwatch: Any, gpu: str | None, progress: Any) -> None:
    """Where the time went: into the manifest, and a line for whoever watches."""
    from zeroscale.core.files import read_json
    from zeroscale.training import throughput

    run, rate = wanted.trainer, stopwatch.rate()
    share = throughput.mfu(rate, wanted.flops_per_token, gpu, run.devices, run.precision)
    facts = read_json(cell / "manifest.json") | {
        "train_seconds": round(stopwatch.seconds, 3),
        "tokens_per_s": round(rate, 1),
        "mfu": share,
        "seconds": {phase: round(seconds, 3) for phase, seconds in stopwatch.phases.items()},
        "peak_memory_bytes": throughput.peak_memory_bytes(gpu is not None),
    }
    write_json(cell / "manifest.json", facts)
    progress.say(f"{wanted.cell}: {throughput.format_throughput(stopwatch, share, facts['peak_memory_bytes'])}")
