"""Batches for one rank: what `batch_at(step)` holds, sliced after the fact."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, product
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from zeroscale.data.batch_layout import BatchLayout
from zeroscale.data.stream import TokenStream


class MicroBatches(IterableDataset):
    """One rank's micro-batches from a step on: (inputs, targets), int64 [micro_rows, context].

    `first_step()` is asked when iteration begins, so that a resumed trainer gets the batch that its step needs.
    """

    def __init__(
        self, stream: TokenStream, plan: BatchLayout, rank: int, steps: int, first_step: Callable[[], int]
    ) -> None:
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


MicroBatch = Any
# Lightning's loop costs 0.2 ms each time around (measured), 3 % of a pocket-size step: it goes around once a stretch.
STEPS_PER_ITEM = 32


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
        for done in range(0, self._steps, STEPS_PER_ITEM):
            yield self._stretch(micro_batches, min(STEPS_PER_ITEM, self._steps - done))

    def _stretch(self, micro_batches: Iterator[MicroBatch], steps: int) -> Iterator[list[MicroBatch]]:
        for _ in range(steps):
            step = list(islice(micro_batches, self._accumulation))
            assert len(step) == self._accumulation, "the data ended before the run"
            yield step
