"""What scoring and generating ask of a language model and of its tokenizer, whoever made them.

`model.gpt.GPT` and `data.tokenizer.Tokenizer` offer it; adapters give other models the same surface. Shapes: B rows,
T tokens, d = what `hidden` returns for a token, V = vocabulary.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, overload

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class ModelShape(Protocol):
    """What every model's `config` says."""

    @property
    def vocab_size(self) -> int:
        """Columns of the logits."""

    @property
    def n_positions(self) -> int:
        """The longest input, in tokens."""


class Cache(Protocol):
    """What a model keeps of the tokens that it has read. Rows end together, with padding on the left."""

    def drop(self, rows: Sequence[int]) -> list[int]:
        """Removes rows; returns the former numbers of the rows that stay."""

    def select(self, rows: Sequence[int]) -> Self:
        """A new cache whose row i is a copy of this one's `rows[i]`."""


class LanguageModel(Protocol):
    """A causal language model."""

    training: bool

    @property
    def config(self) -> ModelShape: ...

    def new_cache(self, batch: int, max_length: int, starts: Sequence[int] | None = None) -> Cache:
        """An empty cache for `batch` rows of at most `max_length` columns; row b has `starts[b]` columns of padding."""

    # A model continues only caches that it has made, whatever their class.
    def hidden(self, tokens: "Tensor", cache: Any = None) -> "Tensor":
        """Ids [B, T] → what `logits` takes, [B, T, d]; with a cache, they continue its rows and are added to it."""

    def logits(self, hidden: "Tensor") -> "Tensor":
        """[..., d] → logits [..., V]."""

    def parameters(self) -> "Iterator[nn.Parameter]": ...

    def modules(self) -> "Iterator[nn.Module]": ...

    def eval(self) -> Self: ...

    def train(self, mode: bool = True) -> Self: ...

    # As torch.nn.Module declares it, so that a module is seen to have it.
    @overload
    def to(self, device: "torch.device | str", /) -> Self: ...

    @overload
    def to(self, dtype: "torch.dtype", /) -> Self: ...


class TextTokenizer(Protocol):
    """Text to token ids and back."""

    vocab_size: int

    @property
    def eos(self) -> int:
        """The id of the end of text."""

    @property
    def start(self) -> int:
        """The id that stands before a text: the beginning of text or, where there is none, the end of one.

        Raises:
            ZeroscaleError: the model does not know it.
        """

    @property
    def splits_before_space(self) -> bool:
        """Whether it is certain that no token reaches from what is no white space to a space or a `\n` after it, so
        that what stands before and behind may be encoded apart."""

    @property
    def fingerprint(self) -> str:
        """Hex sha256 of all that decides how a text is encoded."""

    def encode(self, text: str) -> list[int]: ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]: ...

    def encode_whole(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode_batch`, with the tokens that the tokenizer itself puts around a text."""

    def decode(self, ids: Iterable[int]) -> str: ...

    def decode_bytes(self, ids: Iterable[int]) -> bytes: ...

    def token_byte_lengths(self) -> np.ndarray:
        """int64 [vocab_size]: bytes of text behind each id; 0 for special tokens."""
