"""What an index finds is what comparing every n-gram with every other finds, whatever their hashes are."""

import random
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.ngrams import index as overlap_index
from zeroscale.data.ngrams import ngrams, scan
from zeroscale.data.ngrams.index import Builder, NgramIndex
from zeroscale.data.ngrams.scan import Piece

WORDS = ["the", "a", "cat", "dog", "house", "tree", "runs", "sees", "finds", "small", "old", "red", "slowly", "and"]


def made(seed: int, texts: int, words: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(0, words))) for _ in range(texts)]


def index_of(directory: Path, texts: list[str], n: int) -> NgramIndex:
    directory.mkdir()
    builder = Builder(directory, n)
    for begin in range(0, len(texts), 7):
        builder.add(texts[begin : begin + 7])
    builder.finish()
    return NgramIndex(directory)


def brute(texts: list[str], corpus: list[str], n: int) -> tuple[list[int], list[int]]:
    """N-grams of each text, and how many of them the corpus holds, by sets of tuples."""

    def grams(text: str) -> list[tuple[str, ...]]:
        words = text.lower().split()
        return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

    there = {gram for text in corpus for gram in grams(text)}
    return [len(grams(text)) for text in texts], [sum(gram in there for gram in grams(text)) for text in texts]


def seek(index: NgramIndex, corpus: list[str], workers: int = 1) -> tuple[list[int], list[int]]:
    found, _ = scan.seek(index.directory, [Piece(text, False) for text in corpus], workers)
    totals, hits = index.by_text(found)
    return totals.tolist(), hits.tolist()


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_an_index_finds_what_brute_force_finds(n, tmp_path):
    texts, corpus = made(n, 60, 40), made(100 + n, 80, 60)
    expected = brute(texts, corpus, n)
    assert sum(expected[1]) > 0 or n == 8
    assert seek(index_of(tmp_path / "i", texts, n), corpus) == expected


SHORT = st.lists(st.text(st.sampled_from("ab c"), max_size=30), max_size=6)


@settings(max_examples=60, deadline=None)
@given(SHORT, SHORT, st.integers(1, 4))
def test_any_texts_and_any_corpus_give_what_brute_force_gives(texts, corpus, n):
    with tempfile.TemporaryDirectory() as folder:
        assert seek(index_of(Path(folder) / "i", texts, n), corpus) == brute(texts, corpus, n)


def test_a_hash_that_many_ngrams_share_changes_nothing(tmp_path, monkeypatch):
    # Hash first, then verify: with four values for all hashes only the words themselves can tell.
    texts, corpus = made(1, 40, 30), made(2, 40, 30)
    expected = brute(texts, corpus, 3)
    before = ngrams.ngrams

    def poor(some, n):
        hashes, first = before(some, n)
        return hashes & np.uint64(3), first

    monkeypatch.setattr(ngrams, "ngrams", poor)
    index = index_of(tmp_path / "i", texts, 3)
    assert index.header["longest_run"] > 50
    assert seek(index, corpus) == expected


def test_an_index_made_in_parts_is_the_one_made_at_once(tmp_path, monkeypatch):
    texts = made(3, 200, 40)
    whole = index_of(tmp_path / "whole", texts, 4)
    monkeypatch.setattr(overlap_index, "_SORTED", 100)
    parts = index_of(tmp_path / "parts", texts, 4)
    assert whole.header == parts.header
    assert whole.header["distinct"] == len(
        {tuple(t.split()[i : i + 4]) for t in texts for i in range(len(t.split()) - 3)}
    )


def test_what_is_looked_up_may_be_written_otherwise(tmp_path):
    index = index_of(tmp_path / "i", ["It was the best of times, it was the worst of times."], 6)
    assert seek(index, ["... IT WAS -- the BEST\nof times; 'It was' nothing"]) == ([7], [3])
    assert seek(index, ["It was the best", "of times it was the worst"]) == ([7], [1])


def test_texts_without_an_ngram_and_no_text_at_all(tmp_path):
    assert seek(index_of(tmp_path / "a", ["one two", "", "!"], 3), ["one two three four"]) == ([0, 0, 0], [0, 0, 0])
    assert seek(index_of(tmp_path / "b", [], 3), ["one two three four"]) == ([], [])


def test_a_long_text_in_pieces_is_one_text(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "BATCH", 300)
    draw = random.Random(5)
    long = " ".join(draw.choices([f"w{number}" for number in range(500)], k=2000))
    other = " ".join(draw.choices([f"w{number}" for number in range(500)], k=50))
    # Cut before spaces, at places that are nothing to the words.
    cuts = [0, *sorted(draw.sample([i for i, c in enumerate(long) if c == " "], 40)), len(long)]
    pieces = [Piece(long[a:b], number > 0) for number, (a, b) in enumerate(pairwise(cuts))]
    index = index_of(tmp_path / "i", [long, other], 8)
    found, counts = scan.seek(index.directory, [*pieces, Piece("apart from it", False)], 1)
    totals, hits = index.by_text(found)
    assert hits.tolist() == [totals[0], 0] and counts.ngrams == totals[0] == 2000 - 7


def test_processes_side_by_side_find_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "BATCH", 2000)
    texts, corpus = made(7, 60, 60), made(8, 300, 100)
    index = index_of(tmp_path / "i", texts, 4)
    assert seek(index, corpus, workers=2) == seek(index, corpus) == brute(texts, corpus, 4)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda d: (d / "index.json").unlink(), "is no index of n-grams"),
        (lambda d: (d / "index.json").write_text('{"format": 99}'), "of another version"),
        (lambda d: (d / "places.bin").unlink(), "places.bin is not there"),
        (lambda d: (d / "hashes.bin").write_bytes((d / "hashes.bin").read_bytes()[:-8]), "is not whole"),
    ],
)
def test_a_damaged_index_is_named(harm, told, tmp_path):
    index_of(tmp_path / "i", made(1, 10, 20), 2)
    harm(tmp_path / "i")
    with pytest.raises(ZeroscaleError, match=told):
        NgramIndex(tmp_path / "i")


def test_planted_overlaps_are_found_at_the_rate_at_which_they_were_planted(tmp_path):
    draw = random.Random(11)

    def strange(number: int) -> list[str]:
        return [f"{draw.getrandbits(48):x}q" for _ in range(number)]

    benchmark = [strange(60) for _ in range(400)]
    corpus = [strange(1000) for _ in range(50)]
    planted = 0
    for text in draw.sample(benchmark, 80):
        size = draw.randint(8, 60)
        begin = draw.randint(0, 60 - size)
        draw.choice(corpus).extend([*text[begin : begin + size], *strange(5)])
        planted += size - 7
    index = index_of(tmp_path / "i", [" ".join(words) for words in benchmark], 8)
    totals, hits = seek(index, [" ".join(words) for words in corpus])
    assert sum(totals) == 400 * 53
    assert sum(hits) == planted
