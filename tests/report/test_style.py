"""Colours: legible in both themes (WCAG 2.2, 1.4.3 and 1.4.11), and told apart by all kinds of colour vision."""

import re
from itertools import combinations
from pathlib import Path

import pytest

from zeroscale.report import dashboard

CSS = (Path(dashboard.__file__).parent / "assets/style.css").read_text(encoding="utf-8")


def theme(name: str) -> dict[str, str]:
    block = re.search(
        {"light": r"^:root \{(.*?)\n\}", "dark": r'^:root\[data-theme="dark"\] \{(.*?)\n\}'}[name], CSS, re.S | re.M
    )
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block[1]))


def linear(color: str) -> list[float]:
    """Linear-light RGB of a hex colour (IEC 61966-2-1)."""
    values = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]


def contrast(first: str, second: str) -> float:
    """WCAG 2.2's contrast ratio."""
    weights, colors = (0.2126, 0.7152, 0.0722), (first, second)
    bright = sorted(sum(w * v for w, v in zip(weights, linear(c), strict=True)) for c in colors)
    return (bright[1] + 0.05) / (bright[0] + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_has_a_contrast_of_four_and_a_half(name):
    colors = theme(name)
    for ink in ("text", "muted", "link", "right", "wrong"):
        for ground in ("paper", "panel"):
            assert contrast(colors[ink], colors[ground]) >= 4.5, (ink, ground)
    assert contrast(colors["warn-text"], colors["warn-paper"]) >= 4.5


@pytest.mark.parametrize("name", ["light", "dark"])
def test_series_have_a_contrast_of_three(name):
    colors = theme(name)
    for ink in [f"s{i}" for i in range(7)]:
        assert contrast(colors[ink], colors["paper"]) >= 3, ink


# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
DEFICIENCIES = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("name", ["light", "dark"])
def test_the_first_four_series_differ_without_red_or_green(name, deficiency):
    colors = theme(name)
    matrix = DEFICIENCIES[deficiency]
    seen = [[sum(a * b for a, b in zip(row, linear(colors[f"s{i}"]), strict=True)) for row in matrix] for i in range(4)]
    for first, second in combinations(seen, 2):
        assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) > 0.1


def test_both_ways_into_the_dark_theme_are_the_same():
    media = re.search(r":root:not\(\[data-theme=\"light\"\]\) \{(.*?)\n  \}", CSS, re.S)
    assert dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", media[1])) == theme("dark")
