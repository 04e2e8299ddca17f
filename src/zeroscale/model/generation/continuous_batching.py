"""Rows that are continued together: a new prompt takes the place of one that has ended.

What prompts have in common at their beginnings is computed once (`model.trees`), and where that is much of what a step
would read, it is kept and read once as well (`model.branches`).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zeroscale.model.generation import prefix_tree
from zeroscale.model.generation.decode_step import DecodeStep
from zeroscale.model.generation.prefix_tree import PrefixTrie
from zeroscale.model.generation.shared_prefix import Prefix, PrefixBuffer, SharedPrefixCache
from zeroscale.model.gpt import GPT
from zeroscale.model.kv_cache import KVCache

# Prompt tokens that are read at once: their keys and values stand beside the slots' own.
_CPU_PROMPT_TOKENS = 2048
_GPU_PROMPT_TOKENS = 8192
# What a pass over the model costs however short it is, in positions (`trees.batches`).
_CPU_CONSTANT = 64
_GPU_CONSTANT = 4096
# Columns beyond the longest row: rows are moved left over their padding once in so many steps.
_SPARE_COLUMNS = 64

Prompts = Sequence[tuple[int, ...]]


def largest(model: GPT) -> int:
    """Tokens of a trie at most."""
    return 3 * model.config.n_positions // 2


class _Queue:
    """Prompts that wait, in families that share a beginning: the longest prompt's family first, so that too large a
    batch fails at once, and no later prompt is longer than the columns that are filled."""

    def __init__(self, prompts: Prompts, rows: int, families: Sequence[Sequence[int]]) -> None:
        def longest_first(member: int) -> tuple[int, int]:
            return -len(prompts[member]), member

        ordered = [sorted(family, key=longest_first) for family in families]
        self.queue = sorted(ordered, key=lambda family: longest_first(family[0]))[::-1]
        """Families, the next one last."""
        self.prompts, self.rows = prompts, rows
        self.asked = sum(len(prompts[member]) for family in families for member in family)
        """Prompt tokens of all families."""
        self.read = self.padding = 0
        """Prompt tokens computed so far, and positions beside them."""

    def _take(self, free: int) -> list[int]:
        """At most `free` prompts: whole families, or a part of the first."""
        chosen: list[int] = []
        while self.queue and len(chosen) < free:
            if chosen and len(chosen) + len(self.queue[-1]) > free:
                break
            chosen += self._take_of_next(free - len(chosen))
        return chosen

    def _take_of_next(self, count: int) -> list[int]:
        family = self.queue.pop()
        if family[count:]:
            self.queue.append(family[count:])
        return family[:count]


def _read(model: GPT, batch: Sequence[PrefixTrie], owner: _Queue) -> tuple[KVCache, Tensor]:
    """Computes tries side by side → their keys and values, a row for each, and the logits [n, V] of what follows each
    prompt, trie by trie. In inference mode."""
    layout = prefix_tree.pack(batch, model.wte.weight.device)
    cache = model.new_cache(*layout.tokens.shape)
    hidden = model.hidden(layout.tokens, cache, layout.positions, layout.mask)
    used = sum(map(len, batch))
    owner.read += used
    owner.padding += layout.tokens.numel() - used
    last = [hidden[row, path[-1]] for row, tree in enumerate(batch) for path in tree.paths]
    return cache, model.logits(torch.stack(last))


def _passes(model: GPT, plants: Sequence[PrefixTrie]) -> list[list[PrefixTrie]]:
    on_gpu = model.wte.weight.device.type == "cuda"
    limits = (_GPU_PROMPT_TOKENS, _GPU_CONSTANT) if on_gpu else (_CPU_PROMPT_TOKENS, _CPU_CONSTANT)
    # Those that branch apart: the others need no mask.
    return [
        batch
        for branched in (False, True)
        for batch in prefix_tree.batches([tree for tree in plants if tree.branched == branched], *limits)
    ]


class ContinuousBatch(_Queue):
    """Rows of one model, each with a prompt of its own length and a cache of its own."""

    def __init__(
        self,
        model: GPT,
        prompts: Prompts,
        families: Sequence[Sequence[int]],
        rows: int,
        new_tokens: int,
        share: bool = True,
    ) -> None:
        super().__init__(prompts, rows, families)
        self.model, self.share = model, share
        longest = max(len(prompts[family[0]]) for family in self.queue)
        # The last new token is never fed back.
        self.cache = model.new_cache(rows, longest + new_tokens - 1 + _SPARE_COLUMNS)
        self.cache.drop(range(rows))
        self._decoder: DecodeStep | None = None
        self._steps = (new_tokens - 1) * math.ceil(sum(map(len, families)) / rows)

    def should_enter(self) -> bool:
        """Whether prompts should enter now: rather several at once than one by one."""
        free = self.rows - self.cache.batch
        if not self.queue:
            return False
        return free == self.rows or free >= max(1, self.rows // 4, min(len(self.queue[-1]), self.rows))

    @torch.inference_mode()
    def enter(self) -> tuple[list[int], Tensor]:
        """Reads prompts into free rows → their numbers, row by row, and the logits [n, V] of what follows."""
        chosen = self._take(self.rows - self.cache.batch)
        if not self.cache.batch:
            self.cache.length = max(len(self.prompts[member]) for member in chosen)
        plants = (
            prefix_tree.build_tries(self.prompts, chosen, largest(self.model))
            if self.share
            else [prefix_tree.single(self.prompts[member], member) for member in chosen]
        )
        members: list[int] = []
        logits = []
        for batch in _passes(self.model, list(plants)):
            read, following = _read(self.model, batch, self)
            logits.append(following)
            for row, tree in enumerate(batch):
                members += tree.members
                for path in tree.paths:
                    self.cache.take_in(read, row, path, len(path))
        return members, torch.cat(logits)

    def step(self, tokens: Tensor) -> Tensor:
        """Feeds each row's new token [rows]; the logits [rows, V] of the one after it."""
        if self._decoder is None:
            self._decoder = DecodeStep(self.model, len(tokens), self._steps)
        self.cache.make_room(1)
        return self._decoder(tokens, self.cache)

    def leave(self, rows: list[int]) -> list[int]:
        """Takes rows out; entry i of the answer is the former number of row i."""
        return self.cache.drop(rows)


class SharedPrefixBatch(_Queue):
    """Rows that begin alike: each trie is read whole and once, and stands until the last of its prompts has ended.

    Args:
        plants: the tries.
        room: columns of keys and values that tries may take together; one may take more.
    """

    def __init__(
        self,
        model: GPT,
        prompts: Prompts,
        plants: Sequence[PrefixTrie],
        rows: int,
        new_tokens: int,
        room: float = math.inf,
    ) -> None:
        super().__init__(prompts, rows, [tree.members for tree in plants])
        self.model, self.room = model, room
        weight = model.wte.weight
        self.branches = SharedPrefixCache(model.config, rows, new_tokens - 1, weight.dtype, weight.device)
        self.held = 0
        """Columns that tries take."""
        self._trees = {member: tree for tree in plants for member in tree.members}
        self._waiting: dict[int, tuple[Prefix, int, Tensor]] = {}
        """Prompts that have been read and have no row yet: trunk, place in it, logits of what follows."""
        self._decoder: DecodeStep | None = None
        self._steps = (new_tokens - 1) * math.ceil(len(self._trees) / rows)

    def should_enter(self) -> bool:
        """Whether prompts should enter now: at once where they have been read, else rather several."""
        free = self.rows - self.branches.batch
        if not self.queue or not free:
            return False
        member = self.queue[-1][0]
        if member in self._waiting:
            return True
        return self._fits(self._trees[member]) and (free == self.rows or free >= max(1, self.rows // 4))

    def _fits(self, tree: PrefixTrie) -> bool:
        return not self.held or self.held + len(tree) <= self.room

    @torch.inference_mode()
    def enter(self) -> tuple[list[int], Tensor]:
        """Fills free rows, reading further tries where need be; as `Slots.enter`."""
        free = self.rows - self.branches.batch
        chosen: list[int] = []
        fresh: list[PrefixTrie] = []
        while self.queue and len(chosen) < free:
            member = self.queue[-1][0]
            if member not in self._waiting:
                tree = self._trees[member]
                if not self._fits(tree):
                    break
                self.held += len(tree)
                fresh.append(tree)
            chosen += self._take_of_next(free - len(chosen))
        for batch in _passes(self.model, fresh):
            self._plant(batch)
        logits = []
        for member in chosen:
            trunk, place, following = self._waiting.pop(member)
            self.branches.attach(trunk, place)
            logits.append(following)
        return chosen, torch.stack(logits)

    def _plant(self, batch: list[PrefixTrie]) -> None:
        cache, logits = _read(self.model, batch, self)
        ground = PrefixBuffer(cache.batch * cache.length, len(logits))
        self.held += ground.columns - sum(map(len, batch))
        rows = iter(logits)
        for row, tree in enumerate(batch):
            trunk = Prefix(*cache.columns(row, len(tree)), tree.paths, ground)
            self._waiting |= {member: (trunk, place, next(rows)) for place, member in enumerate(tree.members)}

    def step(self, tokens: Tensor) -> Tensor:
        """As `Slots.step`."""
        if self._decoder is None:
            self._decoder = DecodeStep(self.model, len(tokens), self._steps)
        return self._decoder(tokens, self.branches)

    def leave(self, rows: list[int]) -> list[int]:
        """As `Slots.leave`; a trie goes with its last prompt, the memory of tries that were read together with all."""
        for row in rows:
            ground = self.branches.trunk(row).ground
            ground.open -= 1
            if not ground.open:
                self.held -= ground.columns
        return self.branches.drop(rows)


class FixedBatch(_Queue):
    """The same for a model of transformers, whose cache takes no rows in later: a batch runs to its end."""

    def __init__(self, model: Any, prompts: Prompts, rows: int) -> None:
        super().__init__(prompts, rows, [[member] for member in range(len(prompts))])
        self.model = model
        self.running = 0

    def should_enter(self) -> bool:
        return bool(self.queue) and not self.running

    def enter(self) -> tuple[list[int], Tensor]:
        chosen = self._take(self.rows)
        prompts = [self.prompts[member] for member in chosen]
        longest = max(map(len, prompts))
        starts = [longest - len(prompt) for prompt in prompts]
        self.cache = self.model.new_cache(len(prompts), longest, starts)
        padded = [[0] * start + list(prompt) for start, prompt in zip(starts, prompts, strict=True)]
        self.running = len(prompts)
        self.read += sum(map(len, prompts))
        self.padding += sum(starts)
        return chosen, self._logits(torch.tensor(padded))

    def step(self, tokens: Tensor) -> Tensor:
        return self._logits(tokens[:, None])

    @torch.inference_mode()
    def _logits(self, tokens: Tensor) -> Tensor:
        tokens = tokens.to(next(self.model.parameters()).device)
        return self.model.logits(self.model.hidden(tokens, self.cache)[:, -1])

    def leave(self, rows: list[int]) -> list[int]:
        self.running -= len(rows)
        return self.cache.drop(rows) if self.running else []
