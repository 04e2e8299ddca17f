"""Sampling: the next token is the likeliest, or one drawn by the row's own random numbers."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from zeroscale.core.errors import ZeroscaleError


class Sampler:
    """Chooses each row's next token from its logits."""

    def __init__(
        self,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        vocab_size: int | None,
    ) -> None:
        self.temperature, self.top_k, self.top_p, self.vocab_size = temperature, top_k, top_p, vocab_size

    def __call__(self, logits: Tensor, uniform: Tensor | None) -> Tensor:
        """logits [rows, V] and each row's uniform number in [0, 1) (None: greedy) → ids [rows].

        Raises:
            ZeroscaleError: a row's greatest logit is not finite, which means that the weights are broken.
        """
        logits = logits[:, : self.vocab_size]
        if uniform is None:
            greatest, ids = logits.max(-1)  # three times as fast as argmax on a CPU
            _check_finite(greatest)
            return ids
        logits = logits.float() / self.temperature
        sorted_ids: Tensor | None = None
        if self.top_k is not None and self.top_k < logits.shape[1]:
            logits = logits.masked_fill(logits < logits.topk(self.top_k).values[:, -1:], -torch.inf)
        if self.top_p is not None and self.top_p < 1:
            logits, sorted_ids = logits.sort(dim=-1, descending=True, stable=True)
            probabilities = logits.softmax(-1)
            # A token is in if those before it have not reached p: the first always is.
            before = probabilities.cumsum(-1, dtype=torch.float64) - probabilities
            logits = logits.masked_fill(before >= self.top_p, -torch.inf)
        mass = logits.softmax(-1).cumsum(-1, dtype=torch.float64)
        # The inverse of the distribution function at each row's uniform number, `right` of tokens of no probability;
        # rounding must not carry it past the first token at which the whole mass is there.
        total = mass[:, -1:].contiguous()
        _check_finite(total)
        rank = torch.searchsorted(mass, uniform[:, None].to(mass.device) * total, right=True)
        rank = rank.minimum(torch.searchsorted(mass, total))
        return (rank if sorted_ids is None else sorted_ids.gather(1, rank))[:, 0]


def _check_finite(values: Tensor) -> None:
    """Raises where a value is not finite: NaN in any logit is NaN in the greatest, and in the sum of probabilities."""
    if not values.isfinite().all():
        raise ZeroscaleError(
            "the model gave a logit that is not finite: its weights hold NaN or infinite numbers, or overflow in this "
            "dtype. Take another checkpoint, or dtype fp32."
        )


def uniform_numbers(seeds: Sequence[int | tuple[int, int]], steps: int) -> Tensor:
    """[len(seeds), steps] of float64 in [0, 1): a counter-based stream for each seed, the same on every device."""
    # Philox is keyed through SeedSequence, which takes no negative numbers.
    keys = [[part % 2**64 for part in (seed if isinstance(seed, tuple) else (seed,))] for seed in seeds]
    return torch.from_numpy(np.stack([np.random.Generator(np.random.Philox(key)).random(steps) for key in keys]))
