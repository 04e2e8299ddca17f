"""`random.Random`'s methods over hypothesis: what a kind draws by seed, hypothesis draws and shrinks."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies


class Drawing:
    """As much of `random.Random` as the kinds use."""

    def __init__(self, data: Any) -> None:
        self._draw = data.draw

    def random(self) -> float:
        return self._draw(strategies.integers(0, 9999)) / 10000

    def randrange(self, start: int, stop: int | None = None) -> int:
        low, high = (0, start) if stop is None else (start, stop)
        return self._draw(strategies.integers(low, high - 1))

    def choice(self, options: Sequence[Any]) -> Any:
        return options[self.randrange(len(options))]

    def choices(self, options: Sequence[Any], weights: Sequence[int]) -> list[Any]:
        return [self.choice([option for option, weight in zip(options, weights, strict=True) for _ in range(weight)])]

    def sample(self, options: Sequence[Any], k: int) -> list[Any]:
        left = list(options)
        return [left.pop(self.randrange(len(left))) for _ in range(k)]
