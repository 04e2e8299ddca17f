"""CPU threads of torch."""

import torch

from zeroscale.core.machine import check_threads, cpu_cores


def use_threads(count: int | None) -> None:
    """Computes with so many threads from here on; None: with one for each core.

    Raises:
        ZeroscaleError: the system refuses one of them.
    """
    count = count or cpu_cores()
    check_threads(count)
    torch.set_num_threads(count)
