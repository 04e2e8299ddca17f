"""A key-value cache for rows that begin alike: the prefix is kept once, and each row owns the tokens that it adds.

The turns of a conversation have nearly all of their past in common. With a cache of its own for each, a step of 63
rows of 600 tokens would read 2.8 GB of GPT-2 small's keys and values, of which 63/64 are copies. Here a trie's keys and
values, a shared prefix, are read once for all of its rows: their queries are multiplied with them together, each row
masked to its own path. A row's own tokens are attended to apart, and the two parts are put together by the logarithms
of their sums, which gives the softmax over both (Juravsky et al. 2024, "Hydragen", section 3.1).
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
    """Memory that holds the prefixes of one pass over the model: its columns, and the prompts that still need it."""

    columns: int
    users: int


class Prefix:
    """A trie's keys and values [n_layer, H, T, d/H], and which of its T columns each of its paths sees."""

    def __init__(self, keys: Tensor, values: Tensor, paths: Sequence[Sequence[int]], buffer: PrefixBuffer) -> None:
        # Half precision would round the scores, which attention elsewhere sums in fp32.
        wide = torch.promote_types(keys.dtype, torch.float32)
        self.keys, self.values = keys.to(wide), values.to(wide)
        self.lengths = [len(path) for path in paths]
        self.buffer = buffer
        visible = torch.full((len(paths), keys.shape[2]), -torch.inf, dtype=wide)
        for number, path in enumerate(paths):
            visible[number, torch.tensor(path)] = 0
        self.visible = visible.to(keys.device)
        """[paths, T], to be added to scores: 0 or -inf."""


class _PrefixRows:
    """Rows of one prefix, [begin, end) in the order of `SharedPrefixCache._order`."""

    def __init__(self, prefix: Prefix, begin: int, paths: list[int]) -> None:
        self.prefix, self.begin, self.end = prefix, begin, begin + len(paths)
        self.visible = prefix.visible if paths == list(range(len(prefix.visible))) else prefix.visible[paths]


class SharedPrefixCache:
    """At most `rows` rows on shared prefixes, each with `columns` tokens of its own; steps as with a `KVCache`."""

    def __init__(
        self, config: "GPTConfig", rows: int, columns: int, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        wide = torch.promote_types(dtype, torch.float32)
        shape = (config.n_layer, rows, config.n_head, columns, config.d_model // config.n_head)
        self._keys = torch.empty(shape, dtype=wide, device=device)
        self._values = torch.empty(shape, dtype=wide, device=device)
        self._initialised = 0
        """Columns that hold numbers in every row."""
        self._columns = torch.arange(columns, device=device)
        self._prefixes: list[tuple[Prefix, int]] = []
        """Each row's prefix, and which of its paths the row continues."""
        self._new_tokens: list[int] = []
        """Tokens that each row has added."""
        self._prefix_rows: list[_PrefixRows] | None = None
        """Rows by prefix; None: rows were added or dropped since."""

    @property
    def batch(self) -> int:
        return len(self._prefixes)

    def attach(self, prefix: Prefix, path: int) -> None:
        """Adds a row that continues a path of a prefix."""
        assert self.batch < self._keys.shape[1], "the caller counts the free rows"
        self._prefixes.append((prefix, path))
        self._new_tokens.append(0)
        self._prefix_rows = None

    def prefix(self, row: int) -> Prefix:
        """The prefix that a row continues."""
        return self._prefixes[row][0]

    def drop(self, rows: Sequence[int]) -> list[int]:
        """Takes rows out, moving rows from the end into the gaps; returns the new order, as `KVCache.drop`."""
        dropped = set(rows)
        order = list(range(self.batch))
        remaining = self.batch - len(dropped)
        movers = [row for row in range(remaining, self.batch) if row not in dropped]
        for gap in sorted(row for row in dropped if row < remaining):
            order[gap] = mover = movers.pop()
            for store in (self._keys, self._values):
                store[:, gap, :, : self._new_tokens[mover]] = store[:, mover, :, : self._new_tokens[mover]]
        order = order[:remaining]
        self._prefixes = [self._prefixes[row] for row in order]
        self._new_tokens = [self._new_tokens[row] for row in order]
        self._prefix_rows = None
        return order

    def positions(self, time: int) -> Tensor:
        """[rows]: the position of each row's next token. First of a step's calls."""
        assert time == 1, "prefixes are computed beforehand; rows then go on token by token"
        if self._prefix_rows is None:
            self._group_rows()
        self._width = max(self._new_tokens) + 1
        if self._width > self._initialised:
            # What is masked is still multiplied (by 0): it must be a number.
            for store in (self._keys, self._values):
                store[:, :, :, self._initialised : self._width] = 0
            self._initialised = self._width
        return self._positions

    def _group_rows(self) -> None:
        """Sorts the rows by prefix, and computes their positions."""
        device = self._keys.device
        rows_by_prefix: dict[int, list[int]] = {}
        for row, (prefix, _) in enumerate(self._prefixes):
            rows_by_prefix.setdefault(id(prefix), []).append(row)
        self._prefix_rows = []
        order: list[int] = []
        for rows in rows_by_prefix.values():
            rows.sort(key=lambda row: self._prefixes[row][1])
            paths = [self._prefixes[row][1] for row in rows]
            self._prefix_rows.append(_PrefixRows(self.prefix(rows[0]), len(order), paths))
            order += rows
        self._order: Tensor | None = None
        self._inverse_order: Tensor | None = None
        if order != list(range(self.batch)):
            self._order = torch.tensor(order, device=device)
            self._inverse_order = self._order.argsort()
        lengths = [prefix.lengths[path] for prefix, path in self._prefixes]
        self._positions = torch.tensor(lengths, device=device) + torch.tensor(self._new_tokens, device=device)
        self._equal_lengths = len(set(self._new_tokens)) == 1
        self._rows = torch.arange(self.batch, device=device)
        self._next_columns = torch.tensor(self._new_tokens, device=device)
        """Each row's next free column."""

    def mask(self, time: int) -> None:
        """None: `attend` masks the rows itself."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        """Stores a layer's new keys and values; what the queries see. All [rows, H, 1, d/H]."""
        assert self._prefix_rows is not None, "`positions` comes first"
        q = (q[:, :, 0] * scale).to(self._keys.dtype)
        own, own_log_sum = self._attend_to_own(layer, q, k[:, :, 0], v[:, :, 0])
        shared, shared_log_sum = self._attend_to_prefixes(layer, q)
        # exp(shared_log_sum) / (exp(shared_log_sum) + exp(own_log_sum))
        shared_weight = torch.sigmoid(shared_log_sum - own_log_sum)[..., None]
        return torch.lerp(own, shared, shared_weight).to(k.dtype)[:, :, None]

    def _attend_to_own(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled queries [rows, H, d/H], new keys and values → attention over each row's own tokens [rows, H, d/H], and
        the logarithms [rows, H] of the sums of the exponentiated scores."""
        rows, heads, size = q.shape
        keys, values = self._keys[layer, :rows], self._values[layer, :rows]
        width = self._width
        if self._equal_lengths:
            keys[:, :, width - 1] = k
            values[:, :, width - 1] = v
        else:
            keys[self._rows, :, self._next_columns] = k.to(keys.dtype)
            values[self._rows, :, self._next_columns] = v.to(values.dtype)
        keys, values = (store[:, :, :width].flatten(0, 1) for store in (keys, values))
        scores = torch.bmm(q.reshape(-1, 1, size), keys.transpose(1, 2)).view(rows, heads, width)
        if not self._equal_lengths:
            scores.masked_fill_((self._columns[:width] > self._next_columns[:, None])[:, None], -torch.inf)
        weights, log_sum = _softmax(scores)
        return torch.bmm(weights.view(-1, 1, width), values).view(rows, heads, size), log_sum

    def _attend_to_prefixes(self, layer: int, q: Tensor) -> tuple[Tensor, Tensor]:
        """The same over the columns of the rows' prefixes."""
        q = q if self._order is None else q[self._order]
        attended, log_sums = torch.empty_like(q), q.new_empty(q.shape[:2])
        for group in self._prefix_rows or ():
            rows = slice(group.begin, group.end)
            keys, values = group.prefix.keys[layer], group.prefix.values[layer]
            # [H, R, d/H] x [H, d/H, T]: a prefix's keys are read once for its R rows.
            scores = torch.baddbmm(group.visible[None], q[rows].transpose(0, 1), keys.transpose(1, 2))
            weights, log_sum = _softmax(scores)
            attended[rows] = torch.bmm(weights, values).transpose(0, 1)
            log_sums[rows] = log_sum.t()
        if self._inverse_order is None:
            return attended, log_sums
        return attended[self._inverse_order], log_sums[self._inverse_order]

    def advance(self, time: int) -> None:
        """Counts the step's tokens, once every layer has stored them."""
        self._new_tokens = [count + time for count in self._new_tokens]
        self._positions = self._positions + time
        self._next_columns = self._next_columns + time


def _softmax(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax over the last dimension, and the logarithm of its denominator: of any score, what its weight lacks. The
    greatest weight is at least 1 over their number."""
    weights = scores.softmax(-1)
    return weights, scores.amax(-1) - weights.amax(-1).log()
