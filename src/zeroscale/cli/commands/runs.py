"""`zeroscale runs`: the runs of a study as a table, chosen and sorted by what was varied."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, FilePath, Filters, OneOrMany, Text
from zeroscale.config.validate import build_config
from zeroscale.core import format
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.tables import Cell, Column, Table, csv_text
from zeroscale.runs import where
from zeroscale.runs.axes import Axes, Value, show, value_order
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study

if TYPE_CHECKING:
    from pandas import DataFrame

LOSS = "val/loss"
ENDS = ("held_out/loss/low", "held_out/loss/high")
NUMBERS = {LOSS: "val loss", "tokens": "tokens", "flops": "FLOPs", "seconds": "time"}
"""Columns of the ledger that are always shown, with their heads."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RunsConfig:
    """A study, which of its runs, and how they are listed."""

    study: FilePath
    where: Filters
    """Settings that the runs must have."""
    sort: Text | None
    """A column, with a minus before it the largest first; None: by size, then by what was varied."""
    columns: Annotated[tuple[Text, ...], OneOrMany, Field(min_length=1)] | None
    """Further columns: of results.csv, or settings."""
    format: Literal["text", "csv", "json"]


def run(raw: RawConfig) -> int:
    """Prints the runs."""
    config = build_config(RunsConfig, raw)
    study = Study(Path(config.study))
    study.require_runs()
    axes = study.axes
    chosen = where.matching(axes, config.where)
    listing = Listing(axes, chosen, study.ledger, config.columns or ())
    runs = listing.sorted(config.sort)
    if config.format == "json":
        print(json.dumps([listing.record(run) for run in runs], indent=2))
    elif config.format == "csv":
        print(listing.csv(runs), end="")
    else:
        left = "" if len(chosen) == len(axes.runs) else f" of {len(axes.runs)}"
        print(listing.table(runs).text())
        print(f"\n{len(runs)}{left} runs in {config.study}")
    for run in study.unreadable_runs:
        print(f"left out: {run.name}: {run.fault}")
    return 0


class Listing:
    """Runs with their settings and the last row of each in the ledger."""

    def __init__(self, axes: Axes, runs: Sequence[Run], ledger: "DataFrame", more: Sequence[str]) -> None:
        self._axes, self._runs = axes, runs
        last = ledger.drop_duplicates("cell", keep="last").set_index("cell")
        self._rows = {str(name): dict(row) for name, row in last.to_dict("index").items()}
        self._keys = [axis.key for axis in axes.varied]
        for name in more:
            if name not in ledger.columns and not axes.has(name):
                raise ZeroscaleError(f"columns={name}: no column of results.csv and no setting of these runs")
        self._more = [name for name in more if name not in self._keys]

    def value(self, run: Run, column: str) -> Value:
        """Of a run: what results.csv has in this column at its last checkpoint, or a setting; None where neither is."""
        if column == "label":
            return self._axes.label(run)
        if column == "state":
            return run.state
        found = self._rows.get(run.name, {}).get(column)
        if isinstance(found, str | int | float) and found == found:
            return found
        return self._axes.value(run, column)

    def sorted(self, by: str | None) -> list[Run]:
        """The runs in the order of a column.

        Raises:
            ZeroscaleError: there is no such column.
        """
        if by is None:
            keys = [*self._keys, "label"]
            return sorted(self._runs, key=lambda run: (self._size(run), *(self._order(run, key) for key in keys)))
        column, downwards = self._column(by.removeprefix("-")), by.startswith("-")
        known = [run for run in self._runs if self.value(run, column) is not None]
        ordered = sorted(known, key=lambda run: self._order(run, column), reverse=downwards)
        return [*ordered, *(run for run in self._runs if run not in known)]

    def _size(self, run: Run) -> float:
        counted = (run.manifest.get("params") or {}).get("non_embedding")
        return math.inf if counted is None else float(counted)

    def _order(self, run: Run, column: str) -> tuple[int, float, str]:
        return value_order(self.value(run, column))

    def _column(self, name: str) -> str:
        by_short = {axis.short: axis.key for axis in self._axes.varied} | {"loss": LOSS, "run": "label"}
        column = by_short.get(name, name)
        in_ledger = any(column in row for row in self._rows.values())
        if column in ("label", "state", *NUMBERS, *self._keys, *self._more) or in_ledger or self._axes.has(column):
            return column
        known = ", ".join(["label", "state", *NUMBERS, *self._keys, *self._more])
        raise ZeroscaleError(f"sort={name}: there is no such column; these are shown: {known}")

    def record(self, run: Run) -> dict[str, Value]:
        """All of a run's columns, in full."""
        numbers = [*NUMBERS, *ENDS, "step", *self._more]
        return {
            "run": str(run.directory),
            "label": self._axes.label(run),
            "state": run.state,
            **{key: self._axes.value(run, key) for key in self._axes.columns},
            **{name: self.value(run, name) for name in numbers},
        }

    def csv(self, runs: Sequence[Run]) -> str:
        """All columns of these runs, every digit."""
        records = [self.record(run) for run in runs]
        return csv_text(records[0], [record.values() for record in records])

    def table(self, runs: Sequence[Run]) -> Table:
        """A row a run."""
        axes = [axis for axis in self._axes.varied if axis.kind != "size"]
        columns = [Column("model"), *(Column(axis.short, number=self._is_number(axis.key)) for axis in axes)]
        columns += [Column("state"), *(Column(head, number=True) for head in NUMBERS.values())]
        columns += [Column(name, number=self._is_number(name)) for name in self._more]
        return Table(columns, [self._cells(run, [axis.key for axis in axes]) for run in runs])

    def _is_number(self, column: str) -> bool:
        values = [self.value(run, column) for run in self._runs]
        return all(value is None or isinstance(value, int | float) for value in values)

    def _cells(self, run: Run, keys: Sequence[str]) -> list[Cell]:
        row = self._rows.get(run.name, {})
        loss, tokens, flops, seconds = (format.number(row.get(name)) for name in NUMBERS)
        low, high = (format.number(row.get(name)) for name in ENDS)
        ends = format.interval(low, high, 3)
        shown = format.NOTHING if loss is None else f"{loss:.4f}"
        # What the label adds where no setting tells two runs apart: the hash.
        told_apart = re.search(r" \(\w+\)$", self._axes.label(run))
        return [
            Cell((run.model or run.name) + (told_apart.group() if told_apart else "")),
            *(self._setting(run, key) for key in keys),
            Cell(run.state),
            Cell(f"{shown} ({ends})" if ends else shown),
            Cell(format.scaled(tokens)),
            Cell(format.scaled(flops)),
            Cell(format.duration(seconds, "short")),
            *(self._setting(run, name) for name in self._more),
        ]

    def _setting(self, run: Run, column: str) -> Cell:
        value = self.value(run, column)
        return Cell(format.NOTHING if value is None else show(value))
