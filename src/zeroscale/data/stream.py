"""The order of the training tokens: a batch is a pure function of the seed and the step."""

import hashlib

import numpy as np

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus import Corpus

_ROUNDS = 8


def permute(positions: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """Where a pseudo-random permutation of 0 … size-1 takes `positions`; computed, so that no order is ever stored.

    A Feistel network permutes the next power of two; what falls outside `size` is permuted again until it falls inside
    ("cycle walking", Black and Rogaway 2002, "Ciphers with arbitrary finite domains"), in fewer than two steps on
    average. Keys: sha256 of seed, epoch and round. The result is part of what a seed means: never change it.

    Args:
        positions: integers in [0, size), any shape.

    Returns:
        int64, the shape of `positions`.
    """
    bits = max(2, (size - 1).bit_length())
    low_bits = np.uint64(bits // 2)
    low_mask, high_mask = np.uint64((1 << (bits // 2)) - 1), np.uint64((1 << (bits - bits // 2)) - 1)
    keys = [_key(seed, epoch, number) for number in range(_ROUNDS)]
    flat = np.asarray(positions).astype(np.uint64).ravel()
    remaining = np.arange(flat.size)
    while remaining.size:
        low, high = flat[remaining] & low_mask, flat[remaining] >> low_bits
        for first, second in zip(keys[::2], keys[1::2], strict=True):
            high ^= _mix(low + first) & high_mask
            low ^= _mix(high + second) & low_mask
        flat[remaining] = high << low_bits | low
        remaining = remaining[flat[remaining] >= size]
    return flat.astype(np.int64).reshape(np.shape(positions))


def _key(seed: int, epoch: int, number: int) -> np.uint64:
    digest = hashlib.sha256(f"zeroscale {seed} {epoch} {number}".encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little"))


def _mix(value: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): every input bit reaches every output bit."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


class TokenStream:
    """Training batches as a pure function of (seed, step): the same for every world size, accumulation and resume.

    The training tokens are cut into windows of `context` + 1 tokens at a stride of `context`, so that each token but
    the first is predicted once an epoch (what does not fill a last window is left out). Each epoch visits the windows
    in an order of its own, and a batch may hold the end of one epoch and the start of the next.

    Attributes:
        rows: windows in a batch.
        n_windows: windows in an epoch.
    """

    def __init__(self, corpus: Corpus, seed: int, context: int, batch_tokens: int) -> None:
        """Args:
            batch_tokens: tokens predicted in a global batch; a multiple of `context`.

        Raises:
            ZeroscaleError: when it is none, or the corpus is too short for a single batch.
        """
        if context < 1 or batch_tokens < context or batch_tokens % context:
            raise ZeroscaleError(f"batches of {batch_tokens} tokens cannot be made of whole windows of {context}")
        self._corpus = corpus
        self._seed = seed
        self.context = context
        self.rows = batch_tokens // context
        self.n_windows = max(0, corpus.n_train_tokens - 1) // context
        if self.n_windows < self.rows:
            raise ZeroscaleError(
                f"{corpus.directory}: {corpus.n_train_tokens:,} training tokens are {self.n_windows:,} windows of"
                f" {context}, fewer than the {self.rows:,} of one batch: give more text or smaller batches"
            )

    def epoch_at(self, step: int) -> int:
        """How often the corpus has been gone through when the batch of `step` begins."""
        return step * self.rows // self.n_windows

    def windows_at(self, step: int) -> np.ndarray:
        """int64 [rows]: the windows of the batch of `step`; window w covers tokens w·context … (w+1)·context."""
        epoch, position = divmod(step * self.rows, self.n_windows)
        in_this_epoch = min(self.rows, self.n_windows - position)
        windows = permute(np.arange(position, position + in_this_epoch), self.n_windows, self._seed, epoch)
        if in_this_epoch == self.rows:
            return windows
        in_the_next = permute(np.arange(self.rows - in_this_epoch), self.n_windows, self._seed, epoch + 1)
        return np.concatenate([windows, in_the_next])

    def batch_at(self, step: int, rows: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of the global batch of `step`, or of some of its rows: int64 [rows, context] each, targets
        one token ahead."""
        starts = self.windows_at(step)[rows] * self.context
        tokens = self._corpus.read_windows("train", starts, self.context + 1)
        return np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:])
