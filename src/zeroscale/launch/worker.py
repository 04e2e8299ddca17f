"""One rank of one cell: python -m zeroscale.launch.worker outputs/<study>/<cell>.

Reads config.yaml, trains from the last whole checkpoint on, scores, and leaves status.json behind. Standard output is
what a person watches; standard error is the cell's log.txt, tracebacks included.
"""

import contextlib
import io
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import lock
from zeroscale.launch import process
from zeroscale.runs import layout, status
from zeroscale.runs.run import Run

# A killed parent's worker needs a moment to write its checkpoint and leave before a rerun can take the cell.
_LOCK_SECONDS = process.GRACE_SECONDS
_FIRST_WORD_SECONDS = 2.0


class _PipeSafeStdout(io.TextIOBase):
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
    sys.stdout = _PipeSafeStdout(sys.stdout)
    process.die_with_parent()
    rank = int(os.environ.get("RANK", "0"))
    parent = os.environ.get("ZEROSCALE_PARENT")
    if parent and "RANK" not in os.environ and os.getppid() != int(parent):
        # The parent died before the kernel was asked to tell.
        return 1
    with contextlib.ExitStack() as held:
        if rank == 0:
            try:
                held.enter_context(lock(cell / layout.WORKER_LOCK, _LOCK_SECONDS, f"{cell} is taken"))
            except ZeroscaleError:
                return status.BUSY
        return _guarded(cell, rank)


def _guarded(cell: Path, rank: int) -> int:
    from zeroscale.training.guards import Stopped

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
    return f"{type(error).__name__}: {first}; the traceback is in {cell / layout.LOG}"


def _record_failure(cell: Path, reason: str) -> None:
    try:
        status.write(cell, "failed", reason, status.read(cell).step)
    except (ZeroscaleError, OSError):
        # A full disk: the parent still reads this from our output.
        print(f"{cell.name}: {reason}", flush=True)


def _run(cell: Path, rank: int) -> None:
    wanted = Run(cell).config
    import torch

    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    if threads:
        torch.set_num_threads(threads)
    if wanted.trainer.deterministic:
        torch.use_deterministic_algorithms(True)
    from zeroscale.training import build

    build.quiet_libraries()
    from zeroscale.runs import checkpoint
    from zeroscale.training.progress_bar import ProgressLine
    from zeroscale.training.trackers import tracker
    from zeroscale.training.train import train

    progress = ProgressLine(wanted.cell, wanted.steps, quiet=rank != 0)
    view: tracker.Tracker = tracker.Silent()
    code = 1
    try:
        final = layout.checkpoint_directory(cell, wanted.steps)
        trained = final.is_dir() and checkpoint.latest(cell, progress.say) == final
        if rank == 0 and not trained:
            # Before the corpus is read: a login that fails should fail now.
            view = tracker.start(wanted, cell)
        tokens = build.corpus(wanted.data, wanted.tokenizer, wanted.output_dir, progress_callback(progress.say))
        if not trained:
            train(cell, wanted, tokens, progress, view, _score)
        progress.close()
        if rank == 0:
            _finish(cell, wanted, final, view)
        code = 0
    finally:
        progress.close()
        view.finish(code)


def progress_callback(say: Any) -> Any:
    """A progress callback for the corpus' preparation: says each stage once, and how far it is now and then."""
    last = {"stage": "", "time": 0.0}

    def progress(done: int, total: int | None, stage: str) -> None:
        now = time.monotonic()
        if stage == last["stage"] and now - last["time"] < 5:
            return
        last.update(stage=stage, time=now)
        say(f"corpus: {stage}" + (f" {100 * done // total} %" if total else f" {done / 1e6:.0f} MB" if done else ""))

    return progress


def _score(wanted: TrainConfig, path: Path) -> dict[str, float]:
    """Scores a checkpoint; returns its metrics by the names that the ledger's columns bear."""
    from zeroscale.eval import run as scoring

    results = scoring.score_run(path, wanted)
    return {f"{result.key.card}/{name}": score.value for result in results for name, score in result.metrics.items()}


def _finish(cell: Path, wanted: TrainConfig, final: Path, view: Any) -> None:
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
        manifest.hashed_files(cell),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
