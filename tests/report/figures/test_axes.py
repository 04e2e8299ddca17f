"""Axes read as numbers, start where a score can, and leave room for the data."""

import pytest

from zeroscale.report.figures import axes
from zeroscale.report.views.benchmarks import Panel, Point


def panel(*values: tuple[float, float, float], higher: bool = True, chance: float | None = None) -> Panel:
    points = [Point(f"r{i}", f"r{i}", 10.0**i, 1, v, low, high, 12, "") for i, (v, low, high) in enumerate(values)]
    return Panel("acc", higher, chance, points, [])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (4, "4"),
        (20_000, "20 K"),
        (1e9, "1 B"),
        (1e18, "10¹⁸"),
        (2e-5, "2 × 10⁻⁵"),
        (-1, "−1"),
    ],
)
def test_ticks_have_no_markup(value, text):
    assert axes.tick_text(value).replace("\u00a0", " ") == text


def test_ticks_that_would_read_alike_are_written_out():
    assert axes.tick_texts([150_200, 150_400]) == ["150,200", "150,400"]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0.27), (3.2, 3.6), (0, 8.4), (10_000, 22_500), (0, 1e-3)])
def test_linear_ticks_are_few_and_inside(low, high):
    ticks = axes.linear_ticks(low, high)
    assert 3 <= len(ticks) <= 6 and low <= ticks[0] and ticks[-1] <= high * 1.001


def test_scores_that_are_all_zero_stand_on_the_axis():
    assert axes.panel_reach(panel((0, 0, 0), (0, 0, 0))) == (0, 1)


def test_no_axis_goes_below_zero():
    low, high = axes.panel_reach(panel((0.08, 0.0, 0.25), (0.1, 0.02, 0.3)))
    assert low == 0 and high > 0.3
    low, _ = axes.panel_reach(panel((3.4, 3.3, 3.5), (3.3, 3.2, 3.4), higher=False))
    assert 3.0 < low < 3.2


def test_chance_far_from_the_values_is_not_drawn():
    bits = [(3.4, 3.3, 3.5), (3.2, 3.1, 3.3)]
    assert not axes.chance_drawn(panel(*bits, higher=False, chance=8.0))
    assert axes.panel_reach(panel(*bits, higher=False, chance=8.0))[1] < 4
    assert axes.chance_drawn(panel(*bits, higher=False, chance=6.0))
    assert axes.panel_reach(panel(*bits, higher=False, chance=6.0))[1] > 6


def test_chance_of_an_accuracy_is_drawn_and_zero_is_the_axis():
    assert axes.chance_drawn(panel((0.9, 0.85, 0.95), chance=0.1))
    assert not axes.chance_drawn(panel((0.9, 0.85, 0.95), chance=0.0))
    assert not axes.chance_drawn(panel((0.9, 0.85, 0.95)))


def test_perplexities_decades_apart_get_a_logarithmic_axis():
    shown = panel((1e7, 1e6, 1e9), (1e3, 1e2, 1e4), higher=False)
    low, high = axes.panel_reach(shown)
    assert axes.spans_decades(shown) and 10 < low < 100 and 1e9 < high < 1e10
