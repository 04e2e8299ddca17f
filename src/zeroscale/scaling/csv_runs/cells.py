"""A CSV of runs as numbered rows of text, and its cells as numbers; what is no CSV is refused with what it is."""

import csv
import io
import math
import re
from collections.abc import Iterator
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import ledger
from zeroscale.runs.axes import Value

Cells = dict[str, str]
# What people write behind a number. Only to say in a message how to write it.
THOUSANDS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
# Characters of a cell or a header that a message shows.
SHOWN = 40
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_rows(path: Path, names: tuple[str, ...] = ()) -> tuple[list[str], list[tuple[int, Cells]]]:
    """The header, and each row with its line in the file (the last, where a quoted cell spans several).

    Args:
        names: the columns that are read, to tell a CSV from a table with another separator.

    Raises:
        ZeroscaleError: not UTF-8, no CSV, no header, no rows, or a row of another width than the header.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ZeroscaleError(f"{path} is not UTF-8 text (byte {error.start}): save it as a UTF-8 CSV") from error
    records = _records(path, text)
    header = [name.strip() for name in next(records, (0, []))[1]]
    if not header:
        raise ZeroscaleError(f"{path} is empty: it needs a header with params, tokens, loss and a row for each run")
    _refuse_other_separator(path, header, names)
    rows = []
    for number, values in records:
        if len(values) != len(header):
            raise ZeroscaleError(
                f"{path}, row {number}: {len(values)} values under {len(header)} columns ({shown(', '.join(header))})"
            )
        rows.append((number, dict(zip(header, (value.strip() for value in values), strict=True))))
    if not rows:
        raise ZeroscaleError(f"{path} has a header and no runs")
    return header, rows


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, with their lines."""
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        for values in reader:
            if any(value.strip() for value in values):
                yield reader.line_num, values
    except csv.Error as error:
        raise ZeroscaleError(
            f"{path}, row {reader.line_num}: {error}; is a quotation mark left open in an earlier row?"
        ) from error


def _refuse_other_separator(path: Path, header: list[str], names: tuple[str, ...]) -> None:
    (line,) = header if len(header) == 1 else ("",)
    for sign, word in OTHER_SEPARATORS.items():
        if sign in line and line not in names:
            raise ZeroscaleError(
                f"{path} separates its columns by {word} ({shown(line)}): save it with commas, and decimal points"
            )


def shown(text: str) -> str:
    """The beginning of a text, for a message."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def number_in(text: str) -> float | None:
    """The number in a cell, which may be infinite; None where there is none: empty, NaN, NA, "-", "#N/A" or any other
    text without a digit.

    Raises:
        ValueError: a text with digits that is no number ("70M", "2,9").
    """
    if text.startswith("#"):
        return None
    try:
        value = float(text)
    except ValueError:
        if any(sign.isdigit() for sign in text):
            raise
        return math.copysign(math.inf, -1 if text[0] == "-" else 1) if text.lstrip("+-") == "∞" else None
    return None if math.isnan(value) else value


def meant(text: str) -> str:
    """How to write what people write for people: 70M, 1.4 B, 124,000,000, 2,9. Never taken without being typed."""
    match = re.fullmatch(r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+[.,]?\d*)\s*([KMBGT]?)", text, re.IGNORECASE)
    if match is None:
        return ""
    digits = match[1]
    whole = re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits)
    value = float(digits.replace(",", "" if whole else ".")) * THOUSANDS[match[2].upper()]
    return f": write {value:.15g}"


def is_setting(column: str) -> bool:
    """Whether a column of results.csv holds a setting in which the runs differ: "optimizer.lr", "code"."""
    return "/" not in column and column not in ledger.FIXED_COLUMNS


def setting_in(text: str) -> Value:
    """A setting's value as it was typed: "0.003", "true", "adamw"; an empty cell is none."""
    if text in ("", "null"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
