"""Batches for one rank: what `batch_at(step)` holds, sliced after the fact."""

from collections.abc import Callable, Iterator
from itertools import islice, product

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

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
        # Of several loading processes each gives every n-th micro-batch, which is how DataLoader puts them together.
        worker = get_worker_info()
        mine, all_of_them = (worker.id, worker.num_workers) if worker else (0, 1)
        micros = product(range(self._first_step(), self._steps), range(self._plan.accumulation))
        for step, micro in islice(micros, mine, None, all_of_them):
            inputs, targets = self._stream.batch_at(step, self._plan.rows_of(self._rank, micro))
            yield torch.from_numpy(inputs), torch.from_numpy(targets)


def loader(batches: MicroBatches, pin: bool) -> DataLoader:
    """Lightning's view of the micro-batches; they come whole, so nothing is collated."""
    return DataLoader(batches, batch_size=None, num_workers=0, pin_memory=pin)
