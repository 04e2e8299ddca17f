"""Rows of texts laid out in a limited number of columns of a terminal; knows nothing of tables."""

import textwrap
from collections.abc import Iterator, Sequence

GAP = "  "

Lines = list[str]
"""The lines of one cell, from top to bottom."""


def fit(heads: Sequence[Lines], rows: Sequence[Sequence[Lines]], right: Sequence[bool], keys: int, width: int) -> Lines:
    """Columns under each other, no line longer than `width`; the columns that do not fit follow in a block below.

    Args:
        right: of each column, whether its texts end under each other.
        keys: the first columns, which say what a row is, stand in every block.
    """
    sizes = [max(len(line) for cell in column for line in cell) for column in zip(heads, *rows, strict=True)]
    blocks: list[Lines] = []
    for chosen in _blocks(sizes, keys, width):
        widths, ends = [sizes[i] for i in chosen], [right[i] for i in chosen]
        block = _row([heads[i] for i in chosen], widths, ends, bottom=True)
        block.append(GAP.join("-" * size for size in widths))
        for row in rows:
            block += _row([row[i] for i in chosen], widths, ends)
        blocks.append([line[:width] for line in block])
    return [line for i, block in enumerate(blocks) for line in ([""] if i else []) + block]


def cell_lines(parts: Sequence[str], width: int) -> Lines:
    """Each part on a line of its own, broken where it is longer than `width`; at least one line."""
    return [line for part in parts for line in textwrap.wrap(part, width) or [""]]


def _blocks(sizes: Sequence[int], keys: int, width: int) -> Iterator[list[int]]:
    """The columns of each block, by number."""
    first = list(range(keys))
    start = sum(sizes[i] for i in first)
    chosen: list[int] = []
    used = start
    for i in range(keys, len(sizes)):
        if chosen and used + len(GAP) + sizes[i] > width:
            yield first + chosen
            chosen, used = [], start
        chosen.append(i)
        used += len(GAP) + sizes[i]
    yield first + chosen


def _row(cells: Sequence[Lines], sizes: Sequence[int], right: Sequence[bool], bottom: bool = False) -> Lines:
    """The lines of one row; `bottom`: cells with fewer lines stand at the bottom."""
    height = max(map(len, cells))
    lines = []
    for at in range(height):
        parts = []
        for cell, size, to_right in zip(cells, sizes, right, strict=True):
            place = at - (height - len(cell)) if bottom else at
            text = cell[place] if 0 <= place < len(cell) else ""
            parts.append(text.rjust(size) if to_right else text.ljust(size))
        lines.append(GAP.join(parts).rstrip())
    return lines
