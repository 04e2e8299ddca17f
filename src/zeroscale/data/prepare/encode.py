"""A batch of texts to token ids and all that is counted of them, here or in processes beside this one.

The processes are children of a plain kind: they read work from their standard input and end with it, so that a parent
that dies, however it dies, leaves none behind; they are a process group of their own, so that Ctrl-C reaches the parent
alone.
"""

import contextlib
import hashlib
import os
import pickle
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, TypeVar

import numpy as np

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.prepare.deduplicate import MinHasher, exact_key
from zeroscale.data.tokenizer import Tokenizer


class _HasTexts(Protocol):
    texts: list[str]


B = TypeVar("B", bound=_HasTexts)


class Encoded(NamedTuple):
    """Of each document of a batch.

    Attributes:
        ids: their tokens in a row, each ended by `<|endoftext|>`; lengths, bytes, words: int64 [documents].
        split: "train" or "val"; keys, signatures: for finding duplicates, where asked for.
    """

    ids: np.ndarray
    lengths: np.ndarray
    bytes: np.ndarray
    words: np.ndarray
    split: list[str]
    keys: list[bytes] | None
    signatures: np.ndarray | None


@dataclass(frozen=True)
class EncodeJob:
    """What is to be done with every batch."""

    tokenizer: Tokenizer
    val_fraction: float
    exact: bool = False
    sketches: MinHasher | None = None

    def encode(self, texts: list[str]) -> Encoded:
        """A function of the texts alone."""
        encoded = self.tokenizer.encode_batch(texts)
        ids = np.empty(sum(map(len, encoded)) + len(encoded), dtype=dtype(self.tokenizer))
        start = 0
        for one in encoded:
            ids[start : start + len(one)] = one
            ids[start + len(one)] = self.tokenizer.eos
            start += len(one) + 1
        return Encoded(
            ids=ids,
            lengths=np.array([len(one) + 1 for one in encoded], dtype=np.int64),
            bytes=np.array([len(text.encode("utf-8")) for text in texts], dtype=np.int64),
            words=np.array([len(text.split()) for text in texts], dtype=np.int64),
            split=[split_of(text, self.val_fraction) for text in texts],
            keys=[exact_key(text) for text in texts] if self.exact else None,
            signatures=self.sketches.signatures(texts) if self.sketches else None,
        )


def split_of(text: str, val_fraction: float) -> str:
    """ "train" or "val", decided by the document's content alone: the same text is always on the same side.

    The first 8 bytes of its sha256 as a share of 2^64, against `val_fraction`.
    """
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return "val" if int.from_bytes(digest[:8], "big") < val_fraction * 2**64 else "train"


def dtype(tokenizer: Tokenizer) -> np.dtype:
    """Two bytes a token where the vocabulary fits."""
    return np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")


def encode_all(work: EncodeJob, batches: Iterable[B], workers: int) -> Iterator[tuple[B, Encoded]]:
    """Every batch with what came of its texts, in their order.

    Args:
        workers: processes beside this one, each on one core; 1: none, this one does it all.
    """
    if workers == 1:
        for batch in batches:
            yield batch, work.encode(batch.texts)
        return
    waiting: deque[tuple[B, Future[Encoded]]] = deque()
    with _WorkerPool(work, workers) as children:
        for batch in batches:
            waiting.append((batch, children.submit(batch.texts)))
            # Two batches for each child: one in work, one for the moment it is done.
            if len(waiting) >= 2 * workers:
                batch, future = waiting.popleft()
                yield batch, future.result()
        for batch, future in waiting:
            yield batch, future.result()


class _WorkerPool:
    def __init__(self, work: EncodeJob, number: int) -> None:
        self._free: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="encoding")
        try:
            for _ in range(number):
                self._all.append(_start())
                _send(self._all[-1].stdin, work)
                self._free.put(self._all[-1])
        except OSError as error:
            self.close()
            raise ZeroscaleError(f"data.workers={number}: cannot start a process: {error.strerror}") from error

    def submit(self, texts: list[str]) -> "Future[Encoded]":
        return self._threads.submit(self._ask, texts)

    def _ask(self, texts: list[str]) -> Encoded:
        child = self._free.get()
        try:
            _send(child.stdin, texts)
            return _receive(child.stdout)
        except (OSError, EOFError, ValueError) as error:
            raise ZeroscaleError(
                f"a tokenising process ended before its work did (exit code {child.poll()}); if memory ran out, fewer"
                " data.workers need less"
            ) from error
        finally:
            self._free.put(child)

    def __enter__(self) -> "_WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for child in self._all:
            child.kill()
        self._threads.shutdown(cancel_futures=True)
        for child in self._all:
            child.wait()
            with contextlib.suppress(BrokenPipeError):  # what a process that was killed had still to read
                child.stdin.close()
            child.stdout.close()


def _start() -> "subprocess.Popen[bytes]":
    package = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    # One core each: the processes are what works side by side.
    environment = {**os.environ, "PYTHONPATH": path, "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "zeroscale.data.prepare.encode"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        process_group=0,
    )


def _send(stream: Any, value: Any) -> None:
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(content).to_bytes(8, "little"))
    stream.write(content)
    stream.flush()


def _receive(stream: Any) -> Any:
    size = int.from_bytes(_exactly(stream, 8), "little")
    return pickle.loads(_exactly(stream, size))


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _serve() -> None:
    """The child: the work first, then texts, until the input ends."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        work = _receive(requests)
        while True:
            _send(answers, work.encode(_receive(requests)))
    except (EOFError, BrokenPipeError):
        # The parent has what it wanted, or is gone. Nothing is left to flush.
        os._exit(0)


if __name__ == "__main__":
    # By its own name, so that what is pickled here is known there.
    serve = _serve  # TODO alias

    serve()
