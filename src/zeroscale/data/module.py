"""Batches for one rank: what `batch_at(step)` holds, sliced after the fact."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from zeroscale.data.layout import Layout
from zeroscale.data.tokens import TokenStream


class MicroBatches(IterableDataset):
    """One rank's micro-batches from a step on: (inputs, targets), int64 [micro_rows, context].

    `first_step()` is asked when iteration begins, so that a resumed trainer gets the batch that its step needs.
    """

    def __init__(self, stream: TokenStream, plan: Layout, rank: int, steps: int, first_step: Callable[[], int]) -> None:
        self._stream = stream
        self._plan = plan
        self._rank = rank
        self._steps = steps
        self._first_step = first_step

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(self._first_step(), self._steps):
            inputs, targets = self._stream.batch_at(step)
            for micro in range(self._plan.accumulation):
                rows = self._plan.rows_of(self._rank, micro)
                yield torch.from_numpy(inputs[rows]), torch.from_numpy(targets[rows])


def loader(batches: MicroBatches, pin: bool) -> DataLoader:
    """Lightning's view of the micro-batches; they come whole, so nothing is collated."""
    return DataLoader(batches, batch_size=None, num_workers=0, pin_memory=pin)
