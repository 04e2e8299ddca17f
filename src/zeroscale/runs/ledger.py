"""The ledger of a study, results.csv: a row per run and checkpoint, made from the run directories and nothing else."""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_file, write_text
from zeroscale.core.format import number
from zeroscale.core.jsonl import Row
from zeroscale.core.parsing import regular_file
from zeroscale.model.flops import flops_6nd
from zeroscale.runs.axes import Axes, Value, show
from zeroscale.runs.results import ENDS, ResultFile
from zeroscale.runs.run import Run

if TYPE_CHECKING:
    from pandas import DataFrame

FIXED_COLUMNS = (
    "cell",
    "label",
    "model",
    "status",
    "step",
    "seed",
    "params",
    "params_non_embedding",
    "params_matmul",
    "tokens",
    "flops",
    "flops_6nd",
    "train/loss",
    "val/loss",
    "val/bits_per_byte",
    "seconds",
    "sample_cards",
    "partial_cards",
)
WORDS = ("cell", "label", "model", "status", "sample_cards", "partial_cards")
INTEGERS = ("step", "seed", "params", "params_non_embedding", "params_matmul", "tokens")


def collect(runs: Iterable[Run], axes: Axes | None = None) -> "DataFrame":
    """The ledger of a study's runs.

    One row for each step of a run that has a checkpoint or a result, sorted by non-embedding parameters, then run,
    then step; the column `cell` names the run, `label` is what a reader calls it. FLOPs are tokens · flops_per_token
    (full attention, exact) and 6 · params_non_embedding · tokens; `seconds` are training seconds up to the step;
    `sample_cards` names the cards of the row that were scored on embedded samples and are no benchmark,
    `partial_cards` those that were scored on a part of theirs. Then comes a column for each setting in which the runs
    differ, by its dotted key (`optimizer.lr`, `model.n_layer`), and then the scores.

    `val/loss` and `val/bits_per_byte` come from the step's `held_out` result, else from its line in metrics.jsonl.

    Args:
        axes: in what the runs differ, where that is known already.

    Raises:
        ZeroscaleError: a run's file is damaged.
    """
    import pandas

    runs = list(runs)
    axes = axes or Axes(runs)
    settings = [key for key in axes.columns if key not in FIXED_COLUMNS and "/" not in key]
    rows = [row for run in runs for row in _rows(run, axes, settings)]
    scores = sorted({column for row in rows for column in row} - {*FIXED_COLUMNS, *settings}, key=_column_order)
    # Where nothing differs, the file is what it was before there were labels.
    fixed = [column for column in FIXED_COLUMNS if column != "label" or axes.columns]
    frame = pandas.DataFrame(rows, columns=[*fixed, *settings, *scores])
    types = {column: "float64" for column in [*fixed, *scores] if column not in WORDS}
    types |= {column: "Int64" for column in [*INTEGERS, *(column for column in scores if column.endswith("/n"))]}
    for column in settings:
        types[column] = _type_of([row[column] for row in rows])
        if types[column] == "string":
            frame[column] = [None if row[column] is None else show(row[column]) for row in rows]
    return frame.astype(types).sort_values(["params_non_embedding", "cell", "step"], ignore_index=True)


def _type_of(values: Iterable[Value]) -> str:
    """The pandas type that holds a setting's values: truth values, integers, floats, else words."""
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, bool) for value in given):
        return "boolean"
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in given):
        return "string"
    whole = all(isinstance(value, int) and abs(value) < 1 << 63 for value in given)
    return "Int64" if given and whole else "float64"


def as_csv(frame: "DataFrame") -> str:
    """The text of results.csv: the same runs give the same bytes."""
    return str(frame.to_csv(index=False, lineterminator="\n"))


def write(path: Path, frame: "DataFrame") -> Path:
    """Writes results.csv, whole or not at all."""
    write_text(path, as_csv(frame))
    return path


def hashes(path: Path) -> set[str]:
    """The sha256 of a results.csv, and that of the same rows as a version wrote them that knew neither labels nor
    columns of settings: a fit.json may name either.

    Raises:
        ZeroscaleError: it is no CSV.
    """
    rows = [row for _, row in read_rows(path)]
    columns = [name for name in (rows[0] if rows else ()) if name != "label" and ("/" in name or name in FIXED_COLUMNS)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return {sha256_file(path), hashlib.sha256(text.getvalue().encode()).hexdigest()}


def read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows of a results.csv as text by column, each with its line in the file.

    Raises:
        ZeroscaleError: it is no CSV.
    """
    try:
        return parse_rows(path, regular_file.read(path).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ZeroscaleError(f"{path} cannot be read ({error}): delete it, the next report writes it anew") from error


def parse_rows(path: Path, text: str) -> list[tuple[int, dict[str, str]]]:
    """`read_rows` of a text that stands, or would stand, in `path`."""
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", restval="")
    try:
        return [(line, {name: cell for name, cell in row.items() if name}) for line, row in enumerate(reader, start=2)]
    except csv.Error as error:
        raise ZeroscaleError(f"{path} cannot be read ({error}): delete it, the next report writes it anew") from error


def setting(text: str) -> Value:
    """A field of a setting's column as it was typed: an integer, a float, a truth value, a word; None where it is
    empty."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    value = number(text)
    return value if value is not None else text or None


def _rows(run: Run, axes: Axes, settings: Sequence[str]) -> list[Row]:
    steps = run.recorded_steps
    metrics = run.metrics if steps else {}
    shared = {"label": axes.label(run), **{key: axes.value(run, key) for key in settings}}
    return [{**_row(run, step, metrics.get(step, {})), **shared} for step in steps]


def _row(run: Run, step: int, logged: Row) -> Row:
    counts = run.manifest.get("params") or {}
    inner = counts.get("non_embedding")
    per_token = run.manifest.get("flops_per_token")
    tokens = logged.get("tokens")
    if tokens is None:
        tokens = None if run.batch_tokens is None else step * run.batch_tokens
    row: dict[str, Any] = {
        "cell": run.name,
        "model": run.model,
        "status": run.state,
        "step": step,
        "seed": run.seed,
        "params": counts.get("total"),
        "params_non_embedding": inner,
        "params_matmul": counts.get("matmul"),
        "tokens": tokens,
        "flops": tokens * per_token if tokens is not None and per_token is not None else None,
        "flops_6nd": None if tokens is None or inner is None else flops_6nd(inner, tokens),
        **{name: logged.get(name) for name in ("train/loss", "val/loss", "val/bits_per_byte", "seconds")},
    }
    results = run.results_at(step)
    row["sample_cards"] = _cards(result for result in results if result.is_sample)
    row["partial_cards"] = _cards(result for result in results if result.is_part)
    for result in results:
        row |= result.scores
    for name, source in (("val/loss", "held_out/loss"), ("val/bits_per_byte", "held_out/bits_per_byte")):
        if row.get(source) is not None:
            row[name] = row[source]
    return row


def _cards(results: Iterable[ResultFile]) -> str | None:
    return " ".join(sorted({result.card for result in results})) or None


def _column_order(column: str) -> tuple[str, str, int]:
    card, metric, *end = column.split("/")
    return card, metric, ["value", *ENDS].index(end[0] if end else "value")
