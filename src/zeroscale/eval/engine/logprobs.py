"""From hidden states to log-probabilities, only for the positions that are scored.

No tensor of [batch, time, vocabulary] ever exists: logits are made for some of the gathered positions and a part of the
vocabulary at a time, in fp32 whatever the weights' type, and leave a maximum and a sum behind.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval.engine import requests as rq

if TYPE_CHECKING:
    from zeroscale.model.protocol import LanguageModel

# Logits held at once, in numbers, on a CPU and on a GPU. On a CPU they should not leave the cores' caches while their
# maximum and their sum are taken; a GPU wants few and large kernels.
CPU_CHUNK = 2**21
GPU_CHUNK = 2**26
# Columns of the head at a time on a CPU; a half-precision head is widened so many columns at a time.
CPU_COLUMNS = 4096

# [S] each: log-probability (nats), whether the target is the greedy choice, and the same without the excluded ids.
Scores = tuple[np.ndarray, np.ndarray, np.ndarray]
Excluded = dict[tuple[int, ...], list[int]]


def token_logprobs(model: "LanguageModel", picked: Tensor, targets: Tensor, excluded: Excluded) -> Scores:
    """Scores of `targets` [S] after the states `picked` [S, d].

    Args:
        excluded: lists of ids → the places in [S] where these may not be the greedy choice.

    Raises:
        ZeroscaleError: when a log-probability is not finite.
    """
    again = [place for places in excluded.values() for place in places]
    count = len(picked)
    if again:  # the choice without the excluded ids is that of a row of its own
        where = torch.tensor(again, device=picked.device)
        picked, targets = torch.cat([picked, picked[where]]), torch.cat([targets, targets[where]])
    barred = _barred(excluded, count)
    logprobs, flags = _walk(model, picked, targets, barred)
    greedy, filtered = flags[:count].cpu().numpy(), flags[:count].cpu().numpy().copy()
    filtered[again] = flags[count:].cpu().numpy()
    scores = logprobs[:count].double().cpu().numpy()
    if not np.isfinite(scores).all():
        raise ZeroscaleError(
            "the model gave a log-probability that is not finite: its weights hold NaN or infinite numbers, "
            "or overflow in this dtype. Score another checkpoint, or use dtype fp32."
        )
    return scores, greedy, filtered


def _barred(excluded: Excluded, begin: int) -> list[tuple[int, int, np.ndarray]]:
    """(first row, row after the last, sorted ids that these rows may not choose)."""
    spans = []
    for ids, places in excluded.items():
        spans.append((begin, begin + len(places), np.unique(ids)))
        begin += len(places)
    return spans


def _walk(
    model: "LanguageModel", states: Tensor, targets: Tensor, barred: list[tuple[int, int, np.ndarray]]
) -> tuple[Tensor, Tensor]:
    """Log-probabilities [S] (of a barred row: among the ids it may choose) and greedy flags [S]."""
    shape, device = targets.shape, targets.device
    best = torch.full(shape, -torch.inf, device=device)
    total = torch.zeros(shape, device=device)
    chosen = torch.full(shape, -torch.inf, device=device)
    winner = torch.zeros_like(targets)
    for columns, rows, logits in _logits(model, states):
        for begin, end, ids in barred:
            first, last = max(begin, rows.start), min(end, rows.stop)
            barred_columns = (
                ids[np.searchsorted(ids, columns.start) : np.searchsorted(ids, columns.stop)] - columns.start
            )
            if first < last and len(barred_columns):
                logits[first - rows.start : last - rows.start, torch.from_numpy(barred_columns).to(device)] = -torch.inf
        target = targets[rows] - columns.start
        inside = (target >= 0) & (target < logits.shape[1])
        value = logits.gather(1, target.clamp(0, logits.shape[1] - 1)[:, None])[:, 0]
        chosen[rows] = torch.where(inside, value, chosen[rows])
        top, place = logits.max(1)
        winner[rows] = torch.where(top > best[rows], place + columns.start, winner[rows])
        highest = torch.maximum(top, best[rows])
        more = logits.sub_(highest[:, None]).exp_().sum(1)
        total[rows] = total[rows] * (best[rows] - highest).exp() + more
        best[rows] = highest
    return chosen - best - total.log(), winner == targets


def _logits(model: "LanguageModel", states: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """(columns, rows, fp32 logits [rows, columns] to be overwritten at will), all columns of a row in order."""
    weight = getattr(model, "head_weight", None)
    on_gpu = states.device.type == "cuda"
    vocabulary = model.config.vocab_size
    width = vocabulary if on_gpu or weight is None else min(CPU_COLUMNS, vocabulary)
    height = max(1, (GPU_CHUNK if on_gpu else max(CPU_CHUNK, width)) // width)
    wide = weight is not None and weight.dtype == torch.float32
    buffer = states.new_empty((min(height, len(states)), width)) if wide else None
    for left in range(0, vocabulary, width):
        columns = slice(left, min(left + width, vocabulary))
        part = None if weight is None else weight[columns].t()
        if part is not None and not wide and not on_gpu:
            part = part.float()
        for top in range(0, len(states), height):
            rows = slice(top, min(top + height, len(states)))
            some = states[rows]
            if part is None:  # a model of transformers
                yield columns, rows, model.logits(some).float()
            elif buffer is not None:
                out = buffer.view(-1)[: len(some) * part.shape[1]].view(len(some), part.shape[1])
                yield columns, rows, torch.mm(some, part, out=out)
            elif on_gpu:
                yield columns, rows, torch.mm(some, part, out_dtype=torch.float32)
            else:
                yield columns, rows, torch.mm(some.float(), part)


def excluded_places(rows: list[rq.Window]) -> Excluded:
    """For each list of excluded ids, the places (among all targets) of the first targets it applies to."""
    filters: Excluded = {}
    begin = 0
    for row in rows:
        if row.excluded:
            filters.setdefault(row.excluded, []).append(begin)
        begin += len(row.targets)
    return filters
