"""Reads a CSV of runs, ours or anybody's, and names every fault by row and column."""

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.errors import ZeroscaleError

if TYPE_CHECKING:
    from pandas import DataFrame

REQUIRED = ("params", "tokens", "loss")
OPTIONAL = ("flops", "seed")
# Ours: what a row of results.csv must have, and what it may leave empty.
LEDGER_REQUIRED = ("params", "params_non_embedding", "params_matmul", "tokens")
SHOWN_FAULTS = 10


def read_csv(path: Path) -> "DataFrame":
    """A results.csv (known by its columns cell and params_non_embedding) or a CSV with params, tokens, loss.

    Rows are numbered as in the file: the header is row 1.

    Raises:
        ZeroscaleError: one message with every fault: missing columns, text for a number, zero, negative, NaN,
            infinite, repeated rows, parameters that look like millions.
    """
    import pandas

    header, rows = _read(path)
    ledger = {"cell", "step", "params_non_embedding"} <= set(header)
    faults: list[str] = []
    if ledger:
        table = [_ledger_row(number, cells, faults) for number, cells in rows]
        keys = ("cell", "step")
    else:
        _check_columns(path, header)
        table = [_plain_row(number, cells, faults) for number, cells in rows]
        keys = ("params", "tokens", "seed") if "seed" in header else ("params", "tokens")
    if not faults:
        faults += _repeated([(number, cells) for (number, _), cells in zip(rows, table, strict=True)], keys)
        faults += _units(table)
    if faults:
        more = [f"  … and {len(faults) - SHOWN_FAULTS} more"] if len(faults) > SHOWN_FAULTS else []
        shown = [f"  {fault}" for fault in faults[:SHOWN_FAULTS]]
        raise ZeroscaleError("\n".join([f"{path} cannot be fitted as it is:", *shown, *more]))
    return pandas.DataFrame(table)


def _read(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ZeroscaleError(f"{path} is not UTF-8 text (byte {error.start}): save it as a UTF-8 CSV") from error
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    header = [name.strip() for name in next(reader, [])]
    if not header:
        raise ZeroscaleError(f"{path} is empty: it needs a header with params, tokens, loss and a row for each run")
    rows = []
    for values in reader:
        if not any(value.strip() for value in values):
            continue
        if len(values) != len(header):
            raise ZeroscaleError(
                f"{path}, row {reader.line_num}: {len(values)} values under {len(header)} columns ({', '.join(header)})"
            )
        rows.append((reader.line_num, dict(zip(header, (value.strip() for value in values), strict=True))))
    if not rows:
        raise ZeroscaleError(f"{path} has a header and no runs")
    return header, rows


def _check_columns(path: Path, header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise ZeroscaleError(
            f"{path} has no column {' and no '.join(missing)}; it has {', '.join(header)}. "
            f"A CSV of runs needs {', '.join(REQUIRED)}, and may have {', '.join(OPTIONAL)}: rename its columns"
        )


def _plain_row(number: int, cells: dict[str, str], faults: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"row": number}
    for name in (*REQUIRED, *OPTIONAL):
        if name in cells:
            row[name] = _number(number, name, cells[name], faults, _whole if name == "seed" else _positive)
    return row


def _ledger_row(number: int, cells: dict[str, str], faults: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, text in cells.items():
        if name in ("cell", "model", "status", "sample_cards"):
            row[name] = text
        elif name in LEDGER_REQUIRED:
            row[name] = _number(number, name, text, faults, _positive)
        elif text == "":
            row[name] = math.nan
        else:
            row[name] = _number(number, name, text, faults, _positive if name == "val/loss" else _finite)
    return row


def _number(
    number: int, column: str, text: str, faults: list[str], check: Callable[[float], str | None]
) -> float | None:
    try:
        value = float(text)
    except ValueError:
        what = "is empty" if text == "" else f"is {text!r}, not a number"
        faults.append(f"row {number}, {column} {what}")
        return None
    wrong = check(value)
    if wrong:
        faults.append(f"row {number}, {column} is {text}: {wrong}")
    return value


def _finite(value: float) -> str | None:
    return None if math.isfinite(value) else "it must be a finite number"


def _positive(value: float) -> str | None:
    return None if math.isfinite(value) and value > 0 else "it must be a finite number above zero; take the run out"


def _whole(value: float) -> str | None:
    return None if math.isfinite(value) and value == int(value) else "a seed is a whole number"


def _repeated(rows: list[tuple[int, dict[str, Any]]], keys: tuple[str, ...]) -> list[str]:
    first: dict[tuple[Any, ...], int] = {}
    faults = []
    for number, row in rows:
        key = tuple(row[name] for name in keys)
        if key in first:
            hint = "" if "seed" in keys or "cell" in keys else "; if they are seeds, add a column seed"
            faults.append(f"row {number} repeats row {first[key]}: the same {', '.join(keys)}. Take one out{hint}")
        first.setdefault(key, number)
    return faults


def _units(table: list[dict[str, Any]]) -> list[str]:
    # The smallest language models that anybody fits have some ten thousand weights; "124" means millions.
    largest = max(row["params"] for row in table)
    if largest >= 5000:
        return []
    return [f"params is at most {largest:g}, which looks like millions or billions: write 124000000, not 124"]
