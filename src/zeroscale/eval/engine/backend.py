"""The two surfaces of the engine: what its halves (log-likelihoods, generation) ask of it, and what scoring asks."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from zeroscale.eval.engine.cost import Usage
    from zeroscale.eval.engine.requests import Answer, Request
    from zeroscale.model.protocol import LanguageModel, TextTokenizer

Progress = Callable[[int, int], None]
"""Takes how many requests are done, and of how many."""


class Backend(Protocol):
    """A model with its tokenizer on a device, and the bookkeeping of its batches."""

    model: "LanguageModel"
    tokenizer: "TextTokenizer"
    device: "torch.device"
    n_positions: int
    batch_tokens: int
    """Positions of a batch; smaller after `shrink_batches`."""
    share: bool
    """Compute once what requests have in common at their beginnings."""
    deterministic: bool
    """One request at a time and nothing shared, on a fixed number of threads: an answer is the same to the bit whatever
    else is asked."""

    @property
    def newlines(self) -> frozenset[int]:
        """Ids whose text holds a line's end."""

    def add_usage(
        self, *, tokens: int = 0, padding: int = 0, saved: int = 0, new_tokens: int = 0, seconds: float = 0.0
    ) -> None:
        """Adds to `usage`; the numbers are those of `engine.cost.Usage`."""

    def shrink_batches(self, tokens: int, divisible: bool) -> None:
        """Takes at most `tokens` positions in a batch from now on, because the memory did not suffice.

        Raises:
            ZeroscaleError: the batch is one request and cannot be divided.
        """


class RequestRunner(Protocol):
    """Whatever answers requests: an `Engine`, or a `Pool` of several devices."""

    tokenizer: "TextTokenizer"
    n_positions: int
    batch_tokens: int
    deterministic: bool
    fixed_threads: int | None
    """CPU threads that each answer is computed with whatever the process has; None: not fixed, or on a GPU."""
    devices: int
    usage: "Usage"

    @property
    def threads(self) -> int:
        """CPU threads of each device's process."""

    def run(self, requests: "Sequence[Request]", progress: Progress | None = None) -> "list[Answer]":
        """The answers, in the order of the requests."""
