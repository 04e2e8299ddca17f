"""The ledger of a study, results.csv: a row per run and checkpoint, made from the run directories and nothing else."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_text
from zeroscale.core.jsonl import Row
from zeroscale.core.parsing import regular_file
from zeroscale.model.flops import flops_6nd
from zeroscale.runs.results import ENDS, ResultFile
from zeroscale.runs.run import Run

if TYPE_CHECKING:
    from pandas import DataFrame

FIXED_COLUMNS = (
    "cell",
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
WORDS = ("cell", "model", "status", "sample_cards", "partial_cards")
INTEGERS = ("step", "seed", "params", "params_non_embedding", "params_matmul", "tokens")


def collect(runs: Iterable[Run]) -> "DataFrame":
    """The ledger of a study's runs.

    One row for each step of a run that has a checkpoint or a result, sorted by non-embedding parameters, then run,
    then step; the column `cell` names the run. FLOPs are tokens · flops_per_token (full attention, exact) and
    6 · params_non_embedding · tokens; `seconds` are training seconds up to the step; `sample_cards` names the cards of
    the row that were scored on embedded samples and are no benchmark, `partial_cards` those that were scored on a part
    of theirs.

    `val/loss` and `val/bits_per_byte` come from the step's `held_out` result, else from its line in metrics.jsonl.

    Raises:
        ZeroscaleError: a run's file is damaged.
    """
    import pandas

    rows = [row for run in runs for row in _rows(run)]
    scores = sorted({column for row in rows for column in row} - set(FIXED_COLUMNS), key=_column_order)
    frame = pandas.DataFrame(rows, columns=[*FIXED_COLUMNS, *scores])
    whole = [*INTEGERS, *(column for column in scores if column.endswith("/n"))]
    frame = frame.astype({column: "Int64" for column in whole})
    decimal = [column for column in frame.columns if column not in (*whole, *WORDS)]
    frame = frame.astype({column: "float64" for column in decimal})
    return frame.sort_values(["params_non_embedding", "cell", "step"], ignore_index=True)


def as_csv(frame: "DataFrame") -> str:
    """The text of results.csv: the same runs give the same bytes."""
    return str(frame.to_csv(index=False, lineterminator="\n"))


def write(path: Path, frame: "DataFrame") -> Path:
    """Writes results.csv, whole or not at all."""
    write_text(path, as_csv(frame))
    return path


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


def _rows(run: Run) -> list[Row]:
    steps = run.recorded_steps
    metrics = run.metrics if steps else {}
    return [_row(run, step, metrics.get(step, {})) for step in steps]


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
