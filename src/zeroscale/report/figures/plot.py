"""A figure as data, drawn by `plotly_plot` for the page and by `matplotlib_plot` on paper: the same points in both.

No colour is in it: an ink is "text", "muted", or "ramp" with a place on an ordered scale from small to large.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from zeroscale.report.figures.axes import linear_ticks, log_ticks, tick_texts

Values = list[float]
Ends = list[float | None]


@dataclass(frozen=True)
class Axis:
    """What is shown along it, from where to where; `show` makes a tick's text, by default its number."""

    title: str
    reach: tuple[float, float]
    log: bool = True
    show: Callable[[float], str] | None = None
    at: tuple[float, ...] = ()
    """Where the ticks are, if not at round values."""

    def ticks(self) -> tuple[Values, list[str]]:
        """A few round values within the reach, and their texts."""
        values = list(self.at) or (log_ticks if self.log else linear_ticks)(*self.reach)
        return values, tick_texts(values) if self.show is None else [self.show(value) for value in values]


@dataclass(frozen=True)
class Layer:
    """A line, points with or without intervals (`low` to `high`, `along` x or y), a band between `low` and `high`, or a
    label alone.

    `place` is (index, how many) on the ramp; `text` stands at the last point; `name` is for the legend.
    """

    kind: Literal["line", "points", "band", "label"]
    x: Values
    y: Values = field(default_factory=list)
    ink: Literal["text", "muted", "ramp"] = "text"
    place: tuple[int, int] = (0, 1)
    dash: Literal["solid", "dash", "dot", "dashdot"] = "solid"
    symbol: Literal["circle", "circle-open", "diamond", "star"] = "circle"
    low: Ends = field(default_factory=list)
    high: Ends = field(default_factory=list)
    along: Literal["x", "y"] = "y"
    hover: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    """The run behind each point, where there is one: what a click shows the provenance of."""
    text: str = ""
    name: str = ""
    other_x: dict[str, Values] = field(default_factory=dict)
    """x for each of the figure's other axes."""


@dataclass(frozen=True)
class Plot:
    """`name` is the file's and the page's; `other_x` holds further x axes that a reader may choose, by name."""

    name: str
    title: str
    caption: str
    summary: str
    """What it shows, in a sentence for those who do not see it."""
    x: Axis
    y: Axis
    layers: list[Layer]
    other_x: dict[str, Axis] = field(default_factory=dict)

    @property
    def legend(self) -> bool:
        return any(layer.name for layer in self.layers)


def log_reach(values: Sequence[float], share: float = 0.06, right: float | None = None) -> tuple[float, float]:
    """From the smallest to the largest, widened by a share of the logarithm's span; `right` for room on that side."""
    low, high = min(values), max(values)
    span = math.log(high / low) if high > low else math.log(4)
    return low / math.exp(share * span), high * math.exp((share if right is None else right) * span)


def linear_reach(values: Sequence[float], share: float = 0.08) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = share * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def spread(low: float, high: float, count: int = 41) -> Values:
    """`count` values evenly in the logarithm."""
    step = math.log(high / low) / (count - 1)
    return [low * math.exp(step * i) for i in range(count)]
