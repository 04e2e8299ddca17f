"""The model's size and the tokenizer: conf/model and conf/tokenizer."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from zeroscale.config.types import STRICT, Fraction, Name, Positive, RecordedPath


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ModelConfig:
    """A GPT-2-style decoder's shape. `vocab_size: null` takes the tokenizer's."""

    name: Name
    n_layer: Annotated[int, Field(gt=0, le=10_000)]
    d_model: Annotated[int, Field(gt=0, le=2**20)]
    n_head: Positive
    n_positions: Annotated[int, Field(gt=0, le=2**24)]
    vocab_size: Annotated[int, Field(gt=0, le=2**24)] | None = None
    dropout: Fraction = 0.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BpeTokenizer:
    """Byte-level BPE trained on the corpus' own training documents."""

    kind: Literal["bpe"]
    vocab_size: Annotated[int, Field(ge=257, le=2**24)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BytesTokenizer:
    """One token per byte, and the end of text: 257 in all."""

    kind: Literal["bytes"]

    @property
    def vocab_size(self) -> int:
        return 257


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Gpt2Tokenizer:
    """GPT-2's own vocabulary, from a directory with its files or from the hub."""

    kind: Literal["gpt2"]
    path: RecordedPath
    revision: str | None = None

    @property
    def vocab_size(self) -> int:
        return 50257


AnyTokenizer = BpeTokenizer | BytesTokenizer | Gpt2Tokenizer
TokenizerConfig = Annotated[AnyTokenizer, Field(discriminator="kind")]
