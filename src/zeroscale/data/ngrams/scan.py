"""Streams a corpus once, in one or several processes: looks its n-grams up, or puts them into a Bloom filter."""

import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.ngrams import ngrams
from zeroscale.data.ngrams.index import NgramIndex

# Characters of a batch: its arrays stay in a processor's cache.
BATCH = 1 << 18
# Smaller corpora are scanned by this process alone: starting others costs more.
ALONE_BYTES = 32 << 20

Say = Callable[[int, int | None, str], None]
"""Takes bytes done, bytes in all (None: not known) and what is being done."""


class Piece(NamedTuple):
    """A text, or the next part of a long one.

    Attributes:
        continues: whether it goes on where the piece before it ended, in the middle of a line perhaps, not of a word.
        done, of: bytes of the corpus read up to its end, and in all; None where they are not known.
    """

    text: str
    continues: bool
    done: int | None = None
    of: int | None = None


class Batch(NamedTuple):
    """Texts to be scanned together, and how far the corpus is read with them."""

    texts: list[str]
    done: int | None
    of: int | None


def batches(pieces: Iterable[Piece], n: int) -> Iterator[Batch]:
    """Pieces as texts, in batches. A long text is cut so that each of its n-grams lies in one batch, once."""
    held: list[str] = []
    count, last, tail = 0, None, ""
    for last in pieces:
        if not last.continues:
            held.append(last.text)
        elif count:
            held[-1] += last.text
        else:
            held.append(tail + last.text)
        count += len(last.text)
        if count >= BATCH:
            yield Batch(held, last.done, last.of)
            tail = ngrams.trailing_words(held[-1], n - 1)
            held, count = [], 0
    if held and last is not None:
        yield Batch(held, last.done, last.of)


@dataclass
class Counts:
    """What was scanned."""

    texts: int = 0
    ngrams: int = 0
    bytes: int = 0

    def add(self, other: "Counts") -> None:
        self.texts += other.texts
        self.ngrams += other.ngrams
        self.bytes += other.bytes


class Worker(Protocol):
    """What is done with a batch; goes to other processes by pickling."""

    def __call__(self, texts: list[str]) -> tuple[Counts, np.ndarray]: ...


class Seeker:
    """Looks texts up in an index; reports each n-gram that is found once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open()

    def _open(self) -> None:
        self._index = NgramIndex(self._directory)
        self._reported = np.zeros(self._index.distinct, dtype=bool)

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        # The index is mapped by each process for itself.
        return Seeker, (self._directory,)

    def __call__(self, texts: list[str]) -> tuple[Counts, np.ndarray]:
        some = ngrams.words(texts)
        hashes, first = ngrams.ngrams(some, self._index.n)
        numbers = self._index.find(some, hashes, first)
        numbers = np.unique(numbers[numbers >= 0])
        new = numbers[~self._reported[numbers]]
        self._reported[new] = True
        return Counts(len(texts), len(hashes), len(some.content)), new


class Hasher:
    """The hashes of texts' n-grams; or none, where they are only to be counted."""

    def __init__(self, n: int, count_only: bool = False) -> None:
        self._n, self._count_only = n, count_only

    def __call__(self, texts: list[str]) -> tuple[Counts, np.ndarray]:
        some = ngrams.words(texts)
        if self._count_only:
            words = np.diff(some.breaks, prepend=-1) - 1
            count = int(np.maximum(words - self._n + 1, 0).sum())
            return Counts(len(texts), count, len(some.content)), np.empty(0, dtype=np.uint64)
        hashes, _ = ngrams.ngrams(some, self._n)
        return Counts(len(texts), len(hashes), len(some.content)), hashes


def seek(directory: Path, pieces: Iterable[Piece], workers: int, say: Say | None = None) -> tuple[np.ndarray, Counts]:
    """Which n-grams of the index in `directory` stand in the pieces: bool [different n-grams]; and what was read."""
    index = NgramIndex(directory)
    found = np.zeros(index.distinct, dtype=bool)
    total = Counts()
    for counts, numbers in run(Seeker(directory), batches(pieces, index.n), workers, say, "looking for n-grams"):
        found[numbers] = True
        total.add(counts)
    return found, total


def run(
    worker: Worker, some: Iterable[Batch], workers: int, say: Say | None, stage: str
) -> Iterator[tuple[Counts, np.ndarray]]:
    """What `worker` makes of each batch, in order.

    Args:
        workers: processes beside this one; 1: none, this one does it all.

    Raises:
        ZeroscaleError: a process was killed.
    """
    report = say or (lambda done, of, stage: None)
    if workers == 1:
        for batch in some:
            yield worker(batch.texts)
            report(batch.done or 0, batch.of, stage)
        return
    waiting: deque[tuple[Batch, Future[tuple[Counts, np.ndarray]]]] = deque()
    try:
        with _pool(worker, workers) as pool:
            for batch in some:
                waiting.append((batch, pool.submit(_work, batch.texts)))
                # Two for each process: one in work, one for the moment it is done; and one of slack.
                if len(waiting) > 2 * workers:
                    batch, future = waiting.popleft()
                    yield future.result()
                    report(batch.done or 0, batch.of, stage)
            for batch, future in waiting:
                yield future.result()
                report(batch.done or 0, batch.of, stage)
    except BrokenProcessPool as error:
        raise ZeroscaleError(
            "a process that looked for n-grams ended before its work did; if memory ran out, fewer workers need less"
        ) from error


@contextlib.contextmanager
def _pool(worker: Worker, workers: int) -> Iterator[ProcessPoolExecutor]:
    # Spawned: a fork of a process with threads may never get on.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (worker,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


_worker: list[Worker] = []


def _begin(worker: Worker) -> None:
    """In a process of its own: takes the worker; Ctrl-C is for the parent, and the parent's end is its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker[:] = [worker]
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(texts: list[str]) -> tuple[Counts, np.ndarray]:
    return _worker[0](texts)
