"""Tables of text: columns that stand under each other in a terminal, and Markdown."""

from collections.abc import Sequence
from textwrap import fill

# What a terminal of 80 to 100 columns shows without breaking lines.
WIDTH = 100
NOTHING = "–"

Cells = Sequence[str]


def figure(value: float | None) -> str:
    """Four digits."""
    return "not finite" if value is None else f"{value:.4g}"


def signed(value: float | None) -> str:
    """Four digits and the sign."""
    return NOTHING if value is None else f"{value:+.4g}"


def interval(low: float | None, high: float | None) -> str:
    """`0.31 to 0.33`."""
    return NOTHING if low is None or high is None else f"{low:.4g} to {high:.4g}"


def widths(rows: Sequence[Cells], columns: int) -> list[int]:
    """Of each column, the longest cell. A row with fewer cells may run on to the right with its last one."""
    counted = [row if len(row) == columns else row[:-1] for row in rows]
    return [max((len(row[column]) for row in counted if column < len(row)), default=0) for column in range(columns)]


def line(cells: Cells, wide: Sequence[int], right: Sequence[int] = ()) -> str:
    """One row; the columns `right` end under each other, the others begin so."""
    padded = [
        cell.rjust(width) if column in right else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, wide, strict=False))
    ]
    return "  ".join(padded).rstrip()


def paragraph(text: str, indent: int = 2, width: int = WIDTH) -> str:
    """Text broken into lines, those after the first indented."""
    return fill(text, width, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)


def markdown(head: Cells, rows: Sequence[Cells]) -> list[str]:
    """The lines of a table."""

    def row(cells: Cells) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [row(head), "|" + "---|" * len(head), *map(row, rows)]
