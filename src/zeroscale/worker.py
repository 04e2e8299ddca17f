"""One rank of one cell: python -m zeroscale.worker outputs/<study>/<cell>.

Reads config.yaml, trains from the last whole checkpoint on, scores, and leaves status.json behind. Standard output is
what a person watches; standard error is the cell's log.txt, tracebacks included.
"""

import contextlib
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from zeroscale import launch
from zeroscale.config import hashing, train, validate
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import lock, write_json
from zeroscale.runs import status

# A killed parent's worker needs a moment to write its checkpoint and leave before a rerun can take the cell.
_LOCK_SECONDS = launch.GRACE_SECONDS
_FIRST_WORD_SECONDS = 2.0


class _Watched(io.TextIOBase):
    """Standard output that outlives its reader: when the parent is gone, what is said goes nowhere, and the
    checkpoint that its death asks for is still written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._reader():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._reader():
            self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    @contextlib.contextmanager
    def _reader(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self._stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for the rest of the process)


def main(arguments: list[str]) -> int:
    """Runs the cell; returns the exit code. What went wrong stands in status.json."""
    cell = Path(arguments[0])
    sys.stdout = _Watched(sys.stdout)
    launch.die_with_parent()
    rank = int(os.environ.get("RANK", "0"))
    parent = os.environ.get("ZEROSCALE_PARENT")
    if parent and "RANK" not in os.environ and os.getppid() != int(parent):
        # The parent died before the kernel was asked to tell.
        return 1
    with contextlib.ExitStack() as held:
        if rank == 0:
            try:
                held.enter_context(lock(cell / status.LOCK, _LOCK_SECONDS, f"{cell} is taken"))
            except ZeroscaleError:
                return status.BUSY
        return _guarded(cell, rank)


def _guarded(cell: Path, rank: int) -> int:
    from zeroscale.training.stopping import Stopped

    try:
        if rank == 0:
            status.write(cell, "running")
        _run(cell, rank)
        return 0
    except Stopped as stopped:
        if rank == 0:
            status.write(cell, "resumable", f"stopped on request after step {stopped.step}", stopped.step)
            print(f"{cell.name}: stopped after step {stopped.step}; the same command goes on from there", flush=True)
        return 0
    except Exception as error:
        with contextlib.suppress(OSError):  # the log may lie on the disk that is full
            traceback.print_exc()
        if rank:
            # What befalls all ranks is rank 0's to tell; and torchrun stops the others when the first has left.
            time.sleep(_FIRST_WORD_SECONDS)
        if rank == 0 or status.read(cell).state != "failed":
            _record_failure(cell, _reason(error, cell))
        return 1


def _reason(error: Exception, cell: Path) -> str:
    if isinstance(error, ZeroscaleError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename or cell}"
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {first}; the traceback is in {cell / status.LOG}"


def _record_failure(cell: Path, reason: str) -> None:
    try:
        status.write(cell, "failed", reason, status.read(cell).step)
    except (ZeroscaleError, OSError):
        # A full disk: the parent still reads this from our output.
        print(f"{cell.name}: {reason}", flush=True)


def _run(cell: Path, rank: int) -> None:
    import yaml

    raw = yaml.safe_load((cell / "config.yaml").read_text(encoding="utf-8"))
    wanted = validate.build(train.TrainSettings, raw)
    import torch

    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    if threads:
        torch.set_num_threads(threads)
    if wanted.trainer.deterministic:
        torch.use_deterministic_algorithms(True)
    from zeroscale import build

    build.quiet_libraries()
    from zeroscale.runs import checkpoint
    from zeroscale.training import tracker
    from zeroscale.training.progress import ProgressLine

    progress = ProgressLine(wanted.cell, wanted.steps, quiet=rank != 0)
    view: tracker.Tracker = tracker.Silent()
    code = 1
    try:
        final = checkpoint.path_of(cell, wanted.steps)
        trained = final.is_dir() and checkpoint.latest(cell, progress.say) == final
        if rank == 0 and not trained:
            # Before the corpus is read: a login that fails should fail now.
            view = tracker.start(wanted, cell)
        tokens = build.corpus(wanted.data, wanted.tokenizer, wanted.output_dir, stages(progress.say))
        if not trained:
            _train(cell, wanted, tokens, progress, view)
        progress.close()
        if rank == 0:
            _finish(cell, wanted, final, view)
        code = 0
    finally:
        progress.close()
        view.finish(code)


def stages(say: Any) -> Any:
    """A progress callback for the corpus' preparation: says each stage once, and how far it is now and then."""
    last = {"stage": "", "time": 0.0}

    def progress(done: int, total: int | None, stage: str) -> None:
        now = time.monotonic()
        if stage == last["stage"] and now - last["time"] < 5:
            return
        last.update(stage=stage, time=now)
        say(f"corpus: {stage}" + (f" {100 * done // total} %" if total else f" {done / 1e6:.0f} MB" if done else ""))

    return progress


def _train(cell: Path, wanted: train.TrainSettings, tokens: Any, progress: Any, view: Any) -> None:
    import torch

    from zeroscale import build
    from zeroscale.core import jsonl
    from zeroscale.eval import held_out
    from zeroscale.training import callbacks, guards
    from zeroscale.training.throughput import Stopwatch
    from zeroscale.training.writer import Writer

    rank_zero = int(os.environ.get("RANK", "0")) == 0
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    start, kept = _start(cell, wanted, tokens, progress, rank_zero)
    recorder = None
    if rank_zero:
        _describe(cell, wanted, tokens, gpu, torch.get_num_threads(), start)
        recorder = jsonl.Recorder(cell / jsonl.METRICS)
    gpt = build.model(wanted, tokens)
    text = held_out.held_out_text(wanted, tokens)
    stopwatch = Stopwatch(kept[-1]["seconds"] if kept else 0.0)
    writer = Writer()
    journal = callbacks.Journal(
        wanted,
        stopwatch,
        recorder=recorder,
        tracker=view,
        progress=progress,
        spikes=guards.Spikes(row["train/loss"] for row in kept),
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
    scores = callbacks.Scores(wanted, stopwatch, saves, lambda path: _score(wanted, path) and None)
    # A quick check of a run's first steps (`reproduce steps=N`): the schedule is the whole run's.
    stop_after = int(os.environ.get("ZEROSCALE_STOP_AFTER", "0")) or None
    around = [journal, saves, scores, callbacks.StopOnSignal(wanted, stopwatch, saves, stop_after)]
    trainer, lit = build.trainer(wanted, cell), build.lit(wanted, gpt, around, start)
    before = signal.getsignal(signal.SIGTERM)
    try:
        trainer.fit(lit, build.batches(wanted, tokens, trainer.global_rank, lit.progress.step))
        saves.finish()
    except guards.NotFinite as error:
        writer.close()
        raise guards.diverged(error, cell) from error
    finally:
        signal.signal(signal.SIGTERM, before)
        writer.close()
        if recorder:
            recorder.close()
    if rank_zero:
        _sum_up(cell, wanted, stopwatch, gpu, progress)


def _start(
    cell: Path, wanted: train.TrainSettings, tokens: Any, progress: Any, rank_zero: bool
) -> tuple[Path | None, list[dict[str, Any]]]:
    """The checkpoint to go on from, the cell's own or its parent's, and the record that it stands on."""
    from zeroscale import parents
    from zeroscale.core import jsonl
    from zeroscale.runs import checkpoint
    from zeroscale.training import guards

    start = checkpoint.latest(cell, progress.say)
    source = cell
    if start is not None:
        guards.check_same_run(start, checkpoint.continued(start), wanted, tokens)
    elif wanted.init_from.run is not None:
        source = parents.directory(wanted)
        start = parents.start(wanted, tokens, progress.say)
    if start is not None:
        where = "" if source == cell else f" of {source}"
        progress.say(f"{wanted.cell}: goes on from step {checkpoint.step_of(start)}{where}")
    if not rank_zero:
        return start, []
    checkpoint.sweep(cell)
    step = checkpoint.step_of(start) if start else 0
    if source == cell:
        return start, jsonl.cut_back(cell / jsonl.METRICS, step)
    # What a branch shares with its parent is part of its own record: each step once, from the first on.
    kept = [row for row in jsonl.read(source / jsonl.METRICS) if row["step"] <= step]
    jsonl.write(cell / jsonl.METRICS, kept)
    return start, kept


def _describe(
    cell: Path, wanted: train.TrainSettings, tokens: Any, gpu: str | None, threads: int, start: Path | None
) -> None:
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


def _sum_up(cell: Path, wanted: train.TrainSettings, stopwatch: Any, gpu: str | None, progress: Any) -> None:
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
    progress.say(f"{wanted.cell}: {throughput.told(stopwatch, share, facts['peak_memory_bytes'])}")


def _score(wanted: train.TrainSettings, path: Path) -> dict[str, float]:
    """Scores a checkpoint; returns its metrics by the names that the ledger's columns bear."""
    from zeroscale.eval import run as scoring

    results = scoring.score_run(path, wanted)
    return {f"{result.key.card}/{name}": score.value for result in results for name, score in result.metrics.items()}


def _finish(cell: Path, wanted: train.TrainSettings, final: Path, view: Any) -> None:
    """Scores the last checkpoint and marks the cell done."""
    from zeroscale.runs import manifest

    scores = _score(wanted, final)
    view.log({"tokens": wanted.trainer.tokens, **scores})
    status.write(cell, "done", step=wanted.steps)
    status.write_done(
        cell,
        wanted.hash(),
        list(wanted.cards),
        wanted.cards_from,
        manifest.source()["revision"],
        manifest.vouched(cell),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
