"""Which prompts generate together: those that share enough of a prefix, and all others after them."""

import math
from collections.abc import Callable, Sequence
from functools import partial

from zeroscale.model.generation import prefix_tree
from zeroscale.model.generation.continuous_batching import (
    ContinuousBatch,
    FixedBatch,
    Prompts,
    SharedPrefixBatch,
    max_trie_tokens,
)
from zeroscale.model.generation.prefix_tree import PrefixTrie
from zeroscale.model.gpt import GPT
from zeroscale.model.protocol import LanguageModel

# A shared prefix is worth products of its own where it spares a third of the columns that a step of its rows would
# read, and, in each block, the bytes that are read in the time in which those products start.
_SHARE_SPARED = 1 / 3
_CPU_SPARED = 2**17
_GPU_SPARED = 2**27

GenerationBatch = ContinuousBatch | SharedPrefixBatch | FixedBatch


def group_prompts(
    model: LanguageModel, prompts: Prompts, new_tokens: int, batch_size: int, columns: int | None, share: bool
) -> list[Callable[[], GenerationBatch]]:
    """The batches in their order, each to be made when the one before is freed. Arguments as `generate.stream`."""
    if not prompts:
        return []
    # A model of transformers with the same methods steps through its own modules.
    if not isinstance(model, GPT):
        return [partial(FixedBatch, model, prompts, min(batch_size, len(prompts)))]
    tries = (
        list(prefix_tree.build_tries(prompts, range(len(prompts)), max_trie_tokens(model)))
        if share
        else [prefix_tree.single(prompt, member) for member, prompt in enumerate(prompts)]
    )
    shared = _shares_enough_prefix(model, tries, prompts, new_tokens) if batch_size > 1 else []
    shared_ids = {id(trie) for trie in shared}
    groups = [trie.members for trie in tries if id(trie) not in shared_ids]
    batches: list[Callable[[], GenerationBatch]] = []
    if shared:
        batches.append(_shared_prefix_batch(model, prompts, shared, new_tokens, batch_size, columns))
    if groups:
        rows = min(batch_size, sum(map(len, groups)))
        if columns is not None:
            longest = max(len(prompts[member]) for group in groups for member in group)
            rows = max(1, min(rows, columns // (longest + new_tokens)))
        batches.append(partial(ContinuousBatch, model, prompts, groups, rows, new_tokens, share))
    return batches


def _shared_prefix_batch(
    model: GPT, prompts: Prompts, tries: list[PrefixTrie], new_tokens: int, batch_size: int, columns: int | None
) -> Callable[[], SharedPrefixBatch]:
    """At most half of the columns for what rows add themselves, the rest for shared prefixes."""
    rows, max_columns = min(batch_size, sum(len(trie.members) for trie in tries)), math.inf
    if columns is not None:
        # They are kept in fp32 at least, whatever the weights' type.
        element = model.wte.weight.element_size()
        columns = columns * element // max(4, element)
        rows = max(1, min(rows, columns // 2 // new_tokens))
        max_columns = columns - rows * new_tokens
    return partial(SharedPrefixBatch, model, prompts, tries, rows, new_tokens, max_columns)


def _shares_enough_prefix(
    model: GPT, tries: Sequence[PrefixTrie], prompts: Prompts, new_tokens: int
) -> list[PrefixTrie]:
    """Tries whose keys and values their rows should share in every step. They take steps of their own: where there are
    other rows, that must spare more than reading the weights for these steps costs."""
    config, weight = model.config, model.wte.weight
    column_bytes = 2 * config.d_model * weight.element_size()  # in each block
    min_spared = (_GPU_SPARED if weight.device.type == "cuda" else _CPU_SPARED) / column_bytes
    shared, total_spared = [], 0
    for trie in tries:
        prompt_tokens = sum(len(prompts[member]) for member in trie.members)
        spared = prompt_tokens - len(trie)
        # A step also reads the rows' new tokens, on average half of them.
        columns_read = prompt_tokens + len(trie.members) * new_tokens / 2
        if spared >= max(1, min_spared, _SHARE_SPARED * columns_read):
            shared.append(trie)
            total_spared += spared
    weight_bytes = sum(parameter.nbytes for parameter in model.parameters())
    has_other_rows = len(shared) < len(tries)
    return [] if has_other_rows and total_spared * column_bytes * config.n_layer < weight_bytes else shared
