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

from zeroscale import launch, settings, status, strict
from zeroscale.errors import ZeroscaleError
from zeroscale.files import lock, write_json

# A killed parent's worker needs a moment to write its checkpoint and leave before a rerun can take the cell.
_LOCK_SECONDS = launch.GRACE_SECONDS


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
    from zeroscale.training.callbacks import Stopped

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
        traceback.print_exc()
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
    wanted = strict.build(settings.TrainSettings, raw)
    import torch

    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    if threads:
        torch.set_num_threads(threads)
    from zeroscale import build

    build.quiet_libraries()
    from zeroscale.training import checkpoint, tracker
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


def _train(cell: Path, wanted: settings.TrainSettings, tokens: Any, progress: Any, view: Any) -> None:
    import torch

    from zeroscale import build
    from zeroscale.data.layout import layout_of
    from zeroscale.provenance import manifest
    from zeroscale.training import callbacks, checkpoint, record
    from zeroscale.training.throughput import Stopwatch

    rank_zero = int(os.environ.get("RANK", "0")) == 0
    gpt = build.model(wanted, tokens)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    description = {"settings": settings.as_dict(wanted), "settings_hash": wanted.hash()}
    io = checkpoint.DirectoryIO(
        lambda step: {
            **description,
            "tokens": step * wanted.trainer.batch_tokens,
            "tokenizer": tokens.tokenizer.fingerprint,
            "corpus": tokens.fingerprint,
        }
    )
    start = checkpoint.latest(cell, progress.say)
    stopwatch, recorder = Stopwatch(), None
    if start is not None:
        meta = checkpoint.verify(start)
        if meta["corpus"] != tokens.fingerprint:
            raise ZeroscaleError(
                f"the corpus has changed since {start} was trained on it; restore it, or remove {cell} to start anew"
            )
        progress.say(f"{wanted.cell}: goes on from step {checkpoint.step_of(start)}")
    if rank_zero:
        kept = record.cut_back(cell / record.METRICS, checkpoint.step_of(start) if start else 0)
        stopwatch = Stopwatch(kept[-1]["seconds"] if kept else 0.0)
        recorder = record.Recorder(cell / record.METRICS)
        command = os.environ.get("ZEROSCALE_COMMAND", "")
        facts = manifest.make(
            wanted,
            command=command,
            gpu=gpu,
            threads=torch.get_num_threads(),
            micro_batch_tokens=layout_of(wanted).micro_rows * wanted.context,
            corpus=tokens,
        )
        write_json(cell / "manifest.json", facts)
        manifest.write_diff(cell)
        tokens.tokenizer.save(cell / "tokenizer")
    text = build.held_out(wanted, tokens)

    def validate() -> dict[str, float]:
        return text.measure(gpt)

    journal = callbacks.Journal(
        wanted,
        recorder=recorder,
        tracker=view,
        progress=progress,
        stopwatch=stopwatch,
        validate=validate,
        device_name=gpu,
    )
    saves = callbacks.Checkpoints(wanted, cell, recorder)
    scores = callbacks.Scores(wanted, saves, lambda path: _score(wanted, path) and None)
    around = [journal, saves, scores, callbacks.StopOnSignal(wanted, saves)]
    trainer = build.trainer(wanted, io, around, cell)
    before = signal.getsignal(signal.SIGTERM)
    try:
        trainer.fit(build.lit(wanted, gpt), build.batches(wanted, tokens, trainer), ckpt_path=start, weights_only=True)
    finally:
        signal.signal(signal.SIGTERM, before)
        if recorder:
            recorder.close()


def _score(wanted: settings.TrainSettings, path: Path) -> dict[str, float]:
    """Scores a checkpoint; returns its metrics by the names that the ledger's columns bear."""
    from zeroscale import scoring

    results = scoring.score_run(path, wanted)
    return {f"{result.key.card}/{name}": score.value for result in results for name, score in result.metrics.items()}


def _finish(cell: Path, wanted: settings.TrainSettings, final: Path, view: Any) -> None:
    """Scores the last checkpoint, completes the manifest, and marks the cell done."""
    from zeroscale.files import read_json
    from zeroscale.provenance import manifest

    scores = _score(wanted, final)
    facts = read_json(cell / "manifest.json")
    facts["peak_memory_bytes"] = _peak_memory_bytes()
    write_json(cell / "manifest.json", facts)
    view.log({"tokens": wanted.trainer.tokens, **scores})
    status.write(cell, "done", step=wanted.steps)
    status.write_done(cell, wanted.hash(), list(wanted.cards), wanted.cards_from, manifest.source()["revision"])


def _peak_memory_bytes() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
