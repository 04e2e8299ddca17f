"""Examples shown in a prompt: drawn by seed from a pool of their own or, where only the scored file is at hand, from
its rows, which are then left out and counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

from zeroscale.core.errors import ZeroscaleError

ExampleT = TypeVar("ExampleT")


@dataclass(frozen=True)
class FewshotSplit(Generic[ExampleT]):
    """The examples for the prompt in the order drawn, and those that are left to be scored."""

    shots: list[ExampleT]
    rest: list[ExampleT]
    left_out: int
    """Examples that are there but not scored."""


def draw(examples: Sequence[ExampleT], pool: Sequence[ExampleT], n: int, seed: int) -> FewshotSplit[ExampleT]:
    """Draws `n` from the pool, or where that is empty from the examples. The same seed draws the same.

    Raises:
        ZeroscaleError: there are too few.
    """
    if n == 0:
        return FewshotSplit([], list(examples), 0)
    if pool:
        if len(pool) < n:
            raise ZeroscaleError(f"shots={n}: the pool holds {len(pool)} examples only")
        return FewshotSplit(Random(seed).sample(list(pool), n), list(examples), 0)
    if len(examples) <= n:
        raise ZeroscaleError(f"{len(examples)} examples are too few: {n} are used up as examples in the prompt")
    places = Random(seed).sample(range(len(examples)), n)
    used = set(places)
    rest = [example for place, example in enumerate(examples) if place not in used]
    return FewshotSplit([examples[place] for place in places], rest, n)
