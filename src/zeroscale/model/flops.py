"""How many parameters a GPT-2-shaped model has, by three conventions, and how many FLOPs a token costs it.

Pure arithmetic: nothing heavy is imported, so that a plan is made without torch.
"""

from dataclasses import dataclass
from typing import Literal

from zeroscale.core.errors import ZeroscaleError

Attention = Literal["full", "causal"]
Convention = Literal["total", "non_embedding", "matmul"]


@dataclass(frozen=True)
class Params:
    """A model's parameters counted by the three conventions that scaling laws are written in."""

    total: int
    """Every weight; a tied head is counted once. What "124M" means for GPT-2 small."""
    non_embedding: int
    """Without token and position embeddings and without the head: N of Kaplan et al. 2020, section 2.1."""
    matmul: int
    """Every weight that a token is multiplied with: `non_embedding` + the head. For a tied head this is
    total - position embeddings, the N of Hoffmann et al. 2022, appendix F."""


def params(
    *,
    n_layer: int,
    d_model: int,
    vocab_size: int,
    n_positions: int,
    n_head: int | None = None,
    tied: bool = True,
    d_inner: int | None = None,
) -> Params:
    """Counts a GPT-2-shaped decoder: biases everywhere, two layer norms in each block and one at the end.

    With d = d_model, i = d_inner (4 d by default), V = vocab_size, P = n_positions:

        block          = attention (3 d^2 + 3 d) + (d^2 + d), MLP (d i + i) + (i d + d), two layer norms 4 d
                       = 4 d^2 + 2 d i + 9 d + i          (12 d^2 + 13 d for i = 4 d)
        non_embedding  = n_layer * block + 2 d
        matmul         = non_embedding + V d
        total          = non_embedding + V d + P d        (+ V d again if the head is not tied)

    `n_head` changes no count: it is taken so that a model's settings can be handed over whole.

    Raises:
        ZeroscaleError: a size is below 1.
    """
    d_inner = 4 * d_model if d_inner is None else d_inner
    _at_least_one(
        n_layer=n_layer, d_model=d_model, vocab_size=vocab_size, n_positions=n_positions, n_head=n_head, d_inner=d_inner
    )
    block = 4 * d_model**2 + 2 * d_model * d_inner + 9 * d_model + d_inner
    non_embedding = n_layer * block + 2 * d_model
    embedding = vocab_size * d_model
    matmul = non_embedding + embedding
    total = matmul + n_positions * d_model + (0 if tied else embedding)
    return Params(total=total, non_embedding=non_embedding, matmul=matmul)


def flops_per_token(
    *,
    n_layer: int,
    d_model: int,
    vocab_size: int,
    n_positions: int,
    context: int,
    attention: Attention = "full",
    n_head: int | None = None,
    tied: bool = True,
    d_inner: int | None = None,
) -> int:
    """FLOPs of forward and backward for one token of a sequence of `context` tokens.

        full    6 matmul + 12 L d T     every query meets all T keys: what the hardware does without a causal kernel
        causal  6 matmul +  6 L d T     half of that: what a causal model needs

    A multiply-add is 2 FLOPs and the backward pass is twice the forward one, hence 6 per weight (Kaplan et al. 2020,
    table 1; PaLM, Chowdhery et al. 2022, appendix B, for the attention term 12 L d T: scores and weighted values take
    2 T d each per layer, times 3). The head is counted, position look-ups are not.

    Raises:
        ZeroscaleError: a size is below 1, the context is longer than the positions, or `attention` is neither word.
    """
    _at_least_one(context=context)
    if context > n_positions:
        raise ZeroscaleError(
            f"context={context} is longer than n_positions={n_positions}: shorten one, lengthen the other"
        )
    if attention not in ("full", "causal"):
        raise ZeroscaleError(f"attention={attention!r} is unknown: use 'full' or 'causal'")
    matmul = params(
        n_layer=n_layer,
        d_model=d_model,
        vocab_size=vocab_size,
        n_positions=n_positions,
        n_head=n_head,
        tied=tied,
        d_inner=d_inner,
    ).matmul
    per_pair = 12 if attention == "full" else 6
    return 6 * matmul + per_pair * n_layer * d_model * context


def flops_6nd(params_non_embedding: int, tokens: int) -> int:
    """The usual shorthand C = 6 N D with Kaplan's N: leaves out head and attention, 40 % of GPT-2 small's FLOPs."""
    return 6 * params_non_embedding * tokens


def _at_least_one(**sizes: int | None) -> None:
    for name, value in sizes.items():
        if value is not None and value < 1:
            raise ZeroscaleError(f"{name}={value} is impossible: it must be at least 1")
