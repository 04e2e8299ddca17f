"""What scoring and generating ask of the engine that runs them: a model, its tokenizer, and how much fits at once."""

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from zeroscale.data.tokenizer import Tokenizer


class Backend(Protocol):
    """A model with its tokenizer on a device, and the bookkeeping of its batches.

    `model` is a `model.gpt.GPT` or offers the same methods (`hidden`, `head_weight`, `new_cache`).
    """

    model: Any
    tokenizer: "Tokenizer"
    device: "torch.device"
    n_positions: int
    batch_tokens: int
    """Positions of a batch; smaller after `shrink`."""
    share: bool
    """Compute once what requests have in common at their beginnings."""
    deterministic: bool
    """One request at a time and nothing shared: an answer is the same to the bit whatever else is asked."""

    @property
    def newlines(self) -> frozenset[int]:
        """Ids whose text holds a line's end."""

    def spend(self, **more: float) -> None:
        """Adds to the cost."""

    def shrink(self, tokens: int, can_be_less: bool) -> None:
        """Takes smaller batches from now on: the memory did not suffice."""
