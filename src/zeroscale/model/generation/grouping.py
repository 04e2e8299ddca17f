"""Who is continued together: families of prompts that are worth a trunk, and everybody else after them."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from zeroscale.model.generation import prefix_tree
from zeroscale.model.generation.continuous_batching import (
    ContinuousBatch,
    FixedBatch,
    Prompts,
    SharedPrefixBatch,
    largest,
)
from zeroscale.model.generation.prefix_tree import PrefixTrie
from zeroscale.model.gpt import GPT

# A trunk is worth products of its own where it spares a third of the columns that a step of its rows would read, and,
# in each block, the bytes that are read in the time in which those products start.
_SHARE_SPARED = 1 / 3
_CPU_SPARED = 2**17
_GPU_SPARED = 2**27

AnySlots = ContinuousBatch | SharedPrefixBatch | FixedBatch


def group_prompts(
    model: Any, prompts: Prompts, new_tokens: int, batch_size: int, columns: int | None, share: bool
) -> list[Callable[[], AnySlots]]:
    """The groups in their order, each to be made when the one before is gone. Arguments as `generate.stream`."""
    if not prompts:
        return []
    # A model of transformers behind the same surface steps through its own modules.
    if not isinstance(model, GPT):
        return [partial(FixedBatch, model, prompts, min(batch_size, len(prompts)))]
    plants = (
        list(prefix_tree.build_tries(prompts, range(len(prompts)), largest(model)))
        if share
        else [prefix_tree.single(prompt, member) for member, prompt in enumerate(prompts)]
    )
    shared = _shares_enough_prefix(model, plants, prompts, new_tokens) if batch_size > 1 else []
    apart = {id(tree) for tree in shared}
    families = [tree.members for tree in plants if id(tree) not in apart]
    found: list[Callable[[], AnySlots]] = []
    if shared:
        found.append(_with_trunks(model, prompts, shared, new_tokens, batch_size, columns))
    if families:
        rows = min(batch_size, sum(map(len, families)))
        if columns is not None:
            longest = max(len(prompts[member]) for family in families for member in family)
            rows = max(1, min(rows, columns // (longest + new_tokens)))
        found.append(partial(ContinuousBatch, model, prompts, families, rows, new_tokens, share))
    return found


def _with_trunks(
    model: GPT, prompts: Prompts, plants: list[PrefixTrie], new_tokens: int, batch_size: int, columns: int | None
) -> Callable[[], SharedPrefixBatch]:
    """Of the memory at most a half for what rows own, the rest for trunks."""
    rows, room = min(batch_size, sum(len(tree.members) for tree in plants)), math.inf
    if columns is not None:
        # They are kept in fp32 at least, whatever the weights' type.
        element = model.wte.weight.element_size()
        columns = columns * element // max(4, element)
        rows = max(1, min(rows, columns // 2 // new_tokens))
        room = columns - rows * new_tokens
    return partial(SharedPrefixBatch, model, prompts, plants, rows, new_tokens, room)


def _shares_enough_prefix(
    model: GPT, plants: Sequence[PrefixTrie], prompts: Prompts, new_tokens: int
) -> list[PrefixTrie]:
    """Tries whose rows should share them in every step. They take steps of their own: where there are other rows, that
    must spare more than reading the weights for these."""
    config, weight = model.config, model.wte.weight
    column = 2 * config.d_model * weight.element_size()  # bytes in each block
    least = (_GPU_SPARED if weight.device.type == "cuda" else _CPU_SPARED) / column
    found, spared = [], 0
    for tree in plants:
        asked = sum(len(prompts[member]) for member in tree.members)
        # On average half of the new tokens stand beside them.
        if asked - len(tree) >= max(1, least, _SHARE_SPARED * (asked + len(tree.members) * new_tokens / 2)):
            found.append(tree)
            spared += asked - len(tree)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    return [] if len(found) < len(plants) and spared * column * config.n_layer < weights else found
