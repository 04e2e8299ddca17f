"""The fixed number of CPU threads of deterministic answers: whatever the process has, and however many devices answer.

A sum that is split among threads adds in another order for each number of them. So answers that are to be the same to
the bit are computed with a stated number, which is part of a result's key.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

DEFAULT = 1
"""Where nobody says another number: every machine has one core."""


def fixed_threads(threads: int | None) -> "AbstractContextManager[None]":
    """Computes with so many threads, and with subnormal numbers as IEEE 754 has them, while this is entered. None: with
    whatever the process has."""
    return nullcontext() if threads is None else _fixed(threads)


@contextmanager
def _fixed(threads: int) -> Iterator[None]:
    before, flushes = torch.get_num_threads(), _flushes_subnormals()
    torch.set_num_threads(threads)  # OpenMP's, MKL's and oneDNN's; MKL then chooses no number of its own either
    torch.set_flush_denormal(False)  # a library compiled with -ffast-math may have set it, in this process alone
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushes)


def _flushes_subnormals() -> bool:
    smallest = sys.float_info.min
    return smallest / 2 == 0.0
