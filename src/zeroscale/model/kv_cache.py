"""Keys and values of the tokens already seen, pre-allocated, for rows of different lengths.

Rows are aligned at their *last* token: a shorter row has padding columns on its left. So all rows write their next
token to the same column, and one slice assignment per layer does it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from zeroscale.core.errors import ZeroscaleError

if TYPE_CHECKING:
    from zeroscale.model.config import GPTConfig


class KVCache:
    """Room for `max_length` columns of `batch` rows, padding included.

    `starts[row]` counts the padding columns on the left of a row: the caller gives it with the first tokens, whose
    values in these columns do not matter. Row r's token in column c stands at position c - starts[r].
    """

    def __init__(
        self,
        config: "GPTConfig",
        batch: int,
        max_length: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        starts: Sequence[int] | None = None,
    ) -> None:
        shape = (config.n_layer, batch, config.n_head, max_length, config.d_model // config.n_head)
        self.n_positions = config.n_positions
        self.max_length = max_length
        self.length = 0
        """Columns filled so far."""
        self.batch = batch
        self._keys = torch.empty(shape, dtype=dtype, device=device)
        self._values = torch.empty(shape, dtype=dtype, device=device)
        self._columns = torch.arange(max_length, device=device)
        self.starts = list(starts) if starts is not None else [0] * batch
        self._set_starts(self.starts)

    def _set_starts(self, starts: list[int]) -> None:
        if len(starts) != self.batch or min(starts, default=0) < 0:
            raise ZeroscaleError(f"the cache has {self.batch} rows; starts must be as many numbers of at least 0")
        self.starts = starts
        # A batch of equal rows needs no mask: attention then takes its faster way.
        self._offsets = torch.tensor(starts, device=self._columns.device) if any(starts) else None

    def positions(self, time: int) -> Tensor:
        """Positions of the next `time` columns: [T] if all rows start together, else [B, T] (padding: 0)."""
        end = self.length + time
        if end > self.max_length:
            raise ZeroscaleError(f"{end} tokens do not fit the cache's {self.max_length} columns")
        if end - min(self.starts, default=0) > self.n_positions:
            raise ZeroscaleError(
                f"{end - min(self.starts)} tokens do not fit the model's context of {self.n_positions}"
            )
        columns = self._columns[self.length : end]
        if self._offsets is None:
            return columns
        return (columns - self._offsets[:, None]).clamp_(min=0)

    def mask(self, time: int) -> Tensor | None:
        """Which columns the next `time` columns may look at: bool [B or 1, 1, T, length + T]; None: plain causal."""
        if self._offsets is None and (time == 1 or self.length == 0):
            return None
        keys = self._columns[: self.length + time]
        queries = keys[self.length :, None]
        mask = (keys <= queries)[None]
        if self._offsets is not None:
            # A padding column looks at itself, or its softmax would be over nothing and give NaN.
            mask = (mask & (keys >= self._offsets[:, None, None])) | (keys == queries)
        return mask[:, None]

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Stores one layer's keys and values [B, H, T, d/H]; returns all of them, [B, H, length + T, d/H]."""
        end = self.length + keys.shape[2]
        all_keys = self._keys[layer, : self.batch, :, :end]
        all_values = self._values[layer, : self.batch, :, :end]
        all_keys[:, :, self.length :] = keys
        all_values[:, :, self.length :] = values
        return all_keys, all_values

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        """Stores one layer's new keys and values; what the queries see under `mask`. All [B, H, T, d/H]."""
        k, v = self.append(layer, k, v)
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)

    def columns(self, row: int, count: int) -> tuple[Tensor, Tensor]:
        """The first `count` columns of a row: keys and values [n_layer, H, count, d/H], not copied."""
        return self._keys[:, row, :, :count], self._values[:, row, :, :count]

    def advance(self, time: int) -> None:
        """Counts `time` columns as filled, once every layer has stored them."""
        self.length += time

    def insert(self, source: "KVCache", row: int, columns: Sequence[int] | slice, count: int) -> None:
        """Adds a row: the `count` given columns of a row of another cache, in their order.

        At most `length` columns: whoever fills an empty cache sets that to the longest row to come.
        """
        if count > self.length or self.batch == self._keys.shape[1]:
            raise ZeroscaleError(f"the cache has no room for a row of {count} columns")
        start = self.length - count
        for store, source_store in ((self._keys, source._keys), (self._values, source._values)):
            store[:, self.batch, :, start : self.length] = source_store[:, row][:, :, columns]
            # What is masked is still multiplied (by 0): it must be a number.
            store[:, self.batch, :, :start] = 0
        self.batch += 1
        self._set_starts([*self.starts, start])

    def reserve(self, columns: int) -> None:
        """Makes `columns` columns free at the end, moving rows left over padding that no row needs."""
        spare = min(self.starts, default=0)
        if self.length + columns <= self.max_length or not spare:
            return
        for store in (self._keys, self._values):
            for layer in store:
                layer[: self.batch, :, : self.length - spare] = layer[: self.batch, :, spare : self.length].clone()
        self.length -= spare
        self._set_starts([start - spare for start in self.starts])

    def drop(self, rows: Sequence[int]) -> list[int]:
        """Takes rows out of the batch, moving rows from the end into the gaps; returns the new order: entry i is the
        former number of row i."""
        dropped = set(rows)
        order = list(range(self.batch))
        remaining = self.batch - len(dropped)
        movers = [row for row in range(remaining, self.batch) if row not in dropped]
        for gap in sorted(row for row in dropped if row < remaining):
            mover = movers.pop()
            order[gap] = mover
            for store in (self._keys, self._values):
                store[:, gap, :, : self.length] = store[:, mover, :, : self.length]
        order = order[:remaining]
        self.batch = remaining
        self._set_starts([self.starts[row] for row in order])
        return order

    def select(self, rows: Sequence[int]) -> "KVCache":
        """A new cache whose row i is a copy of this one's `rows[i]` (rows may repeat: one prefix, many endings)."""
        copy = object.__new__(KVCache)
        copy.__dict__.update(self.__dict__)
        index = torch.tensor(list(rows), device=self._columns.device)
        copy._keys = self._keys.index_select(1, index)
        copy._values = self._values.index_select(1, index)
        copy.batch = len(rows)
        copy._set_starts([self.starts[row] for row in rows])
        return copy
