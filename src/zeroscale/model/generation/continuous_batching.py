"""Continuous batching: rows that generate together, where a new prompt takes the place of one that has ended.

What prompts have in common at their beginnings is computed once (`prefix_tree`), and where that is much of what a step
would read, its keys and values are kept and read once as well (`shared_prefix`).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from zeroscale.model.generation import prefix_tree
from zeroscale.model.generation.decode_step import DecodeStep
from zeroscale.model.generation.prefix_tree import PrefixTrie
from zeroscale.model.generation.shared_prefix import Prefix, PrefixBuffer, SharedPrefixCache
from zeroscale.model.gpt import GPT
from zeroscale.model.kv_cache import KVCache
from zeroscale.model.protocol import LanguageModel

# Prompt tokens of one prefill: their keys and values are held beside those of the running rows.
_CPU_PROMPT_TOKENS = 2048
_GPU_PROMPT_TOKENS = 8192
# What a pass over the model costs however short it is, in positions (`prefix_tree.batches`).
_CPU_CONSTANT = 64
_GPU_CONSTANT = 4096
# Columns beyond the longest row: rows are moved left over their padding once in so many steps.
_SPARE_COLUMNS = 64

Prompts = Sequence[tuple[int, ...]]


def max_trie_tokens(model: GPT) -> int:
    """The longest trie, in tokens."""
    return 3 * model.config.n_positions // 2


class _PromptQueue:
    """Prompts that wait, in groups that share a beginning: the longest prompt's group first, so that too large a batch
    fails at once, and no later prompt is longer than the columns that are filled."""

    def __init__(self, prompts: Prompts, rows: int, groups: Sequence[Sequence[int]]) -> None:
        """`groups` hold indices of `prompts`; at most `rows` of them run at once."""

        def longest_first(member: int) -> tuple[int, int]:
            return -len(prompts[member]), member

        sorted_groups = [sorted(group, key=longest_first) for group in groups]
        self.queue = sorted(sorted_groups, key=lambda group: longest_first(group[0]))[::-1]
        """Groups, the next one last."""
        self.prompts, self.rows = prompts, rows
        self.requested_tokens = sum(len(prompts[member]) for group in groups for member in group)
        """Prompt tokens of all groups."""
        self.computed_tokens = self.padding = 0
        """Prompt tokens computed so far, and positions of padding beside them."""

    def _take(self, free_rows: int) -> list[int]:
        """At most so many prompts: whole groups, or a part of the first."""
        members: list[int] = []
        while self.queue and len(members) < free_rows:
            if members and len(members) + len(self.queue[-1]) > free_rows:
                break
            members += self._take_from_next_group(free_rows - len(members))
        return members

    def _take_from_next_group(self, count: int) -> list[int]:
        group = self.queue.pop()
        if group[count:]:
            self.queue.append(group[count:])
        return group[:count]


def _prefill(model: GPT, tries: Sequence[PrefixTrie], queue: _PromptQueue) -> tuple[KVCache, Tensor]:
    """Computes tries side by side → their keys and values, a row for each, and the logits [n, V] of what follows each
    prompt, trie by trie. In inference mode."""
    packed = prefix_tree.pack(tries, model.wte.weight.device)
    cache = model.new_cache(*packed.tokens.shape)
    hidden = model.hidden(packed.tokens, cache, packed.positions, packed.mask)
    computed = sum(map(len, tries))
    queue.computed_tokens += computed
    queue.padding += packed.tokens.numel() - computed
    last_states = [hidden[row, path[-1]] for row, trie in enumerate(tries) for path in trie.paths]
    return cache, model.logits(torch.stack(last_states))


def _prefill_batches(model: GPT, tries: Sequence[PrefixTrie]) -> list[list[PrefixTrie]]:
    """Tries that go through the model together, branched ones apart: the others need no mask."""
    on_gpu = model.wte.weight.device.type == "cuda"
    limits = (_GPU_PROMPT_TOKENS, _GPU_CONSTANT) if on_gpu else (_CPU_PROMPT_TOKENS, _CPU_CONSTANT)
    return [
        batch
        for branched in (False, True)
        for batch in prefix_tree.batches([trie for trie in tries if trie.branched == branched], *limits)
    ]


class ContinuousBatch(_PromptQueue):
    """Rows of one model, each with a prompt of its own length and a cache of its own."""

    def __init__(
        self,
        model: GPT,
        prompts: Prompts,
        groups: Sequence[Sequence[int]],
        rows: int,
        new_tokens: int,
        share: bool = True,
    ) -> None:
        super().__init__(prompts, rows, groups)
        self.model, self.share = model, share
        longest = max(len(prompts[group[0]]) for group in self.queue)
        # The last new token is never fed back.
        self.cache = model.new_cache(rows, longest + new_tokens - 1 + _SPARE_COLUMNS)
        self.cache.drop(range(rows))
        self._decode_step: DecodeStep | None = None
        self._expected_steps = (new_tokens - 1) * math.ceil(sum(map(len, groups)) / rows)

    def should_admit(self) -> bool:
        """Whether prompts should take free rows now: rather several at once than one by one."""
        free_rows = self.rows - self.cache.batch
        if not self.queue:
            return False
        enough = max(1, self.rows // 4, min(len(self.queue[-1]), self.rows))
        return free_rows == self.rows or free_rows >= enough

    @torch.inference_mode()
    def admit(self) -> tuple[list[int], Tensor]:
        """Prefills free rows → the indices of their prompts, row by row, and the logits [n, V] of what follows."""
        admitted = self._take(self.rows - self.cache.batch)
        if not self.cache.batch:
            self.cache.length = max(len(self.prompts[member]) for member in admitted)
        tries = (
            prefix_tree.build_tries(self.prompts, admitted, max_trie_tokens(self.model))
            if self.share
            else [prefix_tree.single(self.prompts[member], member) for member in admitted]
        )
        members: list[int] = []
        logits = []
        for batch in _prefill_batches(self.model, list(tries)):
            prefilled, batch_logits = _prefill(self.model, batch, self)
            logits.append(batch_logits)
            for row, trie in enumerate(batch):
                members += trie.members
                for path in trie.paths:
                    self.cache.insert(prefilled, row, path, len(path))
        return members, torch.cat(logits)

    def step(self, tokens: Tensor) -> Tensor:
        """Feeds each row's new token [rows]; the logits [rows, V] of the one after it."""
        if self._decode_step is None:
            self._decode_step = DecodeStep(self.model, len(tokens), self._expected_steps)
        self.cache.reserve(1)
        return self._decode_step(tokens, self.cache)

    def remove(self, rows: list[int]) -> list[int]:
        """Takes rows out; entry i of the answer is the former number of row i."""
        return self.cache.drop(rows)


class SharedPrefixBatch(_PromptQueue):
    """Rows that begin alike: each trie is computed whole and once, and is held until the last of its prompts has ended.

    Args:
        max_columns: columns of keys and values that tries may take together; a single one may take more.
    """

    def __init__(
        self,
        model: GPT,
        prompts: Prompts,
        tries: Sequence[PrefixTrie],
        rows: int,
        new_tokens: int,
        max_columns: float = math.inf,
    ) -> None:
        super().__init__(prompts, rows, [trie.members for trie in tries])
        self.model, self.max_columns = model, max_columns
        weight = model.wte.weight
        self.cache = SharedPrefixCache(model.config, rows, new_tokens - 1, weight.dtype, weight.device)
        self.held_columns = 0
        """Columns that tries take now."""
        self._tries = {member: trie for trie in tries for member in trie.members}
        self._prefilled: dict[int, tuple[Prefix, int, Tensor]] = {}
        """Prompts that were computed and have no row yet: prefix, path in it, logits of what follows."""
        self._decode_step: DecodeStep | None = None
        self._expected_steps = (new_tokens - 1) * math.ceil(len(self._tries) / rows)

    def should_admit(self) -> bool:
        """Whether prompts should take free rows now: at once where they are computed already, else rather several."""
        free_rows = self.rows - self.cache.batch
        if not self.queue or not free_rows:
            return False
        member = self.queue[-1][0]
        if member in self._prefilled:
            return True
        return self._fits(self._tries[member]) and (free_rows == self.rows or free_rows >= max(1, self.rows // 4))

    def _fits(self, trie: PrefixTrie) -> bool:
        return not self.held_columns or self.held_columns + len(trie) <= self.max_columns

    @torch.inference_mode()
    def admit(self) -> tuple[list[int], Tensor]:
        """Fills free rows, prefilling further tries where need be; as `ContinuousBatch.admit`."""
        free_rows = self.rows - self.cache.batch
        admitted: list[int] = []
        new_tries: list[PrefixTrie] = []
        while self.queue and len(admitted) < free_rows:
            member = self.queue[-1][0]
            if member not in self._prefilled:
                trie = self._tries[member]
                if not self._fits(trie):
                    break
                self.held_columns += len(trie)
                new_tries.append(trie)
            admitted += self._take_from_next_group(free_rows - len(admitted))
        for batch in _prefill_batches(self.model, new_tries):
            self._prefill_tries(batch)
        logits = []
        for member in admitted:
            prefix, path, member_logits = self._prefilled.pop(member)
            self.cache.attach(prefix, path)
            logits.append(member_logits)
        return admitted, torch.stack(logits)

    def _prefill_tries(self, tries: list[PrefixTrie]) -> None:
        cache, logits = _prefill(self.model, tries, self)
        buffer = PrefixBuffer(cache.batch * cache.length, len(logits))
        self.held_columns += buffer.columns - sum(map(len, tries))
        member_logits = iter(logits)
        for row, trie in enumerate(tries):
            prefix = Prefix(*cache.columns(row, len(trie)), trie.paths, buffer)
            for path, member in enumerate(trie.members):
                self._prefilled[member] = (prefix, path, next(member_logits))

    def step(self, tokens: Tensor) -> Tensor:
        """As `ContinuousBatch.step`."""
        if self._decode_step is None:
            self._decode_step = DecodeStep(self.model, len(tokens), self._expected_steps)
        return self._decode_step(tokens, self.cache)

    def remove(self, rows: list[int]) -> list[int]:
        """As `ContinuousBatch.remove`; a trie is freed with its last prompt, tries that were computed together with
        the last of all."""
        for row in rows:
            buffer = self.cache.prefix(row).buffer
            buffer.users -= 1
            if not buffer.users:
                self.held_columns -= buffer.columns
        return self.cache.drop(rows)


class FixedBatch(_PromptQueue):
    """The same for a model of transformers, into whose cache no rows can be inserted: a batch runs to its end."""

    def __init__(self, model: LanguageModel, prompts: Prompts, rows: int) -> None:
        super().__init__(prompts, rows, [[member] for member in range(len(prompts))])
        self.model = model
        self.running = 0

    def should_admit(self) -> bool:
        return bool(self.queue) and not self.running

    def admit(self) -> tuple[list[int], Tensor]:
        admitted = self._take(self.rows)
        prompts = [self.prompts[member] for member in admitted]
        longest = max(map(len, prompts))
        starts = [longest - len(prompt) for prompt in prompts]
        self.cache = self.model.new_cache(len(prompts), longest, starts)
        padded = [[0] * start + list(prompt) for start, prompt in zip(starts, prompts, strict=True)]
        self.running = len(prompts)
        self.computed_tokens += sum(map(len, prompts))
        self.padding += sum(starts)
        return admitted, self._logits(torch.tensor(padded))

    def step(self, tokens: Tensor) -> Tensor:
        return self._logits(tokens[:, None])

    @torch.inference_mode()
    def _logits(self, tokens: Tensor) -> Tensor:
        tokens = tokens.to(next(self.model.parameters()).device)
        return self.model.logits(self.model.hidden(tokens, self.cache)[:, -1])

    def remove(self, rows: list[int]) -> list[int]:
        self.running -= len(rows)
        return self.cache.drop(rows) if self.running else []
