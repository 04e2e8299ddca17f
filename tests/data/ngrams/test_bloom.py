"""A Bloom filter misses nothing, errs as often as it says, and names what is wrong with its file."""

from pathlib import Path

import numpy as np
import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.ngrams import bloom


def numbers(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def made(path: Path, elements: np.ndarray, rate: float) -> bloom.Bloom:
    def fill(take):
        for part in np.array_split(elements, 7):
            take(part)

    return bloom.write(path, len(elements), rate, {"n": 8, "corpus": {"path": "é"}}, fill)


@pytest.mark.parametrize("rate", [1e-2, 1e-3])
def test_it_misses_nothing_and_errs_as_often_as_it_says(rate, tmp_path):
    elements, others = numbers(1, 200_000), numbers(2, 1_000_000)
    found = made(tmp_path / "filter", elements, rate)
    assert found.contains(elements).all()
    errors = int(found.contains(others).sum())
    expected = found.header["expected_rate"] * len(others)
    # Three standard deviations of a count; the rate that was asked for is an upper bound.
    assert abs(errors - expected) < 3 * expected**0.5 and found.header["expected_rate"] < 1.02 * rate


def test_at_the_papers_rate_a_million_strangers_are_all_turned_away(tmp_path):
    # "We further verified the low false positive rate by generating 1M strings, of which zero were found."
    elements = numbers(3, 50_000)
    found = made(tmp_path / "filter", elements, 1e-8)
    assert found.contains(elements).all() and not found.contains(numbers(4, 1_000_000)).any()
    assert found.header["expected_rate"] < 1e-8 and found.header["bits_each"] == 27
    # 38.3 bits for each element are the least that this rate needs (Bloom 1970).
    assert (tmp_path / "filter").stat().st_size < 50_000 * 38.4 / 8 * 1.05 + 3 * 2**15


def test_the_header_is_read_again(tmp_path):
    made(tmp_path / "filter", numbers(5, 1000), 1e-4)
    header = bloom.read(tmp_path / "filter").header
    assert header["n"] == 8 and header["corpus"] == {"path": "é"}
    assert header["rate"] == 1e-4 and header["elements"] == 1000


def test_an_empty_filter_finds_nothing(tmp_path):
    found = made(tmp_path / "filter", numbers(0, 0), 1e-8)
    assert not found.contains(numbers(1, 1000)).any() and found.contains(numbers(0, 0)).shape == (0,)


def test_a_file_that_is_none_or_not_whole_is_named(tmp_path):
    path = tmp_path / "filter"
    with pytest.raises(ZeroscaleError, match="cannot be read"):
        bloom.read(path)
    path.write_text("a novel")
    with pytest.raises(ZeroscaleError, match="is no index of a corpus"):
        bloom.read(path)
    made(path, numbers(1, 1000), 1e-8)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ZeroscaleError, match="is not whole"):
        bloom.read(path)


def test_a_making_that_fails_leaves_nothing(tmp_path):
    def fill(take):
        raise ZeroscaleError("the corpus is gone")

    with pytest.raises(ZeroscaleError, match="gone"):
        bloom.write(tmp_path / "filter", 10, 1e-8, {}, fill)
    assert not list(tmp_path.iterdir())
