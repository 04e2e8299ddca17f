"""Tables of text: columns that stand under each other in a terminal, and Markdown."""

import csv
import io
import re
from collections.abc import Sequence
from textwrap import fill
from typing import Any

from zeroscale.core import format

# What a terminal of 80 to 100 columns shows without breaking lines.
WIDTH = 100

Cells = Sequence[str]


def widths(rows: Sequence[Cells], columns: int) -> list[int]:
    """Of each column, the longest cell. A row with fewer cells may run on to the right with its last one."""
    counted = [row if len(row) == columns else row[:-1] for row in rows]
    return [max((len(row[column]) for row in counted if column < len(row)), default=0) for column in range(columns)]


def row_text(cells: Cells, wide: Sequence[int], right: Sequence[int] = ()) -> str:
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


Table = dict[str, Any]


# What LaTeX reads as something else, and letters that a plain document has no glyph for.
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    "\u00a0": "~",
    "–": "--",
    "…": r"\ldots{}",
    **{
        character: f"${command}$"
        for character, command in {
            format.MINUS: "-",
            "×": r"\times",
            "·": r"\cdot",
            "≥": r"\ge",
            "≤": r"\le",
            "∼": r"\sim",
            "∝": r"\propto",
            "±": r"\pm",
            "↑": r"\uparrow",
            "↓": r"\downarrow",
            "α": r"\alpha",
            "β": r"\beta",
            "σ": r"\sigma",
            "∞": r"\infty",
        }.items()
    },
}


_POWER = re.compile(r"\^\{([^{}]*)\}")


def as_csv(table: Table) -> str:
    """Numbers in full, each interval as two columns of its own (`…/low`, `…/high`), as results.csv has them."""
    columns, rows = table["columns"], [row["cells"] for row in table["rows"]]
    with_ends = [any("low" in row[i] for row in rows) for i in range(len(columns))]
    head: list[str] = []
    for column, ends in zip(columns, with_ends, strict=True):
        head += [column["label"], *([f"{column['label']}/low", f"{column['label']}/high"] if ends else [])]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_plain(label) for label in head)
    for row in rows:
        line: list[Any] = []
        for column, cell, ends in zip(columns, row, with_ends, strict=True):
            line += [_number(cell) if column.get("number") else _plain(cell["text"])]
            line += [cell.get("low", ""), cell.get("high", "")] if ends else []
        writer.writerow(line)
    return buffer.getvalue()


def _number(cell: dict[str, Any]) -> Any:
    """The value where there is one: a text such as `inside` stays one, and a dash is nothing."""
    value = cell.get("sort")
    if cell["text"] == "–" or cell["text"].startswith("hardware unknown"):
        return ""
    return value if isinstance(value, int | float) else _plain(cell["text"])


def _plain(text: str) -> str:
    return format.flat(_POWER.sub(lambda found: "^" + found[1] if _letters(found[1]) else found[0], text)).replace(
        format.SPACE, " "
    )


def _letters(text: str) -> bool:
    return not re.fullmatch(rf"[0-9{format.MINUS}-]+", text)


def as_markdown(table: Table, caption: str = "") -> str:
    """GitHub's tables; an interval stands in brackets after its number."""

    def row(cells: list[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def shown(text: str) -> str:
        return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", " ".join(_plain(text).split()))

    lines = [shown(caption), ""] if caption else []
    columns = table["columns"]
    lines.append(row([shown(_headed(column)) for column in columns]))
    lines.append("|" + "|".join("---:" if column.get("number") else "---" for column in columns) + "|")
    for one in table["rows"]:
        lines.append(row([shown(_with_note(cell)) for cell in one["cells"]]))
    return "\n".join(lines) + "\n"


def _headed(column: dict[str, Any]) -> str:
    return column["label"] + (f" ({column['note']})" if column.get("note") else "")


def _with_note(cell: dict[str, Any]) -> str:
    note = ", ".join(part for part in (cell.get("note"), cell.get("badge")) if part)
    return cell["text"] + (f" ({note})" if note else "")


def as_latex(table: Table, caption: str = "") -> str:
    r"""A `tabular` for \input, with booktabs' rules; intervals smaller, in brackets, below their numbers."""
    columns = table["columns"]
    lines = [f"% {_plain(caption)}"] if caption else []
    lines += [
        r"% \usepackage{booktabs}",
        r"\begin{tabular}{" + "".join("r" if c.get("number") else "l" for c in columns),
    ]
    lines[-1] += "}"
    lines.append(r"\toprule")
    lines.append(" & ".join(latex(column["label"]) for column in columns) + r" \\")
    if any(column.get("note") for column in columns):
        lines.append(" & ".join(_small(column.get("note", "")) for column in columns) + r" \\")
    lines.append(r"\midrule")
    for one in table["rows"]:
        cells = one["cells"]
        lines.append(" & ".join(latex(cell["text"]) for cell in cells) + r" \\")
        notes = [_interval(cell) for cell in cells]
        if any(notes):
            lines.append(" & ".join(notes) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _interval(cell: dict[str, Any]) -> str:
    note = ", ".join(part for part in (cell.get("note"), cell.get("badge")) if part)
    return _small(f"[{note.replace(' to ', ', ')}]" if "low" in cell and not cell.get("badge") else note)


def _small(text: str) -> str:
    return rf"{{\scriptsize {latex(text)}}}" if text else ""


def latex(text: str) -> str:
    """Text as LaTeX prints it letter by letter; `^{…}` is a superscript."""
    parts = []
    end = 0
    for found in _POWER.finditer(text):
        parts += [_letter_by_letter(text[end : found.start()]), rf"\textsuperscript{{{_letter_by_letter(found[1])}}}"]
        end = found.end()
    return "".join([*parts, _letter_by_letter(text[end:])])


def _letter_by_letter(text: str) -> str:
    # A line break inside a cell would end nothing, but two would end the paragraph.
    return "".join(_LATEX.get(character, character) for character in re.sub(r"[\r\n\u2028\u2029]+", " ", text))
