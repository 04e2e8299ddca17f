"""Passages of a prepared corpus, drawn by seed: from its training part, from what stands there again and again, and
from what was held out; each with the number of times that the training part holds it.

Memorisation is measured on them (Carlini et al. 2021, "Extracting training data from large language models"; 2022,
"Quantifying memorization across neural language models").
"""

from typing import NamedTuple, TypedDict

import numpy as np

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus import Corpus
from zeroscale.data.corpus_texts import Spelling
from zeroscale.data.ngrams.ngrams import mix, powers
from zeroscale.data.stream import permute

# Passages of the training part examined for each that is drawn, to find repeated ones.
_CANDIDATES = 64
# Repeated passages are drawn from each of these ranges of occurrences; the last has no end.
RANGES = ((2, 3), (4, 9), (10, 31), (32, 99), (100, None))
# Tokens hashed at a time, and windows compared at a time.
_TOKENS, _WINDOWS = 1 << 18, 1 << 12
_TABLE_BITS = 22
# A passage's text goes on so many times its tokens, for models whose tokenizer makes fewer of it.
_REACH = 8


class Passage(TypedDict):
    """A passage as a row of a memorisation card.

    `group` is training, repeated or held_out; `text` is longer than `tokens`, which `tokenizer` (a fingerprint) made.
    """

    group: str
    text: str
    occurrences: int
    tokens: list[int]
    tokenizer: str


class SeenText(NamedTuple):
    """The part of the training text that a run goes through when that is less than an epoch: its first windows.

    Attributes:
        seed, context: the run's; windows: how many it sees, in `TokenStream`'s order.
    """

    seed: int
    context: int
    windows: int


def seen_by(corpus: Corpus, seed: int, context: int, batch_tokens: int, steps: int) -> SeenText | None:
    """What a run of these settings sees; None where that is all of the training part."""
    windows = steps * (batch_tokens // context)
    return None if windows >= max(0, corpus.n_train_tokens - 1) // context else SeenText(seed, context, windows)


def draw(corpus: Corpus, length: int, number: int, seed: int, seen: SeenText | None = None) -> list[Passage]:
    """Rows of `number` passages from the training part, as many held-out ones that it does not hold, and at most as
    many from each range of occurrences (RANGES) that there are such passages for.

    Args:
        length: tokens of a passage. None reaches over the end of a document.
        seen: passages of the training part come from what a run sees of it, each from one window. Occurrences are
            counted in all of it.

    Raises:
        ZeroscaleError: a part of the corpus holds no document of so many tokens.
    """
    starts, windows = _windows(corpus, "train", length, number * _CANDIDATES, seed, seen)
    val_starts, val_windows = _windows(corpus, "val", length, 4 * number, seed, None)
    counts = count_occurrences(corpus, np.concatenate([windows, val_windows]))
    counts, val_counts = counts[: len(windows)], counts[len(windows) :]
    spell = Spelling(corpus.tokenizer)
    rows = [
        _row(corpus, spell, "training", "train", starts, windows, counts, place)
        for place in range(number)[: len(starts)]
    ]
    for low, high in RANGES:
        inside = (counts >= low) & (counts <= (high or np.inf))
        inside[:number] = False
        _, first = np.unique(windows[inside], axis=0, return_index=True)
        for place in np.flatnonzero(inside)[np.sort(first)][:number]:
            rows.append(_row(corpus, spell, "repeated", "train", starts, windows, counts, int(place)))
    for place in np.flatnonzero(val_counts == 0)[:number]:
        rows.append(_row(corpus, spell, "held_out", "val", val_starts, val_windows, val_counts, int(place)))
    if rows[-1]["group"] != "held_out":
        raise ZeroscaleError(
            f"{corpus.directory}: every held-out passage of {length} tokens stands in the training part"
        )
    return rows


def _windows(
    corpus: Corpus, split: str, length: int, number: int, seed: int, seen: SeenText | None
) -> tuple[np.ndarray, np.ndarray]:
    """Where windows inside one document begin, in the order drawn, none twice; their tokens [windows, length]."""
    total = corpus.n_train_tokens if split == "train" else corpus.n_val_tokens
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    # What is drawn is a place: of the whole split, or of the windows seen, those at which a passage ends inside.
    inside = max(1, seen.context + 2 - length) if seen else 1
    places = seen.windows * inside if seen else max(0, total - length)
    if places <= 4 * number:
        starts = rng.permutation(places)
    else:
        drawn = rng.integers(0, places, size=number + number // 8)
        starts = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
    if seen:
        window, offset = np.divmod(starts, inside)
        n_windows = (total - 1) // seen.context
        starts = permute(window, n_windows, seen.seed, 0) * seen.context + offset
        starts = starts[starts + length <= total]
    kept_starts: list[np.ndarray] = []
    kept_windows: list[np.ndarray] = []
    for begin in range(0, len(starts), _WINDOWS):
        some = starts[begin : begin + _WINDOWS]
        windows = corpus.read_windows(split, some, length)
        whole = (windows != corpus.tokenizer.eos).all(axis=1)
        kept_starts.append(some[whole])
        kept_windows.append(windows[whole])
        if sum(map(len, kept_starts)) >= number:
            break
    if not sum(map(len, kept_starts)):
        raise ZeroscaleError(f"{corpus.directory}: no document of its {split} part has {length} tokens")
    return np.concatenate(kept_starts)[:number], np.concatenate(kept_windows)[:number]


def _row(
    corpus: Corpus,
    spell: Spelling,
    group: str,
    split: str,
    starts: np.ndarray,
    windows: np.ndarray,
    counts: np.ndarray,
    place: int,
) -> Passage:
    total = corpus.n_train_tokens if split == "train" else corpus.n_val_tokens
    begin, length = int(starts[place]), windows.shape[1]
    further = corpus.read(split, begin, min(_REACH * length, total - begin))
    ends = np.flatnonzero(further == corpus.tokenizer.eos)
    text = spell(further[: ends[0]] if len(ends) else further).decode("utf-8", "replace")
    return {
        "group": group,
        "text": text,
        "occurrences": int(counts[place]),
        "tokens": windows[place].tolist(),
        "tokenizer": corpus.tokenizer.fingerprint,
    }


def count_occurrences(corpus: Corpus, windows: np.ndarray) -> np.ndarray:
    """How often each of the windows [windows, length] stands in the training part: int64. Reads all of it once.

    By a hash of every window of the corpus, from sums up to each token; what has the right hash is compared.
    """
    length = windows.shape[1]
    ascending, which = np.unique(_window_hashes(windows), return_inverse=True)
    table = np.zeros(1 << _TABLE_BITS, dtype=bool)
    table[ascending >> np.uint64(64 - _TABLE_BITS)] = True
    # Of windows with one hash the first stands for all: others than it would have to be told apart.
    first = np.full(len(ascending), len(windows))
    np.minimum.at(first, which, np.arange(len(windows)))
    counts = np.zeros(len(ascending), dtype=np.int64)
    for begin in range(0, corpus.n_train_tokens - length + 1, _TOKENS):
        size = min(_TOKENS + length - 1, corpus.n_train_tokens - begin)
        tokens = corpus.read("train", begin, size)
        hashes = _hashes(tokens, length)
        places = np.flatnonzero(table[hashes >> np.uint64(64 - _TABLE_BITS)])
        at = np.minimum(np.searchsorted(ascending, hashes[places]), len(ascending) - 1)
        alike = ascending[at] == hashes[places]
        places, at = places[alike], at[alike]
        for part in range(0, len(places), _WINDOWS):
            some = slice(part, part + _WINDOWS)
            candidates = tokens[places[some][:, None] + np.arange(length)]
            same = (candidates == windows[first[at[some]]]).all(axis=1)
            np.add.at(counts, at[some][same], 1)
    return counts[which]


def _hashes(tokens: np.ndarray, length: int) -> np.ndarray:
    """A hash of every `length` tokens in a row: uint64 [tokens - length + 1]."""
    ups, downs = powers(1 << max(1, len(tokens) - 1).bit_length())
    sums = np.zeros(len(tokens) + 1, dtype=np.uint64)
    np.cumsum(mix(tokens.astype(np.uint64) + np.uint64(1)) * ups[: len(tokens)], out=sums[1:])
    last = len(tokens) - length + 1
    return (sums[length:] - sums[:last]) * downs[:last]


def _window_hashes(windows: np.ndarray) -> np.ndarray:
    """The same hash of each window [windows, length]."""
    ups, _ = powers(1 << max(1, windows.shape[1] - 1).bit_length())
    return (mix(windows.astype(np.uint64) + np.uint64(1)) * ups[: windows.shape[1]]).sum(axis=1, dtype=np.uint64)
