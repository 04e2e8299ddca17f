"""The shape of a decoder, without torch: settings and plans need it where nothing is computed."""

from dataclasses import dataclass

from zeroscale.core.errors import ZeroscaleError

# By the names that `gpt.ACTIVATIONS` computes.
ACTIVATIONS = ("gelu_tanh", "gelu", "relu", "silu")


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a decoder. The fields with defaults exist for relatives of GPT-2; the defaults are GPT-2 itself."""

    vocab_size: int
    """Ids the tokenizer has. Logits have exactly this many columns."""
    n_positions: int
    n_layer: int
    d_model: int
    n_head: int
    dropout: float = 0.0
    """On embeddings, attention weights and both residual branches, while training."""
    tied: bool = True
    layer_norm_epsilon: float = 1e-5
    d_inner: int | None = None
    """Width of the feed-forward layer; None: 4 · d_model."""
    padded_vocab_size: int | None = None
    """Rows of the embedding, if more than `vocab_size` (some code rounds up to a multiple of 64). They never win."""
    activation: str = "gelu_tanh"
    scale_attn_weights: bool = True
    """Divide attention scores by √(d_model / n_head)."""
    scale_attn_by_inverse_layer_idx: bool = False
    """Divide the scores of block i (from 1) by i as well."""

    def __post_init__(self) -> None:
        faults = [
            f"{name} is {value!r}; it must be a whole number of at least 1"
            for name in ("vocab_size", "n_positions", "n_layer", "d_model", "n_head")
            if not isinstance(value := getattr(self, name), int) or value < 1
        ]
        if not faults and self.d_model % self.n_head:
            faults.append(f"d_model {self.d_model} is not divisible by n_head {self.n_head}")
        if not faults and self.padded_vocab_size is not None and self.padded_vocab_size < self.vocab_size:
            faults.append(f"padded_vocab_size {self.padded_vocab_size} is below vocab_size {self.vocab_size}")
        if not 0 <= self.dropout < 1:
            faults.append(f"dropout is {self.dropout}; it must be at least 0 and below 1")
        if self.activation not in ACTIVATIONS:
            faults.append(f"activation is {self.activation!r}; known are {', '.join(ACTIVATIONS)}")
        if faults:
            raise ZeroscaleError("model: " + "; ".join(faults))
