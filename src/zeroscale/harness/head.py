"""From hidden states to log-probabilities, only for the positions that are scored.

No tensor of [batch, time, vocabulary] ever exists: logits are made for a chunk of gathered positions at a time, in fp32
whatever the weights' type.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from zeroscale.errors import ZeroscaleError
from zeroscale.harness import requests as rq

if TYPE_CHECKING:
    from zeroscale.model.gpt import GPT

# Logits held at once, in numbers: 64 MiB of fp32.
HEAD_CHUNK = 2**24

# [S] each: log-probability (nats), whether the target is the greedy choice, and the same without the excluded ids.
Scores = tuple[np.ndarray, np.ndarray, np.ndarray]


def score_states(model: "GPT", picked: Tensor, targets: Tensor, excluded: dict[tuple[int, ...], list[int]]) -> Scores:
    """Scores of `targets` [S] after the states `picked` [S, d].

    Args:
        excluded: lists of ids → the places in [S] where these may not be the greedy choice.

    Raises:
        ZeroscaleError: when a log-probability is not finite.
    """
    step = max(1, HEAD_CHUNK // model.config.vocab_size)
    logprobs, greedy = [], []
    for begin in range(0, len(picked), step):
        logits = wide_logits(model, picked[begin : begin + step])
        target = targets[begin : begin + step]
        chosen = logits.gather(1, target[:, None]).squeeze(1)
        logprobs.append(chosen - logits.logsumexp(1))
        greedy.append(logits.max(1).indices == target)
    flags = torch.cat(greedy)
    filtered = flags.clone()
    for ids, places in excluded.items():
        for begin in range(0, len(places), step):
            where = torch.tensor(places[begin : begin + step], device=picked.device)
            logits = wide_logits(model, picked[where])
            logits[:, torch.tensor(ids, device=picked.device)] = -torch.inf
            filtered[where] = logits.max(1).indices == targets[where]
    scores = torch.cat(logprobs).double().cpu().numpy()
    if not np.isfinite(scores).all():
        raise ZeroscaleError(
            "the model gave a log-probability that is not finite: its weights hold NaN or infinite numbers, "
            "or overflow in this dtype. Score another checkpoint, or use dtype fp32."
        )
    return scores, flags.cpu().numpy(), filtered.cpu().numpy()


def wide_logits(model: "GPT", states: Tensor) -> Tensor:
    """States [S, d] → logits [S, V] in fp32: of half-precision factors too they are not rounded to half precision."""
    weight = getattr(model, "head_weight", None)
    if weight is None or weight.dtype == torch.float32:
        return model.logits(states).float()
    if states.device.type == "cuda":
        return torch.mm(states, weight.t(), out_dtype=torch.float32)
    return functional.linear(states.float(), weight.float())


def excluded_places(rows: list[rq.Window]) -> dict[tuple[int, ...], list[int]]:
    """For each list of excluded ids, the places (among all targets) of the first targets it applies to."""
    filters: dict[tuple[int, ...], list[int]] = {}
    begin = 0
    for row in rows:
        if row.excluded:
            filters.setdefault(row.excluded, []).append(begin)
        begin += len(row.targets)
    return filters
