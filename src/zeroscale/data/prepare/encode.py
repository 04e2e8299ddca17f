"""Encodes batches of texts to token ids and counts, in this process or in worker processes.

A worker reads jobs from its standard input and ends with it, so that none outlives its parent, however that ends; the
workers are process groups of their own, so that Ctrl-C reaches the parent alone.
"""

import builtins
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
from typing import IO, NamedTuple, Protocol, TypeVar, cast

import numpy as np

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.prepare.deduplicate import MinHasher, exact_key
from zeroscale.data.tokenizer import Tokenizer


class _HasTexts(Protocol):
    texts: list[str]


B = TypeVar("B", bound=_HasTexts)


class Encoded(NamedTuple):
    """The documents of a batch, encoded.

    Attributes:
        ids: their tokens in a row, each ended by `<|endoftext|>`; lengths, bytes, words: int64 [documents].
        split: "train" or "val"; share: what decides on it (`share_of`).
        keys, signatures: for finding duplicates; None where they are not dropped.
    """

    ids: np.ndarray
    lengths: np.ndarray
    bytes: np.ndarray
    words: np.ndarray
    split: list[str]
    share: list[int]
    keys: list[builtins.bytes] | None
    signatures: np.ndarray | None


@dataclass(frozen=True)
class EncodeJob:
    """How every batch is encoded; travels to the workers by pickling."""

    tokenizer: Tokenizer
    val_fraction: float
    exact: bool = False
    hasher: MinHasher | None = None

    def encode(self, texts: list[str]) -> Encoded:
        """Encodes texts; depends on nothing but them."""
        encoded = self.tokenizer.encode_batch(texts)
        shares = [share_of(text) for text in texts]
        ids = np.empty(sum(map(len, encoded)) + len(encoded), dtype=dtype(self.tokenizer))
        start = 0
        for document in encoded:
            ids[start : start + len(document)] = document
            ids[start + len(document)] = self.tokenizer.eos
            start += len(document) + 1
        return Encoded(
            ids=ids,
            lengths=np.array([len(document) + 1 for document in encoded], dtype=np.int64),
            bytes=np.array([len(text.encode("utf-8")) for text in texts], dtype=np.int64),
            words=np.array([len(text.split()) for text in texts], dtype=np.int64),
            split=[side_of(share, self.val_fraction) for share in shares],
            share=shares,
            keys=[exact_key(text) for text in texts] if self.exact else None,
            signatures=self.hasher.signatures(texts) if self.hasher else None,
        )


def side_of(share: int, val_fraction: float) -> str:
    """`val` for documents whose share of 2^64 (`share_of`) lies below `val_fraction`, else `train`."""
    return "val" if share < val_fraction * 2**64 else "train"


def share_of(text: str) -> int:
    """What decides on a document's split: the first 8 bytes of its sha256, big-endian."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def dtype(tokenizer: Tokenizer) -> np.dtype:
    """Two bytes a token where the vocabulary fits."""
    return np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")


def encode_all(job: EncodeJob, batches: Iterable[B], workers: int) -> Iterator[tuple[B, Encoded]]:
    """Every batch with its encoded texts, in order.

    Args:
        workers: processes beside this one, each on one core; 1: none, this one does it all.
    """
    if workers == 1:
        for batch in batches:
            yield batch, job.encode(batch.texts)
        return
    waiting: deque[tuple[B, Future[Encoded]]] = deque()
    with _WorkerPool(job, workers) as pool:
        for batch in batches:
            waiting.append((batch, pool.submit(batch.texts)))
            # Two batches for each worker: one that it encodes, and the next.
            if len(waiting) >= 2 * workers:
                batch, future = waiting.popleft()
                yield batch, future.result()
        for batch, future in waiting:
            yield batch, future.result()


class _WorkerPool:
    def __init__(self, job: EncodeJob, number: int) -> None:
        self._free: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="encoding")
        try:
            for _ in range(number):
                self._all.append(_start())
                _send(self._all[-1].stdin, job)
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
            return cast(Encoded, _receive(child.stdout))
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
                _open(child.stdin).close()
            _open(child.stdout).close()


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


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # all are pipes
    return stream


def _send(stream: IO[bytes] | None, value: object) -> None:
    stream = _open(stream)
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(content).to_bytes(8, "little"))
    stream.write(content)
    stream.flush()


def _receive(stream: IO[bytes] | None) -> object:
    stream = _open(stream)
    size = int.from_bytes(_exactly(stream, 8), "little")
    return pickle.loads(_exactly(stream, size))


def _exactly(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _serve() -> None:
    """A worker: reads the job, then texts, until the input ends."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        job = cast(EncodeJob, _receive(requests))
        while True:
            _send(answers, job.encode(cast(list[str], _receive(requests))))
    except (EOFError, BrokenPipeError):
        # The parent has closed the pipe, or is gone. Nothing is left to flush.
        os._exit(0)


if __name__ == "__main__":
    # The job names its class by this module's full name, which imports the module anew.
    _serve()
