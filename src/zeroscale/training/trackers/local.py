"""Trackers that need no account: TensorBoard's event files, and CSV. Both are written anew from the record at each
start, so that a resumed run shows each step once."""

import csv
import json
import math
import os
import shutil
from pathlib import Path
from typing import TextIO

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import disk_errors
from zeroscale.core.jsonl import Row
from zeroscale.runs.results import Json
from zeroscale.training.trackers.follower import SCORED, SyncState

TENSORBOARD = "tensorboard"
CSV_FILES = {"steps": "metrics.csv", "scores": "scores.csv"}
MISSING = "the run goes on without it; metrics.jsonl has every step"


class TensorBoard:
    """Every number over tokens: `tensorboard --logdir outputs/<study>`."""

    name, missing_message, done_message = "TensorBoard", MISSING, f"written to {TENSORBOARD}/"

    def __init__(self, directory: Path, config: Json) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ZeroscaleError(
                "tracker=tensorboard needs the package tensorboard: pip install zeroscale[tensorboard]; or go on with "
                "tracker=files or tracker=none"
            ) from error
        shutil.rmtree(directory / TENSORBOARD, ignore_errors=True)
        with disk_errors(directory / TENSORBOARD):
            self._writer = SummaryWriter(str(directory / TENSORBOARD))
        self._writer.add_text("config", f"```\n{json.dumps(config, indent=2)}\n```", 0)

    def sync_state(self) -> SyncState:
        return SyncState()

    def add(self, row: Row) -> None:
        for name, value in row.items():
            if name not in ("step", "tokens", SCORED) and isinstance(value, int | float):
                self._writer.add_scalar(name, value, row["tokens"])

    score = add

    def end(self, exit_code: int) -> None:
        self._writer.close()


class Files:
    """metrics.csv and scores.csv in the run's directory: a line per logged step, and per scored checkpoint."""

    name, missing_message, done_message = "files", MISSING, f"written to {' and '.join(CSV_FILES.values())}"

    def __init__(self, directory: Path) -> None:
        self._tables = {key: _Table(directory / name) for key, name in CSV_FILES.items()}

    def sync_state(self) -> SyncState:
        return SyncState()

    def add(self, row: Row) -> None:
        self._tables["steps"].add(row)

    def score(self, row: Row) -> None:
        columns = {"step": row[SCORED], **{name: value for name, value in row.items() if name != SCORED}}
        self._tables["scores"].add(columns)

    def end(self, exit_code: int) -> None:
        for table in self._tables.values():
            table.close()


class _Table:
    """A CSV whose columns grow: a row with a new one has the file written again under the longer head."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] = []
        self._handle: TextIO | None = None
        path.unlink(missing_ok=True)

    def add(self, row: Row) -> None:
        new = [name for name in row if name not in self._columns]
        with disk_errors(self._path):
            if new:
                self._widen(new)
            assert self._handle is not None
            csv.DictWriter(self._handle, self._columns, lineterminator="\n").writerow(
                {name: value for name, value in row.items() if _is_shown(value)}
            )
            self._handle.flush()

    def _widen(self, new: list[str]) -> None:
        self.close()
        rows: list[dict[str, str]] = []
        if self._path.is_file():
            with open(self._path, encoding="utf-8", newline="") as handle:
                rows = list(csv.DictReader(handle))
        self._columns += new
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        with open(temporary, "w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, self._columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, self._path)
        self._handle = open(self._path, "a", encoding="utf-8", newline="")  # noqa: SIM115 (held for the run)

    def close(self) -> None:
        if self._handle:
            self._handle.close()
            self._handle = None


def _is_shown(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))
