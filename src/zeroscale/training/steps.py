"""Micro-batches put together by optimizer steps, and steps by stretches."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from torch.utils.data import IterableDataset

MicroBatch = Any
"""(inputs, targets), each [rows, context]."""

# Lightning's loop costs 0.2 ms each time around (measured), 3 % of a pocket-size step: it goes around once a stretch.
STRETCH = 32


class Steps(IterableDataset):
    """What Lightning takes for a batch: up to `STRETCH` optimizer steps, each a list of its micro-batches, made one by
    one as they are asked for."""

    def __init__(self, micro_batches: Iterable[MicroBatch], accumulation: int, steps: int) -> None:
        """`steps` optimizer steps of `accumulation` micro-batches each."""
        self._micro_batches = micro_batches
        self._accumulation = accumulation
        self._steps = steps

    def __iter__(self) -> Iterator[Iterator[list[MicroBatch]]]:
        micro_batches = iter(self._micro_batches)
        for done in range(0, self._steps, STRETCH):
            yield self._stretch(micro_batches, min(STRETCH, self._steps - done))

    def _stretch(self, micro_batches: Iterator[MicroBatch], steps: int) -> Iterator[list[MicroBatch]]:
        for _ in range(steps):
            step = list(islice(micro_batches, self._accumulation))
            assert len(step) == self._accumulation, "the data ended before the run"
            yield step
