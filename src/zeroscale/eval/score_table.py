"""The table that `zeroscale eval` ends with: for a terminal of 100 columns, and as JSON, CSV and Markdown."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import cast

from zeroscale.core.files import write_json, write_text
from zeroscale.core.format import NOT_FINITE, NOTHING, general, interval
from zeroscale.core.tables import Column, Table, Value, csv_text, paragraph, text_lines, text_widths
from zeroscale.eval.published import SIZES, Published, Row, nearest

TEXT_COLUMNS = (
    *("", Column("ours", number=True), "95 % interval"),
    *("the paper's", Column("difference", number=True), "others"),
)
MARKDOWN_COLUMNS = (
    *("checkpoint", "benchmark", "protocol", "metric", "ours", "95 % interval", "n"),
    *("the paper's", "difference", "others", "beside it"),
)
# What stands in the place of others' numbers, by the first word of a mark.
_INSTEAD = {"SAMPLE,": "SAMPLE, no benchmark", "held-out": "held-out text"}


def write(directory: Path, rows: Sequence[Row]) -> list[Path]:
    """scores.json, scores.csv and scores.md."""
    paths = [directory / f"scores.{kind}" for kind in ("json", "csv", "md")]
    write_json(paths[0], {"rows": [row.to_json() for row in rows]})
    write_text(paths[1], as_csv(rows))
    write_text(paths[2], as_markdown(rows))
    return paths


def as_text(rows: Sequence[Row]) -> str:
    """Blocks of checkpoints, in them blocks of cards, in them a line for each metric."""
    blocks: list[tuple[str, list[Table]]] = []
    for checkpoint, group in groupby(rows, key=lambda row: row.checkpoint):
        members = list(group)
        cards = [list(of_card) for _, of_card in groupby(members, key=lambda row: (row.card, row.protocol))]
        tables = [Table.of_texts(TEXT_COLUMNS, map(_texts, of_card), _about_card(of_card[0])) for of_card in cards]
        blocks.append((_about_model(checkpoint, members[0].params_non_embedding), tables))
    widths = text_widths([table for _, tables in blocks for table in tables])
    lines = []
    for title, tables in blocks:
        lines += ["", paragraph(title), *text_lines(tables, widths)]
    if notes := _notes(rows):
        lines += ["", *map(paragraph, notes)]
    return "\n".join(lines).strip("\n")


def _about_model(checkpoint: str, params: int | None) -> str:
    if params is None:
        return checkpoint
    size = nearest(params, SIZES)
    assert size is not None
    own = f"{checkpoint}: {params:,} parameters without embeddings."
    return f"{own} The paper's nearest size: {size}, {SIZES[size]:,} ({_ratio(SIZES[size] / max(params, 1))})"


def _ratio(ratio: float) -> str:
    """How many times as large the paper's model is."""
    if 0.95 < ratio < 1.05:
        return "as large as ours"
    factor = max(ratio, 1 / ratio)
    shown = f"{factor:,.0f}" if factor >= 10 else f"{factor:.2g}"
    return f"{shown} times ours" if ratio > 1 else f"ours is {shown} times as large"


def _about_card(row: Row) -> str:
    """The benchmark, what was scored of it, and what was not. A mark that every line bears is not said once more."""
    besides = [part for part in _besides(row) if part not in _INSTEAD.values()]
    return "; ".join([f"{row.card}, protocol {row.protocol}: {count(row.n, row.units, row.unit)}", *besides])


def count(n: int, units: int, unit: str) -> str:
    """`5,153 passages`, or where a unit has several examples, `7,983 examples in 500 passages`."""
    return f"{n:,} {unit}" if units == n else f"{n:,} examples in {units:,} {unit}"


def _besides(row: Row) -> list[str]:
    """What must stand beside a score: what was cut, what was left out, why it may be none of the benchmark."""
    parts = []
    if row.truncated:
        parts.append(f"{row.truncated:,} cut to fit the context (by {row.truncated_tokens:,} tokens)")
    if row.left_out:
        parts.append(f"{row.left_out:,} left out")
    if row.mark:
        parts.append(row.mark)
    elif row.data.startswith("as many"):
        parts.append(row.data)
    return parts


def _texts(row: Row) -> tuple[str, ...]:
    """The columns of a terminal; of a score that is none of the benchmark, its mark in the place of the last three."""
    ours = (f"  {row.metric}", *_ours(row))
    if row.mark:
        first = row.mark.split(" ")[0].split(";")[0]
        return (*ours, _INSTEAD.get(first, f"{first.rstrip(':')}, not the benchmark"))
    return (*ours, _number(row.paper), _difference(row), _numbers(row.others))


def _ours(row: Row) -> tuple[str, str]:
    ends = interval(row.low, row.high, show=general, missing=NOTHING)
    return general(row.value, missing=NOT_FINITE), ends


def _difference(row: Row) -> str:
    return general(row.difference, signed=True) if row.paper else ""


def _number(published: Published | None) -> str:
    if published is None:
        return NOTHING
    return f"{general(published.value)} ({_size(published)})"


def _size(published: Published) -> str:
    """Whose number it is; of a baseline made of the text itself, nobody's."""
    return published.size or "no model"


def _numbers(published: Sequence[Published]) -> str:
    if not published:
        return ""
    values = ", ".join(general(number.value) for number in published)
    return f"{values} ({_size(published[0])})"


def _notes(rows: Sequence[Row]) -> list[str]:
    """Where others' numbers come from, and which intervals are none of the bootstrap's; each said once."""
    notes: dict[str, None] = {}
    papers: dict[str, list[str]] = {}
    for row in rows:
        for other in row.others:
            notes[f"Others, {row.card} {row.metric} {_number(other)}: {other.how} ({other.source})"] = None
        if row.paper and row.card not in papers.setdefault(row.paper.source, []):
            papers[row.paper.source].append(row.card)
    intervals = dict.fromkeys(f"{row.card}: {note}" for row in rows for note in row.interval_notes)
    return [*(f"The paper's, {', '.join(cards)}: {source}" for source, cards in papers.items()), *notes, *intervals]


COLUMNS = (
    *("checkpoint", "params_non_embedding", "card", "protocol", "metric", "value", "low", "high", "n", "units", "unit"),
    *("higher_is_better", "chance", "mark", "data", "truncated", "truncated_tokens", "left_out"),
    *("paper", "paper_size", "paper_source", "difference", "others"),
)


def as_csv(rows: Sequence[Row]) -> str:
    """A line for each metric; others' numbers in one field, `0.3256 (small; how; source)`."""
    lines = []
    for row in rows:
        paper = row.paper
        published = {
            "paper": paper.value if paper else None,
            "paper_size": paper.size if paper else None,
            "paper_source": paper.source if paper else None,
            "others": "; ".join(
                f"{other.value:.6g} ({_size(other)}; {other.how}; {other.source})" for other in row.others
            ),
        }
        content = {**row.to_json(), **published}
        # Every column is a scalar; `others`, a list in JSON, is text here.
        lines.append([cast(Value, content[column]) for column in COLUMNS])
    return csv_text(COLUMNS, lines)


def as_markdown(rows: Sequence[Row]) -> str:
    """One table, and below it where others' numbers come from."""
    table = []
    for row in rows:
        beside = "; ".join(f"**{part}**" if part == row.mark else part for part in _besides(row))
        paper = _number(row.paper) if row.paper else ""
        published = (paper, _difference(row), _numbers(row.others), beside)
        count_text = count(row.n, row.units, row.unit)
        table.append((row.checkpoint, row.card, row.protocol, row.metric, *_ours(row), count_text, *published))
    notes = [f"- {note}" for note in _notes(rows)]
    text = Table.of_texts(MARKDOWN_COLUMNS, table).markdown_of_markup()
    return "\n".join([text, *(["", *notes] if notes else [])]) + "\n"
