"""Words and n-grams by numpy are those that a few lines of plain Python find."""

import re
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroscale.data.ngrams import ngrams, normalize

# Letters of several scripts, digits that are not 0 to 9, marks, spaces of all kinds, what has no lower case or a longer
# one, half a surrogate pair, and NUL.
CHARACTERS = "aZé ß\u0130ΣσЖ字あ٣²_-'’\u0301\u00a0\n\t\0\ud800\U00010400½ẞȺ"
TEXT = st.text(st.sampled_from(CHARACTERS), max_size=60)


def plain_words(text: str) -> list[str]:
    """The rule, character by character."""
    lower = "".join(one.lower()[0] if one.isalnum() else " " for one in text)
    return [word for word in lower.split(" ") if word]


def found_words(texts: list[str]) -> list[list[str]]:
    some = ngrams.words(texts)
    words = [bytes(some.content[a:b]).decode() for a, b in zip(some.starts, some.ends, strict=True)]
    begins = [0, *(some.breaks[:-1] + 1)] if texts else []
    assert [words[place] for place in some.breaks] == ["\0"] * len(texts)
    return [words[begin:end] for begin, end in zip(begins, some.breaks, strict=True)]


@settings(deadline=None)
@given(st.lists(TEXT, max_size=4))
def test_words_are_the_rules(texts):
    assert found_words(texts) == [plain_words(text) for text in texts]


def test_the_rule_is_the_papers_on_english():
    text = "“Don’t,” said Mrs. Dashwood-Ferrars; 1,000 pounds_a year — at the CAFÉ."
    words = ["don", "t", "said", "mrs", "dashwood", "ferrars", "1", "000", "pounds", "a", "year", "at", "the", "café"]
    assert found_words([text]) == [words] == [re.findall(r"[^\W_]+", text.lower())]


def test_a_letter_is_lower_cased_by_itself():
    # Python's own lower() makes two characters of the dotted I, and looks behind a sigma.
    assert found_words(["İSTANBUL ΟΔΟΣ"]) == [["istanbul", "οδοσ"]]


def plain_ngrams(texts: list[str], n: int) -> list[tuple[str, ...]]:
    every = [plain_words(text) for text in texts]
    return [tuple(words[i : i + n]) for words in every for i in range(len(words) - n + 1)]


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("ab c"), max_size=40), max_size=5), st.integers(1, 4))
def test_every_ngram_is_found_once_and_none_reaches_over_a_texts_end(texts, n):
    some = ngrams.words(texts)
    hashes, first = ngrams.ngrams(some, n)
    begins, lengths = ngrams.spans(some, first, n)
    there = [
        tuple(bytes(some.content[a : a + size]).decode().split(" ")[:-1])
        for a, size in zip(begins, lengths, strict=True)
    ]
    assert there == plain_ngrams(texts, n)
    by_hash = defaultdict(set)
    for value, words in zip(hashes.tolist(), there, strict=True):
        by_hash[value].add(words)
    assert all(len(words) == 1 for words in by_hash.values())
    assert len(by_hash) == len(set(there))


def test_a_hash_is_of_the_words_and_not_of_their_place():
    long = "x" * 300
    for n, phrase in ((1, "internationalisation"), (3, f"so {long} then"), (8, "the cat sat on the mat and slept")):
        values = set()
        for before in ("", "one ", "some words more than before "):
            some = ngrams.words(["another text", before + phrase + " end"])
            hashes, first = ngrams.ngrams(some, n)
            begins, lengths = ngrams.spans(some, first, n)
            (at,) = [
                i
                for i in range(len(first))
                if bytes(some.content[begins[i] : begins[i] + lengths[i]]).decode() == phrase + " "
            ]
            values.add(int(hashes[at]))
        assert len(values) == 1


@settings(max_examples=50, deadline=None)
@given(st.text(st.sampled_from("ab '-é"), max_size=600), st.integers(0, 5))
def test_the_last_words_are_the_end_of_the_text_from_the_nth_word_on(text, number):
    end = ngrams.trailing_words(text, number)
    assert text.endswith(end)
    words = plain_words(text)
    assert plain_words(end) == (words[-number:] if number else [])


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 100])
def test_bytes_are_compared_to_the_last_one(length):
    rng = np.random.default_rng(length)
    a = rng.integers(97, 123, 300, dtype=np.uint8)
    b = a.copy()
    b[50 + length - 1] ^= 1
    at = np.array([50, 51])
    sizes = np.array([length, length - 1])
    assert ngrams.same(a, at, b, at, sizes).tolist() == [False, length == 1]
    assert ngrams.same(a, at, a, at, sizes).all()
    # What would lie behind the end is not the same as anything.
    assert not ngrams.same(a, np.array([0]), a, np.array([299]), np.array([length])).any()


def folded_plainly(text: str) -> list[str]:
    return "".join(one.lower()[0] if one.isalnum() else " " for one in text).split(" ")


@settings(deadline=None)
@given(st.text(st.sampled_from("a" * 60 + CHARACTERS), min_size=50, max_size=400))
def test_few_other_characters_and_many_are_folded_alike(text):
    # One way mends bytes in place, the other goes by code points: which, the share of such characters says.
    text = text.replace("\0", " ")
    for some in (text, "x" * 9000 + text, text + "é" * 900):
        got = normalize.normalize(some).decode().split(" ")
        assert [word for word in got if word] == [word for word in folded_plainly(some) if word]


def test_every_character_is_folded_as_python_says():
    every = "".join(map(chr, range(1, 0x110000)))
    assert [w for w in normalize.normalize(every).decode().split(" ") if w] == [w for w in folded_plainly(every) if w]
    for begin in range(0, len(every), 5_000):
        few = every[begin : begin + 40] + "a" * 8000
        assert [w for w in normalize.normalize(few).decode().split(" ") if w] == [w for w in folded_plainly(few) if w]
