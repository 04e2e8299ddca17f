"""Rows that begin alike: what they share is kept once, and a row owns what it adds alone.

The turns of a conversation have nearly all of their past in common. With a cache of its own for each, a step of 63
rows of 600 tokens would read 2.8 GB of GPT-2 small's keys and values, of which 63/64 are copies. Here a trie's keys and
values, its trunk, are read once for all of its rows: their queries are multiplied with them together, each row masked
to its own path. What rows own is attended to apart, and the two parts are put together by the logarithms of their
sums, which gives the softmax over both (Juravsky et al. 2024, "Hydragen", section 3.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from zeroscale.model.config import GPTConfig


@dataclass
class PrefixBuffer:
    """Memory that the trunks of one pass over the model stand in, and the members that need it still."""

    columns: int
    open: int


class Prefix:
    """A trie's keys and values [n_layer, H, T, d/H], and which of its T columns each member sees."""

    def __init__(self, keys: Tensor, values: Tensor, paths: Sequence[Sequence[int]], ground: PrefixBuffer) -> None:
        # Half precision would round the scores, which attention elsewhere sums in fp32.
        wide = torch.promote_types(keys.dtype, torch.float32)
        self.keys, self.values = keys.to(wide), values.to(wide)
        self.lengths = [len(path) for path in paths]
        self.ground = ground
        visible = torch.full((len(paths), keys.shape[2]), -torch.inf, dtype=wide)
        for member, path in enumerate(paths):
            visible[member, torch.tensor(path)] = 0
        self.visible = visible.to(keys.device)
        """[members, T], to be added to scores: 0 or -inf."""


class _Part:
    """Rows of one trunk, [begin, end) in the order of `Branches._order`."""

    def __init__(self, trunk: Prefix, begin: int, members: list[int]) -> None:
        self.trunk, self.begin, self.end = trunk, begin, begin + len(members)
        self.visible = trunk.visible if members == list(range(len(trunk.visible))) else trunk.visible[members]


class SharedPrefixCache:
    """At most `rows` rows on trunks, each with room for `columns` tokens of its own; steps as with a `KVCache`."""

    def __init__(
        self, config: "GPTConfig", rows: int, columns: int, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        wide = torch.promote_types(dtype, torch.float32)
        shape = (config.n_layer, rows, config.n_head, columns, config.d_model // config.n_head)
        self._keys = torch.empty(shape, dtype=wide, device=device)
        self._values = torch.empty(shape, dtype=wide, device=device)
        self._touched = 0
        """Columns that hold numbers in every row."""
        self._columns = torch.arange(columns, device=device)
        self._trunks: list[tuple[Prefix, int]] = []
        """Each row's trunk, and which of its members the row is."""
        self._owned: list[int] = []
        """Tokens that each row has added."""
        self._parts: list[_Part] | None = None
        """None: rows have come or gone."""

    @property
    def batch(self) -> int:
        return len(self._trunks)

    def attach(self, trunk: Prefix, member: int) -> None:
        """Adds a row that continues a member of a trunk."""
        assert self.batch < self._keys.shape[1], "the caller counts the free rows"
        self._trunks.append((trunk, member))
        self._owned.append(0)
        self._parts = None

    def trunk(self, row: int) -> Prefix:
        return self._trunks[row][0]

    def drop(self, rows: Sequence[int]) -> list[int]:
        """Takes rows out, moving rows from the end into the gaps; returns who stands where, as `KVCache.drop`."""
        gone = set(rows)
        order = list(range(self.batch))
        kept = self.batch - len(gone)
        movers = [row for row in range(kept, self.batch) if row not in gone]
        for gap in sorted(row for row in gone if row < kept):
            order[gap] = mover = movers.pop()
            for store in (self._keys, self._values):
                store[:, gap, :, : self._owned[mover]] = store[:, mover, :, : self._owned[mover]]
        order = order[:kept]
        self._trunks = [self._trunks[row] for row in order]
        self._owned = [self._owned[row] for row in order]
        self._parts = None
        return order

    def positions(self, time: int) -> Tensor:
        """[rows]: where the next token of each row stands. First of a step's calls."""
        assert time == 1, "what is shared is read before it becomes a trunk; then rows go on token by token"
        if self._parts is None:
            self._arrange()
        self._width = max(self._owned) + 1
        if self._width > self._touched:
            # What is masked is still multiplied (by 0): it must be a number.
            for store in (self._keys, self._values):
                store[:, :, :, self._touched : self._width] = 0
            self._touched = self._width
        return self._positions

    def _arrange(self) -> None:
        """Sorts the rows by trunk, and sees who stands where."""
        device = self._keys.device
        by_trunk: dict[int, list[int]] = {}
        for row, (trunk, _) in enumerate(self._trunks):
            by_trunk.setdefault(id(trunk), []).append(row)
        self._parts, order = [], []
        for rows in by_trunk.values():
            rows.sort(key=lambda row: self._trunks[row][1])
            self._parts.append(_Part(self.trunk(rows[0]), len(order), [self._trunks[row][1] for row in rows]))
            order += rows
        self._order = self._back = None
        if order != list(range(self.batch)):
            self._order = torch.tensor(order, device=device)
            self._back = self._order.argsort()
        lengths = [trunk.lengths[member] for trunk, member in self._trunks]
        self._positions = torch.tensor(lengths, device=device) + torch.tensor(self._owned, device=device)
        self._even = len(set(self._owned)) == 1
        self._rows = torch.arange(self.batch, device=device)
        self._ends = torch.tensor(self._owned, device=device)
        """Each row's next free column."""

    def mask(self, time: int) -> None:
        """What a row sees is this class's own business."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, mask: None, scale: float) -> Tensor:
        """Stores a layer's new keys and values; what the queries see. All [rows, H, 1, d/H]."""
        assert self._parts is not None, "`positions` comes first"
        q = (q[:, :, 0] * scale).to(self._keys.dtype)
        near, near_sum = self._attend_to_own(layer, q, k[:, :, 0], v[:, :, 0])
        far, far_sum = self._attend_to_trunks(layer, q)
        # exp(far_sum) / (exp(far_sum) + exp(near_sum))
        share = torch.sigmoid(far_sum - near_sum)[..., None]
        return torch.lerp(near, far, share).to(k.dtype)[:, :, None]

    def _attend_to_own(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled queries [rows, H, d/H], new keys and values → what rows see of their own tokens [rows, H, d/H], and
        the logarithms [rows, H] of the sums of their exponentiated scores."""
        rows, heads, size = q.shape
        keys, values = self._keys[layer, :rows], self._values[layer, :rows]
        width = self._width
        if self._even:
            keys[:, :, width - 1] = k
            values[:, :, width - 1] = v
        else:
            keys[self._rows, :, self._ends] = k.to(keys.dtype)
            values[self._rows, :, self._ends] = v.to(values.dtype)
        keys, values = (store[:, :, :width].flatten(0, 1) for store in (keys, values))
        scores = torch.bmm(q.reshape(-1, 1, size), keys.transpose(1, 2)).view(rows, heads, width)
        if not self._even:
            scores.masked_fill_((self._columns[:width] > self._ends[:, None])[:, None], -torch.inf)
        weights, total = _softmax(scores)
        return torch.bmm(weights.view(-1, 1, width), values).view(rows, heads, size), total

    def _attend_to_trunks(self, layer: int, q: Tensor) -> tuple[Tensor, Tensor]:
        """The same of the trunks' columns."""
        q = q if self._order is None else q[self._order]
        seen, totals = torch.empty_like(q), q.new_empty(q.shape[:2])
        for part in self._parts or ():
            rows = slice(part.begin, part.end)
            keys, values = part.trunk.keys[layer], part.trunk.values[layer]
            # [H, R, d/H] x [H, d/H, T]: a trunk's keys are read once for its R rows.
            scores = torch.baddbmm(part.visible[None], q[rows].transpose(0, 1), keys.transpose(1, 2))
            weights, total = _softmax(scores)
            seen[rows] = torch.bmm(weights, values).transpose(0, 1)
            totals[rows] = total.t()
        return (seen, totals) if self._back is None else (seen[self._back], totals[self._back])

    def advance(self, time: int) -> None:
        """Counts the step's tokens, once every layer has stored them."""
        self._owned = [owned + time for owned in self._owned]
        self._positions = self._positions + time
        self._ends = self._ends + time


def _softmax(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax over the last dimension, and the logarithm of its denominator: of any score, what its weight lacks. The
    greatest weight is at least 1 over their number."""
    weights = scores.softmax(-1)
    return weights, scores.amax(-1) - weights.amax(-1).log()
