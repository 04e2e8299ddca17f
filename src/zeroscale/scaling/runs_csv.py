"""Reads a CSV of runs, ours or anybody's, and names every fault by row and column."""

import csv
import io
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs.study import Study
from zeroscale.scaling.options import COLUMNS
from zeroscale.scaling.run_selection import Row

if TYPE_CHECKING:
    from pandas import DataFrame

REQUIRED = ("params", "tokens", "loss")
OPTIONAL = ("flops", "seed")
# Ours: what a row of results.csv must have, and what it may leave empty.
LEDGER_REQUIRED = ("params", "params_non_embedding", "params_matmul", "tokens")
SHOWN_FAULTS = 10
# What others call the columns; only to say in a message how to name them.
ALIASES = {
    "params": ("n", "parameters", "model size", "model_size", "n_params", "num_params", "n_parameters", "size"),
    "tokens": ("d", "training tokens", "train_tokens", "n_tokens", "num_tokens", "tokens_seen", "data"),
    "loss": ("l", "val_loss", "val/loss", "train_loss", "final_loss", "test_loss", "eval_loss", "validation_loss"),
    "flops": ("c", "compute", "training flop", "training flops", "flop", "training_flops", "total_flops"),
    "seed": ("random_seed", "run_seed"),
}
# What people write behind a number. Only to say in a message how to write it.
THOUSANDS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
# FLOPs that are this many times 6 N D or more, or this share of it or less, are counted in another unit.
FLOPS_HIGH, FLOPS_LOW = 1000.0, 0.01


def read_csv(path: Path, columns: Mapping[str, str | None] = COLUMNS) -> "DataFrame":
    """A results.csv (known by its columns cell and params_non_embedding) or a CSV with params, tokens, loss.

    Rows are numbered as in the file: the header is row 1. Columns with a slash in their name ("arc/acc") are kept: they
    are scores of benchmarks.

    Args:
        columns: what the file calls params, tokens, loss, flops and seed. `tokens: None` takes flops / (6 params).

    Raises:
        ZeroscaleError: one message with every fault: missing columns, text for a number, zero, negative, NaN,
            infinite, repeated rows, units that look wrong.
    """
    import pandas

    header, rows = _read(path)
    ledger = {"cell", "step", "params_non_embedding"} <= set(header)
    faults: list[str] = []
    if ledger:
        table = [_ledger_row(number, cells, faults) for number, cells in rows]
        keys: tuple[str, ...] = ("cell", "step")
    else:
        named = _named(path, header, columns)
        table = [_plain_row(number, cells, faults, named) for number, cells in rows]
        keys = ("params", "tokens", "seed") if "seed" in named else ("params", "tokens")
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


def _named(path: Path, header: list[str], columns: Mapping[str, str | None]) -> dict[str, str | None]:
    """Our name → the file's, of the columns that are there. A doubled or missing column is refused."""
    twice = sorted({name for name in header if header.count(name) > 1} & {name for name in columns.values() if name})
    if twice:
        raise ZeroscaleError(f"{path} has the column {', '.join(twice)} twice: rename one of them")
    named: dict[str, str | None] = {}
    missing = []
    for name in (*REQUIRED, *OPTIONAL):
        column = columns.get(name, name)
        if column in header:
            named[name] = column
        elif name == "tokens" and column is None and columns.get("flops", "flops") in header:
            named[name] = None
        elif name in REQUIRED or column != name:
            missing.append("tokens, nor flops to take them from" if column is None else column)
    if missing:
        raise ZeroscaleError(
            f"{path} has no column {' and no '.join(missing)}; it has {', '.join(header)}. "
            f"A CSV of runs needs {', '.join(REQUIRED)}, and may have {', '.join(OPTIONAL)}: rename its columns, or "
            f"say what they are called{_hint(header)}"
        )
    return named


def _hint(header: list[str]) -> str:
    """How to name the columns, guessed from what others call them; a guess is never taken without being typed."""
    guesses = []
    for name, aliases in ALIASES.items():
        alias = next((column for column in header if column.lower() in aliases), None)
        if name not in header and alias is not None:
            guesses.append(f"columns.{name}={alias!r}" if " " in alias else f"columns.{name}={alias}")
    if not guesses:
        return ", as in columns.params=NAME"
    return f", as in {' '.join(guesses)}"


def _plain_row(number: int, cells: dict[str, str], faults: list[str], named: Mapping[str, str | None]) -> Row:
    row: Row = {"row": number}
    for name, column in named.items():
        if column is None:
            continue
        if name == "flops" and cells[column] == "" and named["tokens"] is not None:
            row[name] = math.nan
            continue
        row[name] = _number(number, column, cells[column], faults, _whole if name == "seed" else _positive)
    if named["tokens"] is None and row.get("flops") and row.get("params"):
        row["tokens"] = row["flops"] / (6 * row["params"])
    for column, text in cells.items():
        if "/" in column and column not in named.values():
            row[column] = math.nan if text == "" else _number(number, column, text, faults, _finite)
    return row


def _ledger_row(number: int, cells: dict[str, str], faults: list[str]) -> Row:
    row: Row = {}
    for name, text in cells.items():
        if name in ("cell", "model", "status", "sample_cards", "partial_cards"):
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
        what = "is empty" if text == "" else f"is {text!r}, not a number{_meant(text)}"
        faults.append(f"row {number}, {column} {what}")
        return None
    wrong = check(value)
    if wrong:
        faults.append(f"row {number}, {column} is {text}: {wrong}")
    return value


def _meant(text: str) -> str:
    """How to write what people write for people: 70M, 1.4 B, 124,000,000. Never taken without being typed."""
    match = re.fullmatch(r"(\d[\d,_]*(?:\.\d+)?)\s*([KMBGT]?)", text, re.IGNORECASE)
    if match is None:
        return ""
    number = float(re.sub("[,_]", "", match[1])) * THOUSANDS[match[2].upper()]
    return f": write {number:.15g}"


def _finite(value: float) -> str | None:
    return None if math.isfinite(value) else "it must be a finite number"


def _positive(value: float) -> str | None:
    return None if math.isfinite(value) and value > 0 else "it must be a finite number above zero; take the run out"


def _whole(value: float) -> str | None:
    return None if math.isfinite(value) and value == int(value) else "a seed is a whole number"


def _repeated(rows: list[tuple[int, Row]], keys: tuple[str, ...]) -> list[str]:
    first: dict[tuple[object, ...], int] = {}
    faults = []
    for number, row in rows:
        key = tuple(row[name] for name in keys)
        if key in first:
            hint = "" if "seed" in keys or "cell" in keys else "; if they are seeds, add a column seed"
            faults.append(f"row {number} repeats row {first[key]}: the same {', '.join(keys)}. Take one out{hint}")
        first.setdefault(key, number)
    return faults


def _units(table: list[Row]) -> list[str]:
    """What looks like a wrong unit, by row. The smallest language models that anybody fits have some ten thousand
    weights; "124" means millions."""
    if "row" not in table[0]:
        return []
    faults = []
    small = [row for row in table if row["params"] < 5000]
    for row in small[:3]:
        faults.append(
            f"row {row['row']}, params is {row['params']:g}, which looks like millions or billions: write 124000000, "
            "not 124"
        )
    if len(small) > 3:
        faults.append(f"and so are params in {len(small) - 3} more rows")
    largest = max(table, key=lambda row: row["tokens"])
    if largest["tokens"] < 1e5:
        faults.append(
            f"tokens is at most {largest['tokens']:g} (row {largest['row']}), which looks like millions or billions: "
            "write 2500000000, not 2.5"
        )
    elif not small:
        faults += _disproportion(table)
    losses = sorted(row["loss"] for row in table)
    if losses[len(losses) // 2] > 12:
        faults.append(
            f"loss is {losses[len(losses) // 2]:.3g} in the middle row by size, which looks like a perplexity: give "
            "its natural logarithm, in nats per token"
        )
    return faults


def _disproportion(table: list[Row]) -> list[str]:
    faults = []
    ratios = sorted(row["tokens"] / row["params"] for row in table)
    if ratios[len(ratios) // 2] > 1e5:
        faults.append(
            f"half of the rows have over {ratios[len(ratios) // 2]:.2g} tokens for each parameter: params looks like "
            "thousands or millions; write 124000000, not 124000"
        )
    for row in table:
        per = row.get("flops", math.nan) / (6 * row["params"] * row["tokens"])
        if per > FLOPS_HIGH or per < FLOPS_LOW:
            faults.append(
                f"row {row['row']}, flops is {row['flops']:g}, {per:.2g} times 6 x params x tokens: give FLOPs (a "
                "petaFLOP/s-day is 8.64e19 of them), or leave the column out"
            )
            break
    return faults


def read(runs: Path) -> "DataFrame":
    """Runs to fit: a study's directory (collected afresh), its results.csv, or any CSV with params, tokens, loss.

    The first two give the ledger's columns. The third gives params, tokens, loss, where present flops and seed, and
    `row`, the line in the file. Which it is shows in the columns: only the ledger has `val/loss`.

    Raises:
        ZeroscaleError: nothing there, no runs in it, or bad values, each named by row and column.
    """

    runs = Path(runs)
    if runs.is_file():
        return read_csv(runs)
    if not runs.is_dir():
        raise ZeroscaleError(
            f"{runs} does not exist: give a study's directory or a CSV with columns params, tokens, loss"
        )
    study = Study(runs)
    study.require_runs()
    frame = study.ledger
    if frame.empty:
        states = ", ".join(f"{run.name} is {run.state}" for run in study.runs)
        raise ZeroscaleError(f"{runs}: no run has a checkpoint or a result yet ({states})")
    return frame
