"""How far a study is, read off its files: a row per cell, with what its last logged steps say."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json
from zeroscale.core.format import duration
from zeroscale.core.tables import Column, Table
from zeroscale.runs import ledger, status
from zeroscale.runs.run import Run

if TYPE_CHECKING:
    import rich.table

# What the study's last sweep consists of; `sweep.write_record` writes it.
RECORD = "sweep.json"
# Lines of a failed cell's log that are shown, and bytes at the end of a file that are read for them.
LOG_LINES = 5
_TAIL_BYTES = 65536
# Logged steps that the speed is taken from.
_RECENT = 20

COLUMNS = (Column("cell"), Column("settings", wraps=True), Column("state"))
WHY = Column("why", wraps=True)


@dataclass(frozen=True)
class Row:
    """A cell now. What is not known is None."""

    directory: Path
    settings: str
    """What sets it apart in its sweep."""
    state: str
    reason: str = ""
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    val_loss: float | None = None
    tokens_per_s: float | None = None
    seconds_left: float | None = None


def read(study: Path) -> list[Row]:
    """Every cell of a study, first those of its last sweep in that order, those that have not begun too.

    Raises:
        ZeroscaleError: it is no directory, or a file in it is damaged.
    """
    found = {cell.name: cell for cell in ledger.cells(study)}
    listed = {one["cell"]: one for one in _listed(study)}
    rows = []
    for name in [*listed, *(name for name in found if name not in listed)]:
        label = listed[name]["settings"] if name in listed else ""
        if name in found:
            rows.append(_row(found[name], label))
        else:
            rows.append(Row(study / name, label, "missing", step=0, steps=listed[name]["steps"]))
    return rows


def _listed(study: Path) -> list[dict[str, Any]]:
    try:
        listed = read_json(study / RECORD)["cells"]
        return [one for one in listed if {"cell", "settings", "steps"} <= set(one)]
    except (ZeroscaleError, KeyError, TypeError):
        return []


def _row(cell: Run, label: str) -> Row:
    trainer = cell.settings.get("trainer") or {}
    batch, tokens = trainer.get("batch_tokens"), trainer.get("tokens")
    steps = tokens // batch if batch and tokens else None
    logged = _last_metrics(cell.directory / "metrics.jsonl")
    state, reason = _state(cell)
    last = logged[-1] if logged else {}
    step = last.get("step", cell.step)
    rate = _rate(logged)
    left = None
    if state == "running" and rate and steps is not None and batch:
        left = (steps - last["step"]) * batch / rate
        if not left:
            reason = reason or "trained, being scored"
    return Row(
        cell.directory,
        label,
        state,
        reason,
        step=step,
        steps=steps,
        loss=last.get("train/loss"),
        val_loss=next((row["val/loss"] for row in reversed(logged) if row.get("val/loss") is not None), None),
        tokens_per_s=rate if state == "running" else None,
        seconds_left=left,
    )


def _state(cell: Run) -> tuple[str, str]:
    """A process that is killed leaves its last word behind, `running`: whether it lives, its locks tell."""
    if cell.state in ("running", "unknown"):
        if status.is_locked(cell.directory):
            return "running", "" if cell.state == "running" else "about to begin"
        return "resumable", "its process is gone; the same command goes on"
    return cell.state, cell.reason


def _last_metrics(path: Path) -> list[dict[str, Any]]:
    rows = []
    for line in _tail(path).split(b"\n"):
        try:
            row = json.loads(line)
        except ValueError:
            # Cut at the beginning of what was read, or being written at the end.
            continue
        if isinstance(row, dict) and "step" in row:
            rows.append(row)
    return rows


def _tail(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read()
    except OSError:
        return b""


def _rate(logged: Sequence[dict[str, Any]]) -> float | None:
    """Tokens per training second over the last logged steps."""
    recent = logged[-_RECENT:]
    if len(recent) < 2:
        return None
    seconds = recent[-1].get("seconds", 0) - recent[0].get("seconds", 0)
    tokens = recent[-1].get("tokens", 0) - recent[0].get("tokens", 0)
    return tokens / seconds if seconds > 0 else None


def last_lines(log: Path) -> list[str]:
    """The end of a cell's log."""
    lines = _tail(log).decode("utf-8", "replace").splitlines()
    return [line.rstrip() for line in lines if line.strip()][-LOG_LINES:]


def progress(rows: Sequence[Row]) -> "rich.table.Table":
    """The table of `status`."""
    columns = [
        *COLUMNS,
        *(Column(label, number=True) for label in ("step", "loss", "val loss", "tokens/s", "left")),
        WHY,
    ]
    texts = [
        (
            row.directory.name,
            row.settings,
            row.state,
            _steps(row),
            _number(row.loss, ".3f"),
            _number(row.val_loss, ".3f"),
            _number(row.tokens_per_s, ",.0f"),
            "" if row.seconds_left is None else duration(row.seconds_left, "short"),
            row.reason,
        )
        for row in rows
    ]
    done = sum(row.state == "done" for row in rows)
    return Table.of_texts(columns, texts, f"{done} of {len(rows)} finished").rich()


def outcome_row(cell: Path, label: str, state: str, reason: str) -> Row:
    """How a cell ended, as a row: what was done already is done."""
    return Row(cell, label, "done" if state == "skipped" else state, reason)


def outcomes(rows: Sequence[Row]) -> "rich.table.Table":
    """The table at the end of a sweep."""
    texts = [(row.directory.name, row.settings, row.state, row.reason) for row in rows]
    return Table.of_texts([*COLUMNS, WHY], texts).rich()


def _steps(row: Row) -> str:
    if row.steps is None:
        return "" if row.step is None else f"{row.step:,}"
    return f"{row.step or 0:,}/{row.steps:,}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"
