"""Rows that are continued together: a new prompt takes the place of one that has ended.

What prompts have in common at their beginnings is computed once (`model.trees`).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zeroscale.model import trees
from zeroscale.model.decode import Decoder
from zeroscale.model.gpt import GPT

# Prompt tokens that are read at once: their keys and values stand beside the slots' own.
_CPU_PROMPT_TOKENS = 2048
_GPU_PROMPT_TOKENS = 8192
# What a pass over the model costs however short it is, in positions (`trees.batches`).
_CPU_CONSTANT = 64
_GPU_CONSTANT = 4096
# Columns beyond the longest row: rows are moved left over their padding once in so many steps.
_SPARE_COLUMNS = 64

Prompts = Sequence[tuple[int, ...]]


class Slots:
    """Rows of one model, each with a prompt of its own length."""

    def __init__(self, model: GPT, rows: int, columns: int, steps: int, share: bool = True) -> None:
        self.model, self.rows, self.share = model, rows, share
        self.cache = model.new_cache(rows, columns + _SPARE_COLUMNS)
        self.cache.drop(range(rows))
        self._decoder: Decoder | None = None
        self._steps = steps
        self.read = 0
        """Prompt tokens computed so far."""
        self.padding = 0

    def order(self, prompts: Prompts) -> list[list[int]]:
        """The numbers of the prompts in families that share a beginning, the family of the longest prompt first:
        too large a batch fails at once, and no later prompt is longer than the columns that are filled."""
        if not self.share:
            return [[member] for member in sorted(range(len(prompts)), key=lambda member: -len(prompts[member]))]
        families = [tree.members for tree in trees.plant(prompts, range(len(prompts)), self._largest)]
        for family in families:
            family.sort(key=lambda member: (-len(prompts[member]), member))
        return sorted(families, key=lambda family: (-len(prompts[family[0]]), family[0]))

    @property
    def _largest(self) -> int:
        return 3 * self.model.config.n_positions // 2

    def has_room(self, count: int) -> bool:
        """Whether `count` more prompts should enter now: rather several at once than one by one."""
        free = self.rows - self.cache.batch
        return free == self.rows or free >= max(1, self.rows // 4, min(count, self.rows))

    def enter(self, prompts: Prompts) -> tuple[list[int], Tensor]:
        """Reads prompts into free rows → their numbers, row by row, and the logits [n, V] of what follows."""
        if not self.cache.batch:
            self.cache.length = max(map(len, prompts))
        plants = (
            list(trees.plant(prompts, range(len(prompts)), self._largest))
            if self.share
            else [trees.single(prompt, member) for member, prompt in enumerate(prompts)]
        )
        members: list[int] = []
        logits = []
        on_gpu = self.model.wte.weight.device.type == "cuda"
        limits = (_GPU_PROMPT_TOKENS, _GPU_CONSTANT) if on_gpu else (_CPU_PROMPT_TOKENS, _CPU_CONSTANT)
        # Those without a branch apart: they need no mask.
        for alone in (True, False):
            some = [tree for tree in plants if (len(tree.members) == 1) == alone]
            for batch in trees.batches(some, *limits):
                logits.append(self._read(batch))
                members += [member for tree in batch for member in tree.members]
        return members, torch.cat(logits)

    @torch.inference_mode()
    def _read(self, batch: list[trees.Tree]) -> Tensor:
        """Computes the tries' tokens and takes each of their prompts in as a row."""
        device = self.model.wte.weight.device
        layout = trees.lay_out(batch, device)
        own = self.model.new_cache(*layout.tokens.shape)
        hidden = self.model.hidden(layout.tokens, own, layout.positions, layout.mask)
        last = []
        for row, tree in enumerate(batch):
            for path in tree.paths:
                self.cache.take_in(own, row, path, len(path))
                last.append(hidden[row, path[-1]])
        self.read += sum(map(len, batch))
        self.padding += layout.tokens.numel() - sum(map(len, batch))
        return self.model.logits(torch.stack(last))

    def step(self, tokens: Tensor) -> Tensor:
        """Feeds each row's new token [rows]; the logits [rows, V] of the one after it."""
        if self._decoder is None:
            self._decoder = Decoder(self.model, len(tokens), self._steps)
        self.cache.make_room(1)
        return self._decoder(tokens, self.cache)

    def leave(self, rows: list[int]) -> list[int]:
        """Takes rows out; entry i of the answer is the former number of row i."""
        return self.cache.drop(rows)


class Batch:
    """The same for a model of transformers, whose cache takes no rows in later: a batch runs to its end."""

    def __init__(self, model: Any, rows: int, columns: int, steps: int, share: bool = True) -> None:
        self.model, self.rows = model, rows
        self.running = 0
        self.read = self.padding = 0

    def order(self, prompts: Prompts) -> list[list[int]]:
        return [[member] for member in sorted(range(len(prompts)), key=lambda member: (-len(prompts[member]), member))]

    def has_room(self, count: int) -> bool:
        return not self.running

    def enter(self, prompts: Prompts) -> tuple[list[int], Tensor]:
        longest = max(map(len, prompts))
        starts = [longest - len(prompt) for prompt in prompts]
        self.cache = self.model.new_cache(len(prompts), longest, starts)
        padded = [[0] * start + list(prompt) for start, prompt in zip(starts, prompts, strict=True)]
        self.running = len(prompts)
        self.read += sum(map(len, prompts))
        self.padding += sum(starts)
        return list(range(len(prompts))), self._logits(torch.tensor(padded))

    def step(self, tokens: Tensor) -> Tensor:
        return self._logits(tokens[:, None])

    @torch.inference_mode()
    def _logits(self, tokens: Tensor) -> Tensor:
        tokens = tokens.to(next(self.model.parameters()).device)
        return self.model.logits(self.model.hidden(tokens, self.cache)[:, -1])

    def leave(self, rows: list[int]) -> list[int]:
        self.running -= len(rows)
        return self.cache.drop(rows) if self.running else []
