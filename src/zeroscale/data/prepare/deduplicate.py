"""Removes duplicate documents: exact ones by sha256, near ones by MinHash; the first occurrence is kept.

Keys and signatures (`exact_key`, `MinHasher`) are computed where a document is tokenised; `DeduplicationIndex` compares
them, in the corpus' order, with an index in SQLite on the disk, so that memory does not bound the corpus.
"""

import hashlib
import re
import sqlite3
import unicodedata
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zeroscale.config.data import DataConfig

# Shingles of five words, as the collectors of OpenWebText and Lee et al. 2022 ("Deduplicating Training Data Makes
# Language Models Better", section 4.2) take them.
SHINGLE_WORDS = 5
SEED = 1
# The least probability that a pair as similar as the threshold shares a band. Documents that share one are compared by
# their whole signatures, so that a band shared by chance costs time and no document.
_RECALL = 0.99
# Shingles sketched at a time: the table of their hashes stays below 10 MB.
_SHINGLES = 1 << 14
_WORD = re.compile(r"\w+")


def exact_key(text: str) -> bytes:
    """16 bytes of the sha256 of the text in Unicode's NFC with every run of white space as one space."""
    plain = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(plain.encode("utf-8")).digest()[:16]


@dataclass(frozen=True)
class MinHasher:
    """MinHash of documents for one threshold of Jaccard similarity.

    The estimate of a similarity J has the standard error √(J(1 − J) / permutations): 0.035 at 0.8 with 128
    (Broder 1997).
    """

    threshold: float
    permutations: int

    @cached_property
    def bands(self) -> tuple[int, int]:
        """Bands and rows of each: as many rows as leave a pair of similarity s = threshold a chance of `_RECALL` at
        least, 1 − (1 − s^rows)^bands (Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4.2)."""
        for rows in range(self.permutations, 0, -1):
            bands = self.permutations // rows
            if 1 - (1 - self.threshold**rows) ** bands >= _RECALL:
                return bands, rows
        return self.permutations, 1

    def signature(self, text: str) -> np.ndarray:
        """uint32 [permutations]: for each permutation the smallest hash of the text's shingles."""
        from datasketch import MinHash

        sketch = MinHash(num_perm=self.permutations, seed=SEED, hashfunc=int)
        hashes = shingles(text)
        for start in range(0, len(hashes), _SHINGLES):
            sketch.update_batch(hashes[start : start + _SHINGLES].tolist())
        return sketch.hashvalues.astype(np.uint32)

    def signatures(self, texts: list[str]) -> np.ndarray:
        """uint32 [texts, permutations]."""
        table = np.empty((len(texts), self.permutations), dtype=np.uint32)
        for row, text in zip(table, texts, strict=True):
            row[:] = self.signature(text)
        return table

    def keys(self, signature: np.ndarray) -> list[int]:
        """A 64-bit key for each band: two documents with a key in common are worth comparing."""
        bands, rows = self.bands
        parts = signature[: bands * rows].reshape(bands, rows)
        return [_key(band.to_bytes(2, "little") + part.tobytes()) for band, part in enumerate(parts)]


def _key(content: bytes) -> int:
    """64 bits, signed: SQLite's integers."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)


def shingles(text: str) -> np.ndarray:
    """Sorted different 32-bit hashes of every five words in a row (of all words where they are fewer), case folded."""
    words = [zlib.crc32(word.encode("utf-8", "replace")) for word in _WORD.findall(text.casefold())]
    if not words:
        return np.zeros(1, dtype=np.uint64)
    hashes = _mix(np.array(words, dtype=np.uint64))
    width = min(SHINGLE_WORDS, len(words))
    total = np.zeros(len(words) - width + 1, dtype=np.uint64)
    for offset in range(width):
        # Odd multipliers make the order of the words count.
        total += hashes[offset : offset + len(total)] * np.uint64(2 * offset + 1)
    return np.unique(_mix(total) >> np.uint64(32))


def _mix(value: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


class DeduplicationIndex:
    """The documents kept so far, in tables of the caller's SQLite file; whoever commits that file commits these."""

    def __init__(self, database: sqlite3.Connection, hasher: MinHasher | None) -> None:
        self._database = database
        self._hasher = hasher
        database.execute("CREATE TABLE IF NOT EXISTS exact (key BLOB PRIMARY KEY, document INTEGER) WITHOUT ROWID")
        database.execute("CREATE TABLE IF NOT EXISTS signatures (document INTEGER PRIMARY KEY, hashes BLOB)")
        database.execute(
            "CREATE TABLE IF NOT EXISTS bands (key INTEGER, document INTEGER, PRIMARY KEY (key, document))"
            " WITHOUT ROWID"
        )

    def forget_after(self, documents: int) -> None:
        """Takes the index back to what it was after so many documents."""
        for table in ("exact", "signatures", "bands"):
            self._database.execute(f"DELETE FROM {table} WHERE document > ?", (documents,))

    def add_exact(self, key: bytes, document: int | None = None) -> bool:
        """Whether the text is an exact duplicate; if not, it is added to the index as document `document`."""
        inserted = self._database.execute("INSERT OR IGNORE INTO exact VALUES (?, ?)", (key, document)).rowcount
        return inserted == 0

    def add_near(self, signature: np.ndarray, document: int | None = None) -> bool:
        """Whether the document is a near duplicate of a kept one; if not, it is added to the index."""
        assert self._hasher is not None
        keys = self._hasher.keys(signature)
        placeholders = ",".join("?" * len(keys))
        candidates = self._database.execute(
            "SELECT hashes FROM signatures WHERE document IN"
            f" (SELECT document FROM bands WHERE key IN ({placeholders}))",
            keys,
        )
        for (hashes,) in candidates:
            if np.mean(np.frombuffer(hashes, dtype="<u4") == signature) >= self._hasher.threshold:
                return True
        content = signature.astype("<u4").tobytes()
        added = self._database.execute("INSERT INTO signatures (document, hashes) VALUES (?, ?)", (document, content))
        document = added.lastrowid  # the next one where none is given
        self._database.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?)", [(key, document) for key in keys])
        return False


def settings_of(data: DataConfig) -> tuple[bool, MinHasher | None]:
    """Whether exact duplicates are dropped, and how near ones are found (None: they stay)."""
    if data.kind == "stdlib":
        return False, None
    threshold = data.near_duplicate_threshold
    hasher = None if threshold is None else MinHasher(threshold, data.near_duplicate_permutations)
    return data.drop_exact_duplicates, hasher
