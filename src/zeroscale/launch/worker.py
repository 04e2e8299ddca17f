"""One rank of one run: python -m zeroscale.launch.worker outputs/STUDY/RUN.

Reads config.yaml, trains from the last whole checkpoint on, scores, and leaves status.json behind. Standard output is
what a person watches; standard error is the log.txt of the run, tracebacks included.
"""

import contextlib
import io
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import lock
from zeroscale.core.machine import read_number, thread_count, thread_refusal
from zeroscale.core.own.code import place_of
from zeroscale.launch import process
from zeroscale.runs import layout, status
from zeroscale.runs.run import Run

if TYPE_CHECKING:
    from zeroscale.training.progress_events import ProgressReporter
    from zeroscale.training.trackers.tracker import Tracker

# A killed parent's worker needs a moment to write its checkpoint and leave before a rerun can lock the run.
_LOCK_SECONDS = process.GRACE_SECONDS
_FIRST_WORD_SECONDS = 2.0


class _PipeSafeStdout(io.TextIOBase):
    """Standard output that survives its reader: when the parent has died, output is discarded, and the checkpoint that
    its death triggers is still written."""

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
    """Train the run; returns the exit code. An error is recorded in status.json."""
    directory = Path(arguments[0])
    sys.stdout = _PipeSafeStdout(sys.stdout)
    process.die_with_parent()
    rank = read_number("RANK", 0)
    parent = read_number("ZEROSCALE_PARENT", 0)
    if parent and "RANK" not in os.environ and os.getppid() != parent:
        # The parent died before the kernel was asked to signal its death.
        return 1
    with contextlib.ExitStack() as locks:
        if rank == 0:
            try:
                locks.enter_context(lock(directory / layout.WORKER_LOCK, _LOCK_SECONDS, f"{directory} is taken"))
            except ZeroscaleError:
                return status.BUSY
        return _guarded(directory, rank)


def _guarded(directory: Path, rank: int) -> int:
    from zeroscale.training.guards import Stopped

    try:
        if rank == 0:
            status.write(directory, "running")
        _run(directory, rank)
        return 0
    except Stopped as stopped:
        if rank == 0:
            status.write(directory, "resumable", f"stopped on request after step {stopped.step}", stopped.step)
            print(
                f"{directory.name}: stopped after step {stopped.step}; the same command goes on from there", flush=True
            )
        return 0
    except BaseException as error:
        if not isinstance(error, Exception) and thread_refusal(error) is None:
            raise
        with contextlib.suppress(OSError):  # the log may lie on the disk that is full
            _log_error(error)
        if rank:
            # Rank 0 records an error of all ranks; and torchrun stops the others when the first has left.
            time.sleep(_FIRST_WORD_SECONDS)
        if rank == 0 or status.read(directory).state != "failed":
            _record_failure(directory, _reason(error, directory))
        return 1


def _log_error(error: BaseException) -> None:
    """Writes an error to the run's log: what the user can mend in its own words, all else with its traceback."""
    if isinstance(error, ZeroscaleError) and not os.environ.get("ZEROSCALE_TRACEBACK"):
        print(error, file=sys.stderr, flush=True)
    else:
        traceback.print_exc()


def _reason(error: BaseException, directory: Path) -> str:
    if isinstance(error, ZeroscaleError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename or directory}"
    if refusal := thread_refusal(error):
        return refusal
    first = (str(error).strip() or "no message").splitlines()[0]
    if place := place_of(error):
        first = f"{first} ({place})"
    return f"{type(error).__name__}: {first}; the traceback is in {directory / layout.LOG}"


def _record_failure(directory: Path, reason: str) -> None:
    try:
        status.write(directory, "failed", reason, status.read(directory).step)
    except (ZeroscaleError, OSError):
        # A full disk: the parent still reads this from our output.
        print(f"{directory.name}: {reason}", flush=True)


def _run(directory: Path, rank: int) -> None:
    config = Run(directory).config
    import torch

    from zeroscale.model.threads import use_threads

    if threads := thread_count():
        use_threads(threads)
    if config.trainer.deterministic:
        torch.use_deterministic_algorithms(True)
    from zeroscale.training import build

    build.quiet_libraries()
    from zeroscale.data.corpus_notes import notes, reductions
    from zeroscale.runs import checkpoint
    from zeroscale.training.progress_events import ProgressReporter
    from zeroscale.training.trackers import tracker as trackers
    from zeroscale.training.train import train

    progress = ProgressReporter(config.cell, config.steps, quiet=rank != 0)
    tracker: trackers.Tracker = trackers.Silent()
    code = 1
    try:
        final = layout.checkpoint_directory(directory, config.steps)
        trained = final.is_dir() and checkpoint.latest(directory, progress.say) == final
        if rank == 0 and not trained:
            # Before the corpus is read: a login that fails should fail now.
            tracker = trackers.start(config, directory)
        here = config.here
        tokens = build.corpus(here.data, here.tokenizer, config.output_dir, progress_callback(progress.stage))
        for note in notes(tokens.index):
            progress.say(f"corpus: {note}")
        for note in reductions(config, tokens.index):
            progress.say(f"note: {note}")
        if not trained:
            train(directory, config, tokens, progress, tracker, partial(_score, say=progress.stage))
        if rank == 0:
            _finish(directory, config, final, tracker, progress)
        code = 0
    finally:
        tracker.finish(code)


def progress_callback(say: Callable[[str], None]) -> Callable[[int, int | None, str], None]:
    """A progress callback for the preparation of a corpus: prints each stage, and its progress every few seconds."""
    last_stage, last_time = "", 0.0

    def progress(done: int, total: int | None, stage: str) -> None:
        nonlocal last_stage, last_time
        now = time.monotonic()
        if stage == last_stage and now - last_time < 5:
            return
        last_stage, last_time = stage, now
        say(f"corpus: {stage}" + (f" {100 * done // total} %" if total else f" {done / 1e6:.0f} MB" if done else ""))

    return progress


def _score(config: TrainConfig, path: Path, say: Callable[[str], None]) -> dict[str, float | None]:
    """Scores a checkpoint; returns its metrics under the names of the ledger's columns."""
    from zeroscale.eval import run as scoring

    results = scoring.score_run(path, config, say)
    return {f"{result.key.card}/{name}": score.value for result in results for name, score in result.metrics.items()}


def _finish(
    directory: Path, config: TrainConfig, final: Path, tracker: "Tracker", progress: "ProgressReporter"
) -> None:
    """Scores the last checkpoint and marks the run done."""
    from zeroscale.runs import manifest

    progress.stage("scoring")
    scores = _score(config, final, progress.stage)
    tracker.log({"tokens": config.trainer.tokens, **scores})
    status.write(directory, "done", step=config.steps)
    status.write_done(
        directory,
        config.hash(),
        list(config.cards),
        config.cards_from,
        manifest.source()["revision"],
        manifest.hashed_files(directory),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
