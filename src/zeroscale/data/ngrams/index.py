"""The n-grams of some texts (benchmarks), so that others can be looked up in them: exactly, and by many processes.

<directory>/
  index.json      n, counts, what the texts are, sha256 of each file
  content.bin     the texts' words, as `ngrams.Words.content` has them
  texts.bin       int64 [texts]: the byte behind each text's NUL
  hashes.bin      uint64 [different n-grams], ascending
  places.bin      uint32, beside them: where in the content each n-gram stands first
  filter.bin      bits of a hash that some n-gram has: most others are told apart by them

The files are mapped into memory, so that processes side by side hold them once. A hash only leads to a place: what
counts is that the words there are the same.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, sha256_file, sha256_json, write_json
from zeroscale.data.ngrams import ngrams
from zeroscale.data.ngrams.ngrams import PAD, Words

INDEX = "index.json"
FORMAT = 1
_FILES: dict[str, type[np.generic]] = {
    "content": np.uint8,
    "texts": np.int64,
    "hashes": np.uint64,
    "places": np.uint32,
    "filter": np.uint8,
}
# Bits of the filter for each n-gram: with two looked at, one in some hundred strangers passes.
_FILTER_BITS = 16
# N-grams sorted at a time, and entries read at a time: what the making needs in memory.
_SORTED = 1 << 20
# Bytes of content looked through at a time.
_BLOCK = 1 << 18


class Builder:
    """Makes an index in an empty directory: `add` texts in their order, then `finish`."""

    def __init__(self, directory: Path, n: int) -> None:
        self._directory, self._n = directory, n
        self._raw = {name: open(directory / f"{name}.tmp", "wb") for name in ("hashes", "places", "lengths")}  # noqa: SIM115
        self._content = open(directory / "content.bin", "wb")  # noqa: SIM115 (closed by finish)
        self._texts: list[np.ndarray] = []
        self._bytes = self._ngrams = 0

    def add(self, texts: Sequence[str]) -> None:
        """More texts; each stands for itself."""
        some = ngrams.words(texts)
        hashes, first = ngrams.ngrams(some, self._n)
        begins, lengths = ngrams.spans(some, first, self._n)
        size = len(some.content) - PAD
        if self._bytes + size >= 1 << 32:
            raise ZeroscaleError("the benchmarks hold more than 4 GB of words; look at some of them at a time")
        self._raw["hashes"].write(hashes.tobytes())
        self._raw["places"].write((begins + self._bytes).astype(np.uint32).tobytes())
        self._raw["lengths"].write(lengths.astype(np.uint32).tobytes())
        self._content.write(some.content[:size].tobytes())
        self._texts.append(some.ends[some.breaks] + 1 + self._bytes)
        self._bytes += size
        self._ngrams += len(hashes)

    def finish(self, about: object = None) -> None:
        """Sorts what was added; `about` is what the header says of the texts (JSON)."""
        for file in (*self._raw.values(), self._content):
            file.close()
        texts = np.concatenate([np.empty(0, np.int64), *self._texts])
        texts.tofile(self._directory / "texts.bin")
        bits = max(16, (_FILTER_BITS * self._ngrams).bit_length())
        marks = np.zeros(1 << bits - 3, dtype=np.uint8)
        distinct, longest = 0, 1
        with open(self._directory / "hashes.bin", "wb") as hashes, open(self._directory / "places.bin", "wb") as places:
            for some, at in self._sorted():
                for slots in _slots(some, bits):
                    np.bitwise_or.at(marks, slots >> 3, (1 << (slots & 7)).astype(np.uint8))
                hashes.write(some.tobytes())
                places.write(at.tobytes())
                distinct += len(some)
                longest = max(longest, _longest_run(some))
        marks.tofile(self._directory / "filter.bin")
        for name in self._raw:
            (self._directory / f"{name}.tmp").unlink()
        sums = {name: sha256_file(self._directory / f"{name}.bin") for name in _FILES}
        header = {
            "format": FORMAT,
            "n": self._n,
            "texts": len(texts),
            "ngrams": self._ngrams,
            "distinct": distinct,
            "longest_run": longest,
            "about": about,
            "sha256": sums,
            "fingerprint": sha256_json(sums),
        }
        write_json(self._directory / INDEX, header)

    def _sorted(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Hashes in ascending order with the first place of each different n-gram, a range of hashes at a time."""
        content = _padded(self._directory / "content.bin")
        bits = (self._ngrams // _SORTED).bit_length()
        for part in range(1 << bits):
            hashes, places, lengths = self._part(part, bits)
            order = np.argsort(hashes, kind="stable")
            hashes, places, lengths = hashes[order], places[order].astype(np.int64), lengths[order].astype(np.int64)
            again = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1
            # A shorter one with the same hash is another.
            alike = lengths[again] == lengths[again - 1]
            alike &= ngrams.same(content, places[again], content, places[again - 1], lengths[again])
            kept = np.ones(len(hashes), dtype=bool)
            kept[again[alike]] = False
            yield hashes[kept], places[kept].astype(np.uint32)

    def _part(self, part: int, bits: int) -> list[np.ndarray]:
        """Of all n-grams, those whose hashes begin with the `bits` bits `part`: hashes, places, lengths."""
        found: list[list[np.ndarray]] = [[], [], []]
        kinds = (np.uint64, np.uint32, np.uint32)
        files = [self._directory / f"{name}.tmp" for name in ("hashes", "places", "lengths")]
        with open(files[0], "rb") as one, open(files[1], "rb") as two, open(files[2], "rb") as three:
            for begin in range(0, self._ngrams, _SORTED):
                count = min(_SORTED, self._ngrams - begin)
                some = [np.fromfile(file, kind, count) for file, kind in zip((one, two, three), kinds, strict=True)]
                mine = slice(None) if bits == 0 else some[0] >> np.uint64(64 - bits) == part
                for kept, values in zip(found, some, strict=True):
                    kept.append(values[mine])
        return [np.concatenate([np.empty(0, kind), *parts]) for kind, parts in zip(kinds, found, strict=True)]


def _longest_run(hashes: np.ndarray) -> int:
    """How many different n-grams have the same hash at most; 1 unless chance plays a trick."""
    edges = np.flatnonzero(np.diff(hashes)) + 1
    return int(np.diff(np.concatenate([[0], edges, [len(hashes)]])).max()) if len(hashes) else 1


def _slots(hashes: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The two bits of the filter that each hash has: int64."""
    return (hashes >> np.uint64(64 - bits)).view(np.int64), (hashes & np.uint64((1 << bits) - 1)).view(np.int64)


def _padded(path: Path) -> np.ndarray:
    """The content, with the zeros behind it that `ngrams.Words` asks for."""
    with open(path, "ab") as file:
        size = file.tell()
        file.write(bytes(PAD))
    return np.asarray(np.memmap(path, np.uint8, "r", shape=(size + PAD,)))


class NgramIndex:
    """An index on the disk, opened for looking up.

    Attributes:
        n: words of an n-gram; distinct: different n-grams; hashes: theirs, uint64, by number; header: what index.json
            holds.
    """

    def __init__(self, directory: Path) -> None:
        """Raises:
        ZeroscaleError: there is none, of another version, or not whole.
        """
        if not (directory / INDEX).is_file():
            raise ZeroscaleError(
                f"{directory} is no index of n-grams (no {INDEX} in it): make one with `zeroscale overlap ngrams=DIR`"
            )
        self.directory, self.header = directory, read_json(directory / INDEX)
        if not isinstance(self.header, dict) or self.header.get("format") != FORMAT:
            raise ZeroscaleError(f"{directory} is an index of another version; make it anew with `zeroscale overlap`")
        arrays = {name: _mapped(directory / f"{name}.bin", kind) for name, kind in _FILES.items()}
        self.n, self.distinct = self.header["n"], self.header["distinct"]
        self._content, self._texts, self.hashes, self._places, self._filter = arrays.values()
        if len(self.hashes) != self.distinct or len(self._places) != self.distinct:
            raise ZeroscaleError(f"{directory}: hashes.bin or places.bin is not whole; make the index anew")
        self._bits = (8 * len(self._filter)).bit_length() - 1

    def find(self, some: Words, hashes: np.ndarray, first: np.ndarray) -> np.ndarray:
        """int64 [n-grams]: each one's number in the index, -1 where it is not in it.

        Args:
            hashes, first: of `ngrams.ngrams(some, self.n)`.
        """
        numbers = np.full(len(hashes), -1, dtype=np.int64)
        left = self._perhaps(hashes)
        at = np.searchsorted(self.hashes, hashes[left])
        for _ in range(self.header["longest_run"]):
            if not left.size:
                break
            alike = (self.hashes[np.minimum(at, self.distinct - 1)] == hashes[left]) & (at < self.distinct)
            left, at = left[alike], at[alike]
            begins, lengths = ngrams.spans(some, first[left], self.n)
            right = ngrams.same(some.content, begins, self._content, self._places[at].astype(np.int64), lengths)
            numbers[left[right]] = at[right]
            left, at = left[~right], at[~right] + 1
        return numbers

    def _perhaps(self, hashes: np.ndarray) -> np.ndarray:
        """The numbers of those hashes whose bits the filter has."""
        if not self.distinct:
            return np.empty(0, dtype=np.int64)
        one, two = _slots(hashes, self._bits)
        left = np.flatnonzero(self._filter[one >> 3] >> (one & 7).astype(np.uint8) & 1)
        two = two[left]
        return left[self._filter[two >> 3] >> (two & 7).astype(np.uint8) & 1 != 0]

    def by_text(self, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """N-grams of each text, repeated ones counted each time, and how many of them are found: int64 [texts] both.

        Args:
            found: bool [distinct], by number.
        """
        totals, hits = (np.zeros(len(self._texts), dtype=np.int64) for _ in range(2))
        for number, some in self._words():
            hashes, first = ngrams.ngrams(some, self.n)
            text = number + np.searchsorted(some.breaks, first)
            totals += np.bincount(text, minlength=len(totals))
            hits += np.bincount(text[found[self.find(some, hashes, first)]], minlength=len(hits))
        return totals, hits

    def _words(self) -> Iterator[tuple[int, Words]]:
        """The content in blocks of whole texts, each with the number of its first text."""
        begin = number = 0
        while number < len(self._texts):
            last = max(number + 1, int(np.searchsorted(self._texts, begin + _BLOCK)))
            end = int(self._texts[last - 1])
            content = np.zeros(end - begin + PAD, dtype=np.uint8)
            content[:-PAD] = self._content[begin:end]
            yield number, ngrams.of_content(content)
            begin, number = end, last


def _mapped(path: Path, kind: type[np.generic]) -> np.ndarray:
    if not path.is_file():
        raise ZeroscaleError(f"{path} is not there: the index is damaged; make it anew with `zeroscale overlap`")
    if path.stat().st_size == 0:
        return np.empty(0, dtype=kind)
    return np.asarray(np.memmap(path, kind, "r"))
