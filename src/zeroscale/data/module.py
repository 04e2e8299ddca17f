"""Batches for one rank: what `batch_at(step)` holds, sliced after the fact."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from zeroscale.data.tokens import TokenStream


@dataclass(frozen=True)
class Layout:
    """How a global batch of `rows` windows becomes micro-batches: every rank does `accumulation` of `micro_rows`."""

    rows: int
    ranks: int
    micro_rows: int

    @property
    def accumulation(self) -> int:
        return self.rows // (self.ranks * self.micro_rows)

    def rows_of(self, rank: int, micro: int) -> slice:
        """The rows of the global batch that a rank reads in its micro-batch `micro`."""
        start = (micro * self.ranks + rank) * self.micro_rows
        return slice(start, start + self.micro_rows)


def layout(batch_tokens: int, context: int, ranks: int, micro_batch_tokens: int | None, limit: int) -> Layout:
    """Micro-batches as given, or the largest that divide a rank's share within `limit` tokens (at least a row).

    The settings have been checked: the share is a whole number of rows.
    """
    share = batch_tokens // (context * ranks)
    if micro_batch_tokens:
        micro = micro_batch_tokens // context
    else:
        micro = max(
            rows for rows in range(1, share + 1) if share % rows == 0 and (rows * context <= limit or rows == 1)
        )
    assert share % micro == 0
    return Layout(rows=share * ranks, ranks=ranks, micro_rows=micro)


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
