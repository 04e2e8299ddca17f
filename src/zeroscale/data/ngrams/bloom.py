"""A Bloom filter on the disk: all n-grams of a corpus in five bytes each, to be asked again and again.

It never misses what was put in; what was not is found with the stated probability (Bloom 1970; the GPT-2 paper's
section 4 takes 10^-8). The bits are parted into blocks, so that an element's bits lie beside each other in memory, and
which block is its own the first bits of its hash say. The places in a block come from three numbers of its hash, as
x, x + y, x + 2y + z, …: "triple hashing" (Dillinger and Manolios 2004, "Bloom filters in probabilistic verification").

The file: a line with the format, a line of JSON (the header), spaces up to `_HEAD` bytes, the bits.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import disk_errors
from zeroscale.data.ngrams.ngrams import mix

_MAGIC = b"zeroscale bloom filter 1\n"
_HEAD = 1 << 14
# Bits of a block, as a power of two: 32 KiB, which stay in a processor's nearest memory.
_BLOCK_BITS = 18
_BLOCK = 1 << _BLOCK_BITS
# Blocks get about as many elements each: so much room for those that get more.
_MARGIN = 1.03
# Elements put in at a time: sorted, so that each block is visited once.
_TOGETHER = 1 << 21
# Of these, so many at once: what numpy makes of them stays in a processor's near memory.
_SLICE = 1 << 14


def size(elements: int, rate: float) -> tuple[int, int]:
    """Blocks, and bits of each element (k = log2 1/rate), for so many elements at a false-positive rate.

    The least number of bits is elements · ln(1/rate) / (ln 2)²: 38.3 for each element at 10^-8.
    """
    bits = _MARGIN * max(1, elements) * -math.log(rate) / math.log(2) ** 2
    return max(1, math.ceil(bits / _BLOCK)), max(1, round(-math.log2(rate)))


BloomHeader = dict[str, Any]
"""The header of a filter, JSON: see `Bloom`."""


class Bloom:
    """A filter: its header and its bits.

    Attributes:
        header: `rate` as asked for, `expected_rate` as the bits that are set imply it, `elements` put in, `blocks`,
            `bits_each`, and whatever its maker wanted to remember.
    """

    def __init__(self, header: BloomHeader, bits: np.ndarray) -> None:
        """Args:
        bits: uint8 [blocks · 2^15].
        """
        self.header = header
        self._bits = bits

    def add(self, hashes: np.ndarray) -> None:
        """Puts elements in by their hashes, uint64."""
        hashes = np.sort(hashes)
        for begin in range(0, len(hashes), _SLICE):
            walk = _Walk(hashes[begin : begin + _SLICE], self.header["blocks"])
            for _ in range(self.header["bits_each"]):
                self._set(*walk.positions())
                walk.advance()

    def _set(self, byte: np.ndarray, bit: np.ndarray) -> None:
        while byte.size:
            self._bits[byte] |= bit
            # Of several bits of one byte, only the last is there now. (`bitwise_or.at` takes six times as long.)
            lost = self._bits[byte] & bit == 0
            byte, bit = byte[lost], bit[lost]

    def contains(self, hashes: np.ndarray) -> np.ndarray:
        """Which elements were put in, or seem so: bool."""
        remaining = np.arange(len(hashes))
        contained = np.zeros(len(hashes), dtype=bool)
        if not remaining.size:
            return contained
        walk = _Walk(hashes, self.header["blocks"])
        for _ in range(self.header["bits_each"]):
            byte, bit = walk.positions()
            hit = self._bits[byte] & bit != 0
            remaining = remaining[hit]
            walk.keep(hit)
            walk.advance()
        contained[remaining] = True
        return contained

    def expected_rate(self) -> float:
        """The probability that what was never put in is found: the mean over the blocks of (share of bits set)^k."""
        blocks = self._bits.reshape(self.header["blocks"], -1)
        each = self.header["bits_each"]
        return float(np.mean([(int(np.bitwise_count(block).sum()) / _BLOCK) ** each for block in blocks]))


class _Walk:
    """The bits of some elements, one after the other."""

    def __init__(self, hashes: np.ndarray, blocks: int) -> None:
        mixed = mix(hashes)
        mask = np.uint64(_BLOCK - 1)
        self._x = (mixed & mask).view(np.int64)
        self._y = (mixed >> np.uint64(_BLOCK_BITS) & mask).view(np.int64)
        self._z = (mixed >> np.uint64(2 * _BLOCK_BITS) & mask).view(np.int64)
        # The first 32 bits as a share of 2^32, of the blocks.
        block = (hashes >> np.uint64(32)) * np.uint64(blocks) >> np.uint64(32)
        self._begin = block.view(np.int64) << (_BLOCK_BITS - 3)

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Which byte, and which bit of it."""
        return self._begin + (self._x >> 3), np.left_shift(1, self._x & 7).astype(np.uint8)

    def advance(self) -> None:
        """To the next bit of each."""
        self._x = self._x + self._y & _BLOCK - 1
        self._y = self._y + self._z & _BLOCK - 1

    def keep(self, some: np.ndarray) -> None:
        self._x, self._y, self._z, self._begin = (values[some] for values in (self._x, self._y, self._z, self._begin))


def write(
    path: Path, elements: int, rate: float, about: dict[str, Any], fill: Callable[[Callable[[np.ndarray], None]], None]
) -> Bloom:
    """Makes a filter for at most so many elements, whole or not at all, and opens it.

    Args:
        about: goes into the header.
        fill: is given what takes elements' hashes, as often as there are some.
    """
    blocks, each = size(elements, rate)
    header = {**about, "rate": rate, "blocks": blocks, "bits_each": each}
    temporary = path.with_name(f".{path.name}.tmp")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.truncate(_HEAD + blocks * _BLOCK // 8)
            bits = np.memmap(temporary, np.uint8, "r+", offset=_HEAD)
            bloom = Bloom(header, np.asarray(bits))
            header["elements"] = _filled(bloom, fill)
            header["expected_rate"] = bloom.expected_rate()
            bits.flush()
            content = _MAGIC + json.dumps(header, ensure_ascii=True).encode() + b"\n"
            assert len(content) <= _HEAD, "the header is longer than its place"
            with open(temporary, "r+b") as file:
                file.write(content.ljust(_HEAD))
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return read(path)


def _filled(bloom: Bloom, fill: Callable[[Callable[[np.ndarray], None]], None]) -> int:
    """Fills the filter; returns how many elements it was given, repeated ones counted each time."""
    held: list[np.ndarray] = []
    total = count = 0

    def take(hashes: np.ndarray) -> None:
        nonlocal count, total
        held.append(hashes)
        count += len(hashes)
        total += len(hashes)
        if count >= _TOGETHER:
            bloom.add(np.concatenate(held))
            held.clear()
            count = 0

    fill(take)
    if held:
        bloom.add(np.concatenate(held))
    return total


def read(path: Path) -> Bloom:
    """Opens a filter.

    Raises:
        ZeroscaleError: it is none, of another version, or not whole.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            actual_size = file.seek(0, 2)
    except OSError as error:
        raise ZeroscaleError(f"{path} cannot be read: {error.strerror}") from error
    if not head.startswith(_MAGIC):
        raise ZeroscaleError(f"{path} is no index of a corpus that this version reads; give another name, or delete it")
    try:
        header = json.loads(head[len(_MAGIC) :])
        size = _HEAD + header["blocks"] * _BLOCK // 8
    except (ValueError, KeyError, TypeError) as error:
        raise ZeroscaleError(f"{path} is damaged: its header cannot be read; delete it") from error
    if actual_size != size:
        raise ZeroscaleError(f"{path} is not whole: {actual_size:,} bytes where it should have {size:,}; delete it")
    return Bloom(header, np.asarray(np.memmap(path, np.uint8, "r", offset=_HEAD)))
