"""Ranges, ticks and their texts: the same for the page's figures and the PNGs."""

import math

from zeroscale.core import format
from zeroscale.report.views.benchmarks import Panel


def tick_texts(values: list[float]) -> list[str]:
    """Round numbers as an axis shows them; in full where the short forms would not tell them apart."""
    short = [tick_text(value) for value in values]
    return short if len(set(short)) == len(set(values)) else [f"{value:,.12g}" for value in values]


def tick_text(value: float) -> str:
    """A round number as an axis shows it: 0.25, 20 K, 500 M; beyond the letters a power of ten."""
    if value and not 1e-4 <= abs(value) < 1e15:
        return format.flat(format.figure(value, 1)).removeprefix("1 × ")
    text = format.scaled(value) if abs(value) >= 1e4 else f"{value:g}"
    return text.replace("-", format.MINUS)


def apart(sizes: list[float]) -> list[float]:
    """Sizes at least 1.5× apart, so that their labels do not touch."""
    distinct: list[float] = []
    for n in sorted(set(sizes)):
        if not distinct or n >= 1.5 * distinct[-1]:
            distinct.append(n)
    return distinct


def log_ticks(low: float, high: float) -> list[float]:
    """Between 4 and 9 round numbers over [low, high], as evenly spread in the logarithm as round numbers get."""
    if low <= 0 or high / low < 1.0001:
        return [value for value in (low,) if value > 0]
    decades = math.log10(high / low)
    if decades < 0.7:
        return linear_ticks(low, high)
    digits = (1, 2, 5) if decades < 2.5 else (1, 3) if decades < 4 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    stride = max(1, round(decades / 7)) if digits == (1,) else 1
    ticks = [digit * 10.0**power for power in powers if power % stride == 0 for digit in digits]
    return [float(f"{tick:.6g}") for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def linear_ticks(low: float, high: float, parts: int = 5) -> list[float]:
    """The multiples of a round step over [low, high], at most `parts` steps of them."""
    step = _round_step((high - low) / parts)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{i * step:.10g}") for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return power * next(digit for digit in (1, 2, 5, 10) if digit * power >= raw * 0.999)


def padded(values: list[float], share: float = 0.12) -> tuple[float, float]:
    """The range of positive values, widened at both ends by a share of its logarithm's span."""
    low, high = min(values), max(values)
    factor = (high / low) ** share if high > low else 1.05
    return low / factor, high * factor


def chance_drawn(panel: Panel) -> bool:
    """Whether chance is worth a line: on a scale from 0 to 1, or within a factor of two of the values.

    Elsewhere (8 bits per byte) the line would press the values together; the panel's text tells it. Zero is the
    axis itself.
    """
    if not panel.chance:
        return False
    values = _values(panel)
    accuracy = panel.higher_is_better and 0 < panel.chance <= 1 and min(values) >= 0 and max(values) <= 1
    return accuracy or min(values) / 2 <= panel.chance <= 2 * max(values)


def spans_decades(panel: Panel) -> bool:
    """Whether a metric's values are so far apart (perplexities are) that only a logarithmic axis shows them all."""
    values = [v for point in panel.points for v in (point.value, point.low) if v is not None]
    values += [value for _, _, value in panel.published]
    return not panel.higher_is_better and min(values) > 0 and max(values) / min(values) > 6


def panel_reach(panel: Panel) -> tuple[float, float]:
    """The range of a panel's metric. What has no negative value has no negative axis: no score here can be below 0."""
    values = _values(panel) + ([panel.chance] if panel.chance is not None and chance_drawn(panel) else [])
    if spans_decades(panel):
        return padded([value for value in values if value > 0], 0.06)
    low, high = min(values), max(values)
    if low == high == 0:
        return 0.0, 1.0
    pad = 0.08 * (high - low) or 0.05 * abs(high)
    return (max(0.0, low - pad) if low >= 0 else low - pad), high + pad


def _values(panel: Panel) -> list[float]:
    values = [v for point in panel.points for v in (point.value, point.low, point.high) if v is not None]
    values += [value for line in panel.lines for _, value in line.points]
    return values + [value for _, _, value in [*panel.published, *panel.reproduced]]
