"""However a global batch is cut for ranks, micro-batches and loading processes, the run sees the same tokens."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zeroscale.data.batch_layout import BatchLayout
from zeroscale.data.loader import MicroBatches, loader
from zeroscale.data.stream import TokenStream


def stream() -> TokenStream:
    """Eight rows of 4 tokens, of a corpus whose token i is i; 27 windows, so that epochs end inside batches."""

    def read_windows(split: str, starts: np.ndarray, length: int) -> np.ndarray:
        return starts[:, None] + np.arange(length)

    corpus = SimpleNamespace(n_train_tokens=4 * 27 + 1, directory="made", read_windows=read_windows)
    return TokenStream(corpus, seed=5, context=4, batch_tokens=32)


@pytest.mark.parametrize(("ranks", "micro_rows"), [(r, m) for r in (1, 2, 4, 8) for m in (1, 2, 4, 8) if r * m <= 8])
def test_every_world_size_and_accumulation_sees_the_same_batches(ranks, micro_rows):
    plan = BatchLayout(rows=8, ranks=ranks, micro_rows=micro_rows)
    seen = [list(MicroBatches(stream(), plan, rank, 7, lambda: 2)) for rank in range(ranks)]
    for step in range(2, 7):
        parts = [
            seen[rank][(step - 2) * plan.accumulation + micro]
            for micro in range(plan.accumulation)
            for rank in range(ranks)
        ]
        inputs, targets = stream().batch_at(step)
        assert torch.equal(torch.cat([part[0] for part in parts]), torch.from_numpy(inputs))
        assert torch.equal(torch.cat([part[1] for part in parts]), torch.from_numpy(targets))
    assert all(len(micros) == 5 * plan.accumulation for micros in seen)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_loading_processes_change_nothing(processes):
    plan = BatchLayout(rows=8, ranks=2, micro_rows=2)
    micros = MicroBatches(stream(), plan, 1, 5, lambda: 1)
    expected = list(loader(micros, pin=False))
    found = list(torch.utils.data.DataLoader(micros, batch_size=None, num_workers=processes))
    assert len(found) == len(expected) == 4 * 2
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
