"""Reads a CSV of runs, ours or anybody's: leaves out the rows that the options leave out, and names every fault of the
others by row and column."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs.study import Study
from zeroscale.scaling.csv_runs.cells import read_rows
from zeroscale.scaling.csv_runs.readers import Fault, LedgerRows, PlainRows
from zeroscale.scaling.csv_runs.units import UnitFault, unit_faults
from zeroscale.scaling.options import Options
from zeroscale.scaling.run_selection import UNREADABLE, LeftOutRun, Row

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN_FAULTS = 10


@dataclass(frozen=True)
class RunRows:
    """The rows that can be fitted, and those that `leave_out` and `keep` took out before they were looked at."""

    frame: "DataFrame"
    left_out: tuple[LeftOutRun, ...] = ()


def read_csv(path: Path, options: Options | None = None) -> RunRows:
    """A results.csv (known by its columns cell and params_non_embedding) or a CSV with params, tokens, loss.

    Rows are numbered as in the file: the header is row 1. Columns with a slash in their name ("arc/acc") are kept: they
    are scores of benchmarks. A cell without a number (NaN, infinite, "-", "NA") is an empty one where no law asked for
    uses its column.

    Args:
        options: what the file calls its columns, which rows count, and which laws are to be fitted to them.

    Raises:
        ZeroscaleError: one message with every fault of the rows that count: missing columns, text for a number, zero,
            negative, NaN, infinite, repeated rows, units that look wrong.
    """
    import pandas

    options = options or Options()
    header, rows = read_rows(path, tuple(name for name in options.columns.values() if name))
    is_ledger = {"cell", "step", "params_non_embedding"} <= set(header)
    reader = LedgerRows(path, header, options) if is_ledger else PlainRows(path, header, options)
    table: list[Row] = []
    numbers: list[int] = []
    for number, cells in rows:
        row = reader.read(number, cells)
        if row is not None:
            table.append(row)
            numbers.append(number)
    faults = reader.faults
    if not faults:
        faults = _repeated(list(zip(numbers, table, strict=True)), reader.keys)
    units = [] if is_ledger or faults else unit_faults(table)
    if faults or units:
        raise ZeroscaleError(_message(path, faults, units, is_ledger))
    return RunRows(pandas.DataFrame(table, columns=None if table else reader.columns), tuple(reader.left_out))


def _message(path: Path, faults: Sequence[Fault], units: Sequence[UnitFault], is_ledger: bool) -> str:
    """Every fault, and how to go on without the rows that have one."""
    told = [f"row {fault.row}{fault.text}" for fault in faults] + [text for text, _ in units]
    more = [f"  … and {len(told) - SHOWN_FAULTS} more"] if len(told) > SHOWN_FAULTS else []
    in_units = [f"row {row}" for _, rows in units for row in rows]
    names = list(dict.fromkeys([fault.name for fault in faults] + in_units))
    lines = [f"{path} cannot be fitted as it is:", *(f"  {text}" for text in told[:SHOWN_FAULTS]), *more]
    if not names:
        return "\n".join(lines)
    if len(names) <= SHOWN_FAULTS:
        listed = ", ".join(f"'{name}'" for name in names)
        lines.append(f'Correct or delete these rows, or `fit` leaves them out with "leave_out=[{listed}]"')
    elif is_ledger:
        lines.append(f"Correct or delete these rows, or `fit` leaves out runs with \"leave_out=['{names[0]}', …]\"")
    else:
        lines.append(
            f"Correct or delete these rows, or `fit` leaves rows out by number, \"leave_out=['{names[0]}', …]\", or by "
            "a range: keep.loss=[0.1,10] leaves out every row whose loss is no number in it"
        )
    return "\n".join(lines)


def _repeated(rows: Sequence[tuple[int, Row]], keys: tuple[str, ...]) -> list[Fault]:
    first: dict[tuple[object, ...], int] = {}
    faults = []
    for number, row in rows:
        # NaN is no number that could be the same: a missing seed is the same as another missing one.
        key = tuple(None if row[name] != row[name] else row[name] for name in keys)
        if key in first:
            hint = "" if "seed" in keys or "cell" in keys else "; if they are seeds, add a column seed"
            text = f"the same {', '.join(keys)}. Take one out{hint}"
            name = str(row["cell"]) if "cell" in keys else f"row {number}"
            faults.append(Fault(number, name, f" repeats row {first[key]}: {text}"))
        first.setdefault(key, number)
    return faults


def read(runs: Path, options: Options | None = None) -> RunRows:
    """Runs to fit: a study's directory (collected afresh), its results.csv, or any CSV with params, tokens, loss.

    The first two give the ledger's columns. The third gives params, tokens, loss, where present flops and seed, and
    `row`, the line in the file. Which it is shows in the columns: only the ledger has `val/loss`.

    Raises:
        ZeroscaleError: nothing there, no runs in it, or bad values, each named by row and column.
    """
    runs = Path(runs)
    if runs.is_file():
        return read_csv(runs, options)
    if not runs.is_dir():
        what = "is neither a file nor a directory" if runs.exists() else "does not exist"
        raise ZeroscaleError(f"{runs} {what}: give a study's directory or a CSV with columns params, tokens, loss")
    study = Study(runs)
    study.require_runs()
    frame = study.ledger
    left_out = [LeftOutRun(run.name, UNREADABLE.format(run.fault), state="damaged") for run in study.unreadable_runs]
    if frame.empty:
        states = [f"{run.name} is {run.state}" for run in study.readable_runs]
        states += [f"{run.cell}: {run.rule}" for run in left_out]
        raise ZeroscaleError(f"{runs}: no run has a checkpoint or a result yet ({', '.join(states)})")
    return RunRows(frame, tuple(left_out))
