"""What counts as a duplicate, beside plain counting and datasketch's own index."""

import random
import sqlite3

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH

from zeroscale.data.prepare.deduplicate import SEED, DeduplicationIndex, MinHasher, exact_key, shingles


def some_text(draw: random.Random, words: int = 400) -> list[str]:
    return [f"w{draw.randrange(3000)}" for _ in range(words)]


def changed(draw: random.Random, text: list[str], share: float) -> list[str]:
    """The text with about so many of its words exchanged."""
    return [f"x{draw.randrange(3000)}" if draw.random() < share else word for word in text]


def jaccard(first: list[str], second: list[str]) -> float:
    one, two = ({tuple(text[n : n + 5]) for n in range(len(text) - 4)} for text in (first, second))
    return len(one & two) / len(one | two)


def test_white_space_and_unicode_forms_do_not_make_a_text_another():
    assert exact_key("a  cafe\u0301\n b ") == exact_key("a café b")
    assert len({exact_key(text) for text in ("a b", "ab", "A b", "")}) == 4


def test_shingles_are_five_words_in_order():
    words = [f"w{n}" for n in range(30)]
    assert len(shingles(" ".join(words))) == 26
    assert np.array_equal(shingles("One, two THREE four five"), shingles("one two three four five"))
    assert not np.array_equal(shingles("one two three four five"), shingles("one two three five four"))
    assert len(shingles("two words")) == 1 and len(shingles("")) == 1
    # The same share in common as the sets of tuples have.
    draw = random.Random(0)
    for share in (0.0, 0.02, 0.1):
        first = some_text(draw)
        second = changed(draw, first, share)
        one, two = (set(shingles(" ".join(text)).tolist()) for text in (first, second))
        assert len(one & two) / len(one | two) == pytest.approx(jaccard(first, second), abs=1e-9)


def test_a_signature_is_datasketchs():
    text = " ".join(some_text(random.Random(1), 40_000))
    theirs = MinHash(num_perm=64, seed=SEED, hashfunc=int)
    for value in shingles(text).tolist():
        theirs.update(value)
    assert np.array_equal(MinHasher(0.8, 64).signature(text), theirs.hashvalues)


def test_signatures_estimate_the_similarity():
    draw = random.Random(2)
    sketches, errors = MinHasher(0.8, 256), []
    for share in np.linspace(0, 0.3, 30):
        first = some_text(draw)
        second = changed(draw, first, share)
        one, two = (sketches.signature(" ".join(text)) for text in (first, second))
        errors.append(np.mean(one == two) - jaccard(first, second))
    # Standard error at most 1 / (2 √256) = 0.031 each.
    assert abs(np.mean(errors)) < 0.02 and np.std(errors) < 0.035


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_near_duplicates_are_those_that_comparing_all_pairs_finds(threshold):
    draw = random.Random(3)
    texts = []
    for _ in range(60):
        texts.append(some_text(draw, 300))
        texts += [changed(draw, texts[-1], draw.choice([0.0, 0.005, 0.02, 0.05, 0.2])) for _ in range(3)]
    draw.shuffle(texts)
    sketches = MinHasher(threshold, 128)
    signatures = [sketches.signature(" ".join(text)) for text in texts]
    seen = DeduplicationIndex(sqlite3.connect(":memory:"), sketches)
    found = [seen.add_near(signature) for signature in signatures]
    kept, expected = [], []
    for signature in signatures:
        expected.append(any(np.mean(signature == other) >= threshold for other in kept))
        kept += [] if expected[-1] else [signature]
    # The bands miss a pair now and then: that is what the index costs.
    assert sum(expected) > 40 and not any(f and not e for f, e in pairwise_equal_until(found, expected))
    assert sum(f != e for f, e in zip(found, expected, strict=True)) <= 0.02 * len(texts)


def pairwise_equal_until(found: list[bool], expected: list[bool]) -> list[tuple[bool, bool]]:
    """The pairs up to the first miss, after which the two have kept different documents."""
    pairs = list(zip(found, expected, strict=True))
    first = next((n for n, (f, e) in enumerate(pairs) if f != e), len(pairs))
    return pairs[: first + 1]


def test_what_datasketchs_index_finds_is_found():
    draw = random.Random(4)
    sketches = MinHasher(0.7, 128)
    theirs = MinHashLSH(num_perm=128, params=sketches.bands)
    seen = DeduplicationIndex(sqlite3.connect(":memory:"), sketches)
    kept = {}
    text = some_text(draw)
    for number in range(200):
        text = changed(draw, text, 0.03) if number % 5 else some_text(draw)
        signature = sketches.signature(" ".join(text))
        sketch = MinHash(num_perm=128, seed=SEED, hashfunc=int, hashvalues=signature, scheme="affine32")
        similar = any(sketch.jaccard(kept[name]) >= 0.7 for name in theirs.query(sketch))
        assert seen.add_near(signature) == similar
        if not similar:
            kept[number] = sketch
            theirs.insert(number, sketch)
    assert 40 <= len(kept) < 190


def test_the_first_stays_and_exact_ones_are_counted_once():
    seen = DeduplicationIndex(sqlite3.connect(":memory:"), None)
    assert [seen.add_exact(exact_key(text)) for text in ("a", "b", "a ", "c", "b", "a")] == [0, 0, 1, 0, 1, 1]


def test_nothing_that_was_not_committed_is_remembered(tmp_path):
    sketches = MinHasher(0.8, 64)
    signature = sketches.signature("some words that are more than five")
    for expected in (False, False, True):
        database = sqlite3.connect(tmp_path / "seen", isolation_level=None)
        seen = DeduplicationIndex(database, sketches)
        database.execute("BEGIN")
        assert seen.add_near(signature) is expected and seen.add_exact(b"k" * 16) is expected
        if expected is False and list(tmp_path.glob("second")):
            database.execute("COMMIT")
        (tmp_path / "second").touch()
        database.close()


@pytest.mark.parametrize("permutations", [16, 128, 256])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 0.9, 1.0])
def test_bands_leave_no_pair_at_the_threshold_to_chance(threshold, permutations):
    bands, rows = MinHasher(threshold, permutations).bands
    assert bands * rows <= permutations and 1 - (1 - threshold**rows) ** bands >= 0.99
    # One row more in each would not do.
    assert rows == permutations or 1 - (1 - threshold ** (rows + 1)) ** (permutations // (rows + 1)) < 0.99
