"""One table for every reader: text for a terminal, JSON for the page, CSV, Markdown, LaTeX.

Whoever has something to show fills a `Table`; how it looks in each format is decided here alone.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import fill
from typing import TYPE_CHECKING

from zeroscale.core import latex
from zeroscale.core.format import NOTHING, plain, printable
from zeroscale.core.text_layout import cell_lines, fit

if TYPE_CHECKING:
    import rich.table

# What a terminal of 80 to 100 columns shows without breaking lines.
WIDTH = 100
# Longest lines of a head, of a first column and of any other cell where a table is fitted into a terminal.
HEAD_WIDTH, KEY_WIDTH, CELL_WIDTH = 18, 34, 40
NO_MFU = "hardware unknown: no MFU"

Value = str | float | bool | None


@dataclass(frozen=True)
class Column:
    """A column's head and how its cells are set."""

    label: str
    number: bool = False
    """Its cells end under each other, and files hold them in full digits."""
    note: str = ""
    """Small text under the label: the unit, the convention."""
    badge: str = ""
    kind: str = ""
    """What the badge is of, for its colour on the page."""
    bar: bool = False
    """The page draws a bar as long as the number."""
    total: str = ""
    """The cell of the last line, where there is one."""
    wraps: bool = False
    """A terminal may break its cells into lines."""

    def json(self) -> dict[str, object]:
        """What the page's scripts read; what is empty is left out."""
        parts = {"label": self.label, "note": self.note, "badge": self.badge, "kind": self.kind}
        shown = {key: text for key, text in parts.items() if text or key == "label"}
        return {**shown, **({"number": True} if self.number else {}), **({"bar": True} if self.bar else {})}


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    sort: float | str | None = None
    """What it is sorted by, and what files hold of a number; None: the text."""
    origin: str = ""
    """Where it comes from, in words."""
    note: str = ""
    """Small text under the number, such as its interval."""
    low: float | None = None
    high: float | None = None
    """The ends of its 95 % interval; both or none."""
    badge: str = ""
    source: Mapping[str, object] | None = None
    """The run, step and file that the page looks its origin up by."""

    @property
    def has_interval(self) -> bool:
        return self.low is not None and self.high is not None

    @property
    def notes(self) -> str:
        """The note and the badge in one line."""
        return ", ".join(part for part in (self.note, self.badge) if part)

    def lines(self, cut: bool) -> list[str]:
        """The text and its notes below it, for a terminal; `cut`: a long text keeps its end, which tells runs apart."""
        text = printable(self.text)
        if cut and len(text) > KEY_WIDTH:
            text = "…" + text[1 - KEY_WIDTH :]
        return cell_lines([text, *(printable(part) for part in (self.note, self.badge) if part)], CELL_WIDTH)

    def json(self) -> dict[str, object]:
        """What the page's scripts read; what is empty is left out."""
        sort = self.text if self.sort is None else self.sort
        parts = {"sort": sort, "origin": self.origin, "note": self.note}
        content: dict[str, object] = {"text": self.text, **{key: part for key, part in parts.items() if part != ""}}
        if self.has_interval:
            content |= {"low": self.low, "high": self.high}
        if self.badge:
            content["badge"] = self.badge
        return content if self.source is None else {**content, "from": dict(self.source)}

    def value(self, number: bool) -> Value:
        """What a file holds: of a number all digits, of a text the text (`inside` stays one), of a dash nothing."""
        if not number:
            return plain(self.text)
        if self.text in (NOTHING, NO_MFU):
            return ""
        return self.sort if isinstance(self.sort, int | float) else plain(self.text)


@dataclass(frozen=True)
class Table:
    """Columns and rows. In text a row may have fewer cells than columns: its last one runs on to the right."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    """A sentence above it, in text and in files."""

    @classmethod
    def of_texts(cls, columns: Sequence[str | Column], rows: Iterable[Sequence[str]], caption: str = "") -> "Table":
        """A table of texts alone; a column that is only a label has no numbers."""
        heads = [Column(column) if isinstance(column, str) else column for column in columns]
        return cls(heads, [[Cell(text) for text in row] for row in rows], caption)

    def text(self) -> str:
        """Lines for a terminal: columns that stand under each other, numbers to the right."""
        caption = [paragraph(self.caption)] if self.caption else []
        return "\n".join([*caption, *text_lines([replace(self, caption="")])])

    def fitted_text(self, width: int, keys: int = 1) -> list[str]:
        """Lines of at most `width` for a terminal, notes below their numbers; columns that do not fit follow below,
        with the first `keys` columns again."""
        heads = [cell_lines([printable(column.label)], HEAD_WIDTH) for column in self.columns]
        rows = [[cell.lines(cut=i == 0) for i, cell in enumerate(row)] for row in self.rows]
        return fit(heads, rows, [column.number for column in self.columns], keys, width)

    def json(self) -> dict[str, object]:
        """`{"columns": […], "rows": [{"cells": […]}]}`, as the page's scripts read it."""
        rows = [{"cells": [cell.json() for cell in row]} for row in self.rows]
        return {"columns": [column.json() for column in self.columns], "rows": rows}

    def csv(self) -> str:
        """Numbers in full, each interval as two columns of its own (`…/low`, `…/high`), as results.csv has them."""
        with_ends = [any(row[i].has_interval for row in self.rows) for i in range(len(self.columns))]
        head: list[str] = []
        for column, ends in zip(self.columns, with_ends, strict=True):
            head += [column.label, *([f"{column.label}/low", f"{column.label}/high"] if ends else [])]
        rows: list[list[Value]] = []
        for cells in self.rows:
            line: list[Value] = []
            for column, cell, ends in zip(self.columns, cells, with_ends, strict=True):
                line += [cell.value(column.number)]
                line += [*((cell.low, cell.high) if cell.has_interval else ("", ""))] if ends else []
            rows.append(line)
        return csv_text(map(plain, head), rows)

    def markdown(self) -> str:
        """GitHub's tables; an interval stands in brackets after its number."""
        lines = [_escaped(self.caption), ""] if self.caption else []
        heads = [column.label + (f" ({column.note})" if column.note else "") for column in self.columns]
        lines.append(_markdown_row(map(_escaped, heads)))
        lines.append("|" + "|".join("---:" if column.number else "---" for column in self.columns) + "|")
        for row in self.rows:
            texts = [cell.text + (f" ({cell.notes})" if cell.notes else "") for cell in row]
            lines.append(_markdown_row(map(_escaped, texts)))
        return "\n".join(lines) + "\n"

    def markdown_of_markup(self) -> str:
        """`markdown` for cells that are Markdown themselves (links, bold): the texts as they are, columns unaligned."""
        bars = [[cell.text.replace("|", "\\|") for cell in row] for row in self.rows]
        heads = [column.label.replace("|", "\\|") for column in self.columns]
        return "\n".join([_markdown_row(heads), "|" + "---|" * len(heads), *map(_markdown_row, bars)])

    def latex(self) -> str:
        r"""A `tabular` for \input, with booktabs' rules; intervals smaller, in brackets, below their numbers."""
        lines = [f"% {plain(self.caption)}"] if self.caption else []
        places = "".join("r" if column.number else "l" for column in self.columns)
        lines += [r"% \usepackage{booktabs}", rf"\begin{{tabular}}{{{places}}}", r"\toprule"]
        lines.append(" & ".join(latex.escape(column.label) for column in self.columns) + r" \\")
        if any(column.note for column in self.columns):
            lines.append(" & ".join(latex.small(column.note) for column in self.columns) + r" \\")
        lines.append(r"\midrule")
        for row in self.rows:
            lines.append(" & ".join(latex.escape(cell.text) for cell in row) + r" \\")
            notes = [latex.small(_latex_note(cell)) for cell in row]
            if any(notes):
                lines.append(" & ".join(notes) + r" \\")
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def rich(self) -> "rich.table.Table":
        """For a rich console, which breaks long cells into lines; the caption stands below it."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table as RichTable

        totals = any(column.total for column in self.columns)
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=totals)
        for column in self.columns:
            table.add_column(
                column.label,
                column.total,
                justify="right" if column.number else "left",
                overflow="ellipsis" if column.number else "fold",
                no_wrap=not column.wraps,
            )
        for row in self.rows:
            # A settings label such as cards=[lambada] is no markup of rich's.
            table.add_row(*(escape(cell.text) for cell in row))
        table.caption, table.caption_justify = self.caption or None, "left"
        return table


def text_widths(tables: Sequence[Table]) -> list[int]:
    """Of each column, the longest cell in any of the tables, heads included."""
    columns = max((len(table.columns) for table in tables), default=0)
    rows = [[column.label for column in table.columns] for table in tables]
    for table in tables:
        for row in table.rows:
            # The last cell of a shorter row runs on over the columns beside it.
            rows.append([cell.text for cell in (row if len(row) == columns else row[:-1])])
    return [max((len(row[column]) for row in rows if column < len(row)), default=0) for column in range(columns)]


def text_lines(tables: Sequence[Table], widths: Sequence[int] | None = None) -> list[str]:
    """Tables of the same columns under one head, each caption in a line above its rows.

    Args:
        widths: of the columns; None: as wide as their longest cells. Given by whoever sets several stacks alike.
    """
    wide = text_widths(tables) if widths is None else widths
    columns = tables[0].columns

    def line(texts: Iterable[str]) -> str:
        padded = [
            text.rjust(width) if column.number else text.ljust(width)
            for text, width, column in zip(texts, wide, columns, strict=False)
        ]
        return "  ".join(padded).rstrip()

    lines = [line(column.label for column in columns)]
    for table in tables:
        lines += [paragraph(table.caption, indent=4)] if table.caption else []
        lines += [line(cell.text for cell in row) for row in table.rows]
    return lines


def paragraph(text: str, indent: int = 2, width: int = WIDTH) -> str:
    """Text broken into lines, those after the first indented."""
    return fill(text, width, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)


def csv_text(head: Iterable[str], rows: Iterable[Iterable[Value]]) -> str:
    """A CSV file's content: a line per row, every digit of a number, nothing for None."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return buffer.getvalue()


def _markdown_row(texts: Iterable[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _escaped(text: str) -> str:
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", " ".join(plain(text).split()))


def _latex_note(cell: Cell) -> str:
    if cell.has_interval and not cell.badge:
        return f"[{cell.notes.replace(' to ', ', ')}]"
    return cell.notes
