"""`zeroscale status` in a terminal: a row per run; of a large study counts by setting and the runs not done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zeroscale.core.format import duration
from zeroscale.core.tables import Column, Table
from zeroscale.launch.status_table import DAMAGED, STATES, Row, Status
from zeroscale.runs.axes import SIZE, Axis, show
from zeroscale.runs.status import cause

if TYPE_CHECKING:
    import rich.console

FEW = 40
"""Runs that are listed one by one; of more, those that are not done, so many of them."""
MOST_AXES = 6
"""That get a column each."""
MOST_VALUES = 12
"""Of an axis that gets counts of its own."""
NUMBERS = tuple(Column(label, number=True) for label in ("step", "loss", "val loss", "tokens/s", "left"))
WHY = Column("why", wraps=True)
# What is looked at first.
_URGENT = ("failed", "damaged", "running", "resumable", "missing", "done")


def describe(status: Status) -> "rich.console.Group":
    """What `status` draws."""
    from rich.console import Group

    if len(status.rows) <= FEW:
        return Group(_runs(status, status.rows, status.caption).rich())
    waiting = sorted((row for row in status.rows if row.state != "done"), key=lambda row: _URGENT.index(row.state))
    more = f"; {len(waiting) - FEW} more are not shown" if len(waiting) > FEW else ""
    tables = [_counts(status)]
    if waiting:
        caption = f"{status.caption}. Those that are not{more}. All runs: zeroscale runs study=DIR"
        tables.append(_runs(status, waiting[:FEW], caption))
    return Group(*(table.rich() for table in tables))


def _runs(status: Status, rows: Sequence[Row], caption: str) -> Table:
    """A row per run, with a column for each setting that was varied."""
    axes = [axis for axis in status.axes.varied if axis.kind != "size"]
    columns = [Column(axis.short, _is_number(axis)) for axis in axes]
    if len(axes) > MOST_AXES:
        columns = [Column("settings", wraps=True)]
    head = Column("run" if any(row.model is None and SIZE not in row.values for row in rows) else "model")
    texts = [[_name(row), *_settings(row, status, axes), *_progress(row)] for row in rows]
    return Table.of_texts([head, *columns, Column("state"), *NUMBERS, WHY], texts, caption)


def _name(row: Row) -> str:
    model = row.values.get(SIZE)
    return row.model or (str(model) if model else row.settings or row.directory.name)


def _settings(row: Row, status: Status, axes: Sequence[Axis]) -> list[str]:
    """A cell for each axis; one for all where they are many."""
    if len(axes) > MOST_AXES:
        return [" ".join(status.axes.text(axis.key, row.values[axis.key]) for axis in axes if axis.key in row.values)]
    values = [row.values.get(axis.key) for axis in axes]
    return ["" if value is None else show(value) for value in values]


def _progress(row: Row) -> list[str]:
    left = "" if row.seconds_left is None else duration(row.seconds_left, "short")
    numbers = [_number(row.loss, ".3f"), _number(row.val_loss, ".3f"), _number(row.tokens_per_s, ",.0f")]
    return [row.state, _steps(row), *numbers, left, row.reason if row.state == DAMAGED else cause(row.reason)]


def _is_number(axis: Axis) -> bool:
    return all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in axis.values
    )


def _counts(status: Status) -> Table:
    """How many runs are in each state: in all, and for each value of what was varied."""
    states = [state for state in STATES if any(row.state == state for row in status.rows)]
    columns = [Column("runs"), *(Column(state, number=True) for state in (*states, "in all"))]
    rows = [_counted("all", status.rows, states)]
    for axis in status.axes.varied:
        if len(axis.values) <= MOST_VALUES:
            for value in axis.values:
                of_value = [row for row in status.rows if axis.key in row.values and row.values[axis.key] == value]
                rows.append(_counted(f"{axis.short}={show(value)}", of_value, states))
    return Table.of_texts(columns, rows, status.caption)


def _counted(name: str, rows: Sequence[Row], states: Sequence[str]) -> list[str]:
    counts = [sum(row.state == state for row in rows) for state in states]
    return [name, *(f"{count:,}" if count else "" for count in counts), f"{len(rows):,}"]


def _steps(row: Row) -> str:
    if row.steps is None:
        return "" if row.step is None else f"{row.step:,}"
    return f"{row.step or 0:,}/{row.steps:,}"


def _number(value: float | None, spec: str) -> str:
    return "" if value is None else f"{value:{spec}}"
