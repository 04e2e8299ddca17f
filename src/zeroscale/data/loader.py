"""Batches for one rank: its rows of the global batch of each step, as Lightning's loader takes them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, product
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from zeroscale.data.batch_layout import BatchLayout
from zeroscale.data.stream import TokenStream

Item = TypeVar("Item")
MicroBatch = tuple[Tensor, Tensor]
"""(inputs, targets), int64 [micro_rows, context]."""
# Lightning's loop costs 0.2 ms per item (measured), 3 % of a pocket-size step: an item holds several steps.
STEPS_PER_ITEM = 32


class MicroBatches(IterableDataset[MicroBatch]):
    """One rank's micro-batches from a step on.

    `first_step()` is called when iteration begins, so that a resumed trainer gets the batch that its step needs.
    """

    def __init__(
        self, stream: TokenStream, plan: BatchLayout, rank: int, steps: int, first_step: Callable[[], int]
    ) -> None:
        self._stream = stream
        self._plan = plan
        self._rank = rank
        self._steps = steps
        self._first_step = first_step

    def __iter__(self) -> Iterator[MicroBatch]:
        # Of several loading processes each gives every n-th micro-batch, which is how DataLoader puts them together.
        worker = get_worker_info()
        first, every = (worker.id, worker.num_workers) if worker else (0, 1)
        micro_batches = product(range(self._first_step(), self._steps), range(self._plan.accumulation))
        for step, micro in islice(micro_batches, first, None, every):
            inputs, targets = self._stream.batch_at(step, self._plan.rows_of(self._rank, micro))
            yield torch.from_numpy(inputs), torch.from_numpy(targets)


class Steps(IterableDataset[Iterator[list[MicroBatch]]]):
    """What Lightning takes for a batch: up to `STEPS_PER_ITEM` optimizer steps, each a list of its micro-batches, made
    when the step comes."""

    def __init__(self, micro_batches: Iterable[MicroBatch], accumulation: int, steps: int) -> None:
        """`steps` optimizer steps of `accumulation` micro-batches each."""
        self._micro_batches = micro_batches
        self._accumulation = accumulation
        self._steps = steps

    def __iter__(self) -> Iterator[Iterator[list[MicroBatch]]]:
        micro_batches = iter(self._micro_batches)
        for first_step in range(0, self._steps, STEPS_PER_ITEM):
            yield self._item(micro_batches, min(STEPS_PER_ITEM, self._steps - first_step))

    def _item(self, micro_batches: Iterator[MicroBatch], steps: int) -> Iterator[list[MicroBatch]]:
        for _ in range(steps):
            step = list(islice(micro_batches, self._accumulation))
            assert len(step) == self._accumulation, "the data ended before the run"
            yield step


def loader(batches: IterableDataset[Item], pin: bool) -> DataLoader[Item]:
    """Lightning's view of the batches; they come whole, so nothing is collated."""
    return DataLoader(batches, batch_size=None, num_workers=0, pin_memory=pin)
