"""Numbers as people read them."""

import pytest

from zeroscale.core import format


@pytest.mark.parametrize(
    ("value", "text"),
    [(25_344, "25.3 K"), (1_638_400, "1.64 M"), (124_439_808, "124 M"), (999_999, "1 M"), (512, "512"), (0, "0")],
)
def test_counts_carry_a_letter(value, text):
    assert format.scaled(value).replace("\u00a0", " ") == text


def test_flops_carry_an_si_prefix():
    assert format.flops(3.2e13) == "32\u00a0TFLOP"
    assert format.flops(None) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.40512, "3.41"),
        (0.0901, "0.0901"),
        (123_456.0, "123,000"),
        (8.8e13, "8.80 × 10^{13}"),
        (-2.5, "−2.50"),
        (9.999, "10.0"),
    ],
)
def test_figures_have_significant_digits(value, text):
    assert format.figure(value) == text


def test_powers_of_ten_need_no_markup():
    assert format.flat("8.80 × 10^{13} to 2 × 10^{−5}") == "8.80 × 10¹³ to 2 × 10⁻⁵"
    assert format.flat("N^{α}, x^2") == "N^{α}, x^2"


def test_both_ends_of_an_interval_have_the_same_decimals():
    assert format.interval(0.0187, 0.259) == "0.019 to 0.259"
    assert format.interval(-0.099, -0.081, 2) == "−0.099 to −0.081"
    assert format.interval(None, 1.0) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(23.04, "23 s"), (185, "3 min 05 s"), (7_800, "2 h 10 min"), (None, "–")]
)
def test_durations(seconds, text):
    assert format.duration(seconds).replace("\u00a0", " ") == text


def test_durations_are_read_at_a_glance():
    assert [format.duration(seconds, "clock") for seconds in (5, 65, 3705)] == ["0:05", "1:05", "1:01:45"]
    short = [format.duration(seconds, "short") for seconds in (45, 720, 11_520, 440_640, None)]
    assert short == ["45 s", "12 min", "3.2 h", "5.1 d", "–"]


def test_general_numbers_have_four_digits():
    assert [format.general(value) for value in (0.325649, 1.8e20, None)] == ["0.3256", "1.8e+20", "–"]
    assert format.general(0.0123456, signed=True) == "+0.01235"
    assert format.general(None, missing=format.NOT_FINITE) == "not finite"


def test_an_interval_is_written_by_what_it_is_given():
    assert format.interval(0.31, 0.33333, show=format.general) == "0.31 to 0.3333"
    assert format.interval(None, 1.0, show=format.general, missing="none") == "none"
    assert format.interval(1.0, None, show=format.general, unbounded=("–∞", "∞")) == "1 to ∞"
    assert format.interval(None, None, show=format.general, missing="–", unbounded=("–∞", "∞")) == "–"


def test_counts_in_words():
    assert format.count(4, "size") == "four sizes"
    assert format.count(1, "size") == "one size"
    assert format.count(40, "entry", "entries") == "40 entries"
