"""N-grams of words, hashed by the hundred thousand: what overlap of texts is counted in.

The GPT-2 paper's rule (Radford et al. 2019, section 4): "strings were normalized to contain only lower-cased
alphanumeric words with a single space as a delimiter". What it leaves open is settled here: a word is a longest run of
characters for which Python's `str.isalnum` holds, in any script, each in lower case by itself (Unicode's simple
mapping); everything else parts words, apostrophes and hyphens too. `re.findall(r"[^\\W_]+", text.lower())` gives the
same words, but for the final sigma and the dotted I, whose lower case depends on what stands around them.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from zeroscale.data.ngrams.normalize import SPACE, normalize

BREAK = 0
# Behind the words, so that eight bytes can be read at the beginning of any of them.
PAD = 8
# Longer words are hashed one by one; text has none such.
LONG_WORD = 256
# Odd, so that it has an inverse modulo 2^64.
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
# The first so many bytes of eight, as little-endian numbers have them.
_FIRST = np.array([(1 << 8 * count) - 1 for count in range(9)], dtype=np.uint64)
_WORD = re.compile(r"[^\W_]+")


class Words(NamedTuple):
    """The words of some texts.

    Attributes:
        content: uint8: every word with one space behind it; `PAD` zeros at the end. Behind each text stands a word that
            no text can have, a single NUL.
        starts, ends: int64 [words]: where a word begins, and the space behind it.
        breaks: int64 [texts]: which words are those NULs.
    """

    content: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    breaks: np.ndarray


def words(texts: Sequence[str]) -> Words:
    """The words of texts that are apart: no n-gram reaches from one into the next."""
    letters = np.frombuffer(b"".join(normalize(text.replace("\0", " ")) + b" \0 " for text in texts), dtype=np.uint8)
    keep = np.empty(len(letters), dtype=bool)
    solid = letters != SPACE
    np.logical_or(solid[1:], solid[:-1], out=keep[1:])
    keep[:1] = solid[:1]
    kept = letters[keep]
    content = np.zeros(len(kept) + PAD, dtype=np.uint8)
    content[:-PAD] = kept
    return of_content(content)


def of_content(content: np.ndarray) -> Words:
    """The words of what `Words.content` holds."""
    ends = np.flatnonzero(content == SPACE)
    starts = np.empty_like(ends)
    starts[:1] = 0
    starts[1:] = ends[:-1] + 1
    return Words(content, starts, ends, np.flatnonzero(content[starts] == BREAK))


def ngrams_of_8(content: np.ndarray) -> np.ndarray:
    """uint64 [bytes - 7]: the eight bytes from each place on; no copy."""
    return np.ndarray((max(0, len(content) - 7),), "<u8", content, 0, (1,))


def mix(value: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): every input bit reaches every output bit."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def word_hashes(some: Words) -> np.ndarray:
    """uint64 [words]: a function of each word's bytes; words of up to eight bytes have hashes of their own."""
    blocks = ngrams_of_8(some.content)
    lengths = some.ends - some.starts
    hashes = mix(blocks[some.starts] & _FIRST[np.minimum(lengths, 8)])
    rest, offset = np.flatnonzero(lengths > 8), 8
    huge = rest[lengths[rest] > LONG_WORD]
    if huge.size:
        rest = rest[lengths[rest] <= LONG_WORD]
        digests = [_digest(some.content[some.starts[word] : some.ends[word]]) for word in huge]
        hashes[huge] = np.array(digests, dtype=np.uint64)
    while rest.size:
        block = blocks[some.starts[rest] + offset] & _FIRST[np.minimum(lengths[rest] - offset, 8)]
        hashes[rest] = mix(hashes[rest] ^ block)
        offset += 8
        rest = rest[lengths[rest] > offset]
    return hashes


def _digest(word: np.ndarray) -> int:
    return int.from_bytes(blake2b(word.tobytes(), digest_size=8).digest(), "little")


def ngrams(some: Words, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Every n words in a row of one text: their hashes, uint64 [n-grams], and the number of the first word of each.

    The hash of words with hashes w is Σ w[i] · base^i modulo 2^64, from sums up to each word: as fast for any n.
    """
    count = len(some.starts)
    if count < n:
        return np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
    ups, downs = powers(1 << (count - 1).bit_length())
    sums = np.empty(count + 1, dtype=np.uint64)
    sums[0] = 0
    np.cumsum(word_hashes(some) * ups[:count], out=sums[1:])
    last = count - n + 1
    hashes = (sums[n:] - sums[:last]) * downs[:last]
    # The word that ends the text in which each word stands.
    ends = np.repeat(some.breaks, np.diff(some.breaks, prepend=-1))
    first = np.flatnonzero(np.arange(n, count + 1) <= ends[:last])
    return hashes[first], first


@lru_cache(8)
def powers(size: int) -> tuple[np.ndarray, np.ndarray]:
    """base^i and base^-i modulo 2^64 for i below `size`."""
    tables = []
    for factor in (_BASE, _INVERSE):
        table = np.full(size, factor, dtype=np.uint64)
        table[0] = 1
        tables.append(np.cumprod(table, dtype=np.uint64))
    return tables[0], tables[1]


def spans(some: Words, first: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Where n-grams lie in the content: first byte and number of bytes, the space behind the last word among them."""
    begins = some.starts[first]
    return begins, some.ends[first + n - 1] + 1 - begins


def same(a: np.ndarray, a_at: np.ndarray, b: np.ndarray, b_at: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whether the `lengths` bytes from `a_at` on in one content are those from `b_at` on in another: bool."""
    equal = b_at + lengths <= len(b) - PAD
    mine, theirs = ngrams_of_8(a), ngrams_of_8(b)
    left, offset = np.flatnonzero(equal), 0
    while left.size:
        some = _FIRST[np.minimum(lengths[left] - offset, 8)]
        alike = (mine[a_at[left] + offset] ^ theirs[b_at[left] + offset]) & some == 0
        equal[left[~alike]] = False
        offset += 8
        left = left[alike & (lengths[left] > offset)]
    return equal


def trailing_words(text: str, number: int) -> str:
    """The end of a text with its last so many words: what an n-gram that goes on behind it begins with."""
    if number == 0:
        return ""
    reach = 256
    while True:
        found = list(_WORD.finditer(text, max(0, len(text) - reach)))
        # The first may have been cut into.
        if len(found) > number or reach >= len(text):
            return text[found[-number:][0].start() :] if found else text
        reach *= 4
