"""What must be true of files that a command wrote and called done: strict JSON, finite numbers, ordered intervals."""

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet


def files(paths: Iterable[Path], folder: Path) -> list[str]:
    """Faults in the JSON, JSON lines and CSV files among `paths`."""
    faults: list[str] = []
    for path in paths:
        if path.is_symlink() or not path.is_file():
            continue
        name = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
        if path.name.startswith(".") or path.suffix not in (".json", ".jsonl", ".csv"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
            faults += [f"{name}: {fault}" for fault in _faults(path.suffix, text)]
            faults += [f"{name}: {fault}" for fault in _counts(path, text)]
        except ValueError as error:
            faults.append(f"{name}: {error}")
    return faults


def strict(text: str) -> object:
    """JSON as the standard has it: no NaN, no Infinity."""

    def refuse(word: str) -> object:
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def _faults(suffix: str, text: str) -> Iterator[str]:
    if suffix == ".json":
        yield from _walk(strict(text), "")
    elif suffix == ".jsonl":
        for line in text.splitlines():
            yield from _walk(strict(line), "")
    else:
        rows = list(csv.reader(io.StringIO(text, newline="")))
        for number, row in enumerate(rows, 1):
            if len(row) != len(rows[0]):
                yield f"row {number} has {len(row)} cells under {len(rows[0])}"
            for cell in row:
                if cell.strip().lower() in ("nan", "inf", "-inf", "infinity", "-infinity"):
                    yield f"row {number} holds {cell}"


def _counts(path: Path, text: str) -> Iterator[str]:
    """A result's examples are its records, one row each; a ledger's rows are runs that are there, each step once."""
    if path.name == "results.csv" and text.startswith("cell,"):
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        places = [(row.get("cell"), row.get("step")) for row in rows]
        if len(set(places)) != len(places):
            yield "a run's step is there twice"
        yield from (f"{cell} is no run" for cell, _ in set(places) if not (path.parent / str(cell)).is_dir())
    elif path.suffix == ".json" and '"records_sha256"' in text and isinstance(content := strict(text), dict):
        records = path.with_name(f"{path.stem}.examples.parquet")
        if content["records_sha256"] != hashlib.sha256(records.read_bytes()).hexdigest():
            yield "its records are not those that it was made from"
        elif (held := pyarrow.parquet.read_metadata(records).num_rows) != content["n"]:
            yield f"{content['n']} examples, {held} records"


def _walk(value: object, place: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{place} is {value}"
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, place)
    elif isinstance(value, dict):
        yield from _interval(value, place)
        for key, item in value.items():
            yield from _walk(item, f"{place}.{key}")


def _interval(entry: dict, place: str) -> Iterator[str]:
    low, high, value = entry.get("low"), entry.get("high"), entry.get("value")
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        return
    room = 1e-9 * max(abs(low), abs(high))
    if low > high + room:
        yield f"{place}: low {low} is above high {high}"
    elif isinstance(value, int | float) and not low - room <= value <= high + room:
        yield f"{place}: the value {value} lies outside [{low}, {high}]"
