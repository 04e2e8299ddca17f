"""The ledger of a study, results.csv: a row per (cell, checkpoint), made from the run directories and nothing else."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.core.files import write_text
from zeroscale.model.flops import flops_6nd
from zeroscale.runs.results import PLAIN_PROTOCOLS, SUFFIXES, read_results, recorded_steps
from zeroscale.runs.run import Run, read_metrics
from zeroscale.runs.study import read_runs

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


def cells(study: Path) -> list[Run]:
    """Every cell of a study with its state, those without a row in the ledger too."""
    return read_runs(study)


def collect(study: Path) -> "DataFrame":
    """Reads the run directories of a study into a table.

    One row for each step of a cell that has a checkpoint or a result, sorted by non-embedding parameters, then cell,
    then step. FLOPs are tokens · flops_per_token (full attention, exact) and 6 · params_non_embedding · tokens;
    `seconds` are training seconds up to the step; `sample_cards` names the cards of the row that were scored on
    embedded samples and are no benchmark, `partial_cards` those that were scored on a part of theirs.

    `val/loss` and `val/bits_per_byte` come from the step's `held_out` result, else from its line in metrics.jsonl.

    Raises:
        ZeroscaleError: the study is no directory, or a file in it is damaged.
    """
    import pandas

    rows = [row for cell in read_runs(study) for row in _rows(cell)]
    scores = sorted({column for row in rows for column in row} - set(FIXED_COLUMNS), key=_column_order)
    frame = pandas.DataFrame(rows, columns=[*FIXED_COLUMNS, *scores])
    whole = [*INTEGERS, *(column for column in scores if column.endswith("/n"))]
    frame = frame.astype({column: "Int64" for column in whole})
    decimal = [column for column in frame.columns if column not in (*whole, *WORDS)]
    frame = frame.astype({column: "float64" for column in decimal})
    return frame.sort_values(["params_non_embedding", "cell", "step"], ignore_index=True)


def write(study: Path, frame: "DataFrame | None" = None) -> Path:
    """Writes results.csv into the study, whole or not at all; the same run directories give the same bytes.

    `frame` is what `collect` gave, where it is at hand already.
    """
    path = Path(study) / "results.csv"
    table = collect(study) if frame is None else frame
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
    return path


def _rows(cell: Run) -> list[dict[str, Any]]:
    steps = recorded_steps(cell)
    metrics = read_metrics(cell) if steps else {}
    return [_row(cell, step, metrics.get(step, {})) for step in steps]


def _row(cell: Run, step: int, logged: dict[str, Any]) -> dict[str, Any]:
    counted = cell.manifest.get("params") or {}
    per_token = cell.manifest.get("flops_per_token")
    tokens = logged.get("tokens")
    if tokens is None:
        batch = (cell.settings.get("trainer") or {}).get("batch_tokens")
        tokens = None if batch is None else step * batch
    known = tokens is not None
    row = {
        "cell": cell.name,
        "model": cell.model,
        "status": cell.state,
        "step": step,
        "seed": cell.seed,
        "params": counted.get("total"),
        "params_non_embedding": counted.get("non_embedding"),
        "params_matmul": counted.get("matmul"),
        "tokens": tokens,
        "flops": tokens * per_token if known and per_token is not None else None,
        "flops_6nd": flops_6nd(counted["non_embedding"], tokens) if known and "non_embedding" in counted else None,
        **{name: logged.get(name) for name in ("train/loss", "val/loss", "val/bits_per_byte", "seconds")},
    }
    results = read_results(cell, step)
    row["sample_cards"] = _cards(result for result in results if result.get("is_sample"))
    row["partial_cards"] = _cards(
        result
        for result in results
        if result.get("mark") and not result.get("is_sample") and result.get("source") != "corpus"
    )
    for result in results:
        row |= _scores(result)
    for name, source in (("val/loss", "held_out/loss"), ("val/bits_per_byte", "held_out/bits_per_byte")):
        if row.get(source) is not None:
            row[name] = row[source]
    return row


def _cards(results: Iterable[dict[str, Any]]) -> str | None:
    return " ".join(sorted({result["card"] for result in results})) or None


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    protocol = result.get("protocol", "paper")
    card = result["card"] if protocol in PLAIN_PROTOCOLS else f"{result['card']}.{protocol}"
    row = {}
    for name, metric in result["metrics"].items():
        for suffix in SUFFIXES:
            row[f"{card}/{name}" if suffix == "value" else f"{card}/{name}/{suffix}"] = metric.get(suffix)
    return row


def _column_order(column: str) -> tuple[str, str, int]:
    card, metric, *rest = column.split("/")
    return card, metric, SUFFIXES.index(rest[0] if rest else "value")
