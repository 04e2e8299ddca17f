"""Learning rate, batch and warm-up by size: what published studies found, as named formulas to compare a plan with."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from zeroscale.model.flops import Params


@dataclass(frozen=True)
class Recommendation:
    """What a rule gives for a model. None where it gives nothing."""

    lr: float
    batch_tokens: float | None
    warmup_tokens: float | None


@dataclass(frozen=True)
class Rule:
    """A published rule; `formula` and `source` as the plan prints them."""

    name: str
    formula: str
    source: str
    size: Callable[[Params], int]
    """N as the rule counts it."""
    studied: tuple[float, float]
    """The sizes N that it was found on."""
    advise: Callable[[Params], Recommendation]

    def covers(self, params: Params) -> bool:
        """Whether the rule was found on models of this size."""
        return self.studied[0] <= self.size(params) <= self.studied[1]


def _porian(params: Params) -> Recommendation:
    size = params.matmul / 108e6
    return Recommendation(0.0047 * size ** (-1 / 3), 160 * 2048 * size ** (2 / 3), float(params.matmul))


def _kaplan(params: Params) -> Recommendation:
    return Recommendation(0.003239 - 0.0001395 * math.log(params.non_embedding), None, 3000 * 2**19)


# The first counts the head (its authors' convention: C = 6 N D with the last layer's products), the second does not.
RULES = (
    Rule(
        "porian",
        "lr = 0.0047 (N/108M)^(-1/3), batch = 160 (N/108M)^(2/3) sequences of 2,048 tokens, warm-up = N tokens",
        "Porian et al. 2024; N with the head; AdamW, compute-optimal runs of 5M to 901M",
        lambda params: params.matmul,
        (5e6, 901e6),
        _porian,
    ),
    Rule(
        "kaplan",
        "lr = 0.003239 - 0.0001395 ln N, warm-up = 3,000 steps of 2^19 tokens",
        "Kaplan et al. 2020, appendix D.6; N without embeddings; Adam, cosine to zero, 768 to 1.5B",
        lambda params: params.non_embedding,
        (768, 1.5e9),
        _kaplan,
    ),
)
