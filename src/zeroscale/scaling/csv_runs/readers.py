"""The rows of a CSV as runs: those that the options leave out are put aside before their faults count."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import ledger
from zeroscale.scaling.csv_runs.cells import Cells, is_setting, meant, number_in, setting_in, shown
from zeroscale.scaling.csv_runs.columns import named_columns, refuse_doubled
from zeroscale.scaling.options import Options
from zeroscale.scaling.run_selection import BY_NAME, LARGEST, NO_NUMBER, LeftOutRun, Range, Row, outside

# Ours: what results.csv must have, and of these what a row may not leave empty.
LEDGER_COLUMNS = ("cell", "status", "step", "params", "params_non_embedding", "params_matmul", "tokens", "val/loss")
LEDGER_REQUIRED = ("step", "params", "params_non_embedding", "params_matmul", "tokens")
# Laws that read budgets off the FLOPs of the runs, and those that read scores of benchmarks.
FLOPS_LAWS = ("auto", "all", "isoflop", "envelope")
SCORE_LAWS = ("all", "benchmarks")
NO_SEED = ("", "-", "nan", "na", "n/a", "none", "null")
# None where a number is good, else what is wrong with it.
Check = Callable[[float], str | None]


@dataclass(frozen=True)
class Fault:
    """What is wrong in a row; `name` is what leave_out calls it, `text` follows on "row 5"."""

    row: int
    name: str
    text: str


class RowReader:
    """Reads one row after another; collects the faults, and the runs that are left out before their faults count."""

    keys: tuple[str, ...] = ()
    """The columns by which a row is the same as another."""
    columns: list[str]

    def __init__(self, options: Options) -> None:
        self.options = options
        self.faults: list[Fault] = []
        self.left_out: list[LeftOutRun] = []
        self.uses_scores = any(name in SCORE_LAWS for name in options.law)

    def _number(self, row: int, name: str, column: str, text: str, check: Check) -> float:
        """The number of a cell; a fault where there is none, or none such as `check` wants."""
        try:
            value = number_in(text)
            is_word = value is None and text.casefold() not in ("", "nan")
        except ValueError:
            value, is_word = None, True
        if is_word:
            self.faults.append(Fault(row, name, f", {column} is {shown(text)!r}, not a number{meant(text)}"))
            return math.nan
        wrong = check(math.nan if value is None else value)
        if wrong:
            what = "is empty" if text == "" else f"is {shown(text)}"
            self.faults.append(Fault(row, name, f", {column} {what}: {wrong}"))
        return math.nan if value is None else value

    def _if_any(self, row: int, name: str, column: str, text: str, used: bool, check: Check) -> float:
        """The number of a cell that may be empty; one that holds no number, or an infinite one, where no law uses the
        column is as good as empty."""
        try:
            value = number_in(text)
        except ValueError:
            return self._number(row, name, column, text, check)
        if value is None or (not used and math.isinf(value)):
            return math.nan
        return self._number(row, name, column, text, check)

    def _score(self, row: int, name: str, column: str, text: str) -> float:
        """A score of a benchmark; where no law uses scores, the column may hold anything."""
        if self.uses_scores:
            return self._if_any(row, name, column, text, False, _any)
        try:
            value = number_in(text)
        except ValueError:
            value = None
        return math.nan if value is None or math.isinf(value) else value


class PlainRows(RowReader):
    """Rows of a CSV with params, tokens, loss."""

    def __init__(self, path: Path, header: list[str], options: Options) -> None:
        super().__init__(options)
        self.named = named_columns(path, header, options.columns)
        absent = [name for name in options.axes if name not in header]
        if absent:
            raise ZeroscaleError(
                f"{path} has no column {' and no '.join(absent)} (columns.axes); it has {', '.join(header)}"
            )
        refuse_doubled(path, header, set(options.axes))
        self.keys = ("params", "tokens", *(["seed"] if "seed" in self.named else []), *options.axes)
        self.columns = ["row", *self.named, *options.axes]
        self.uses_flops = options.flops != "6nd" and any(name in FLOPS_LAWS for name in options.law)

    def read(self, number: int, cells: Cells) -> Row | None:
        """The row's values; None where it is left out."""
        name = f"row {number}"
        if name in self.options.leave_out:
            self.left_out.append(LeftOutRun(name, BY_NAME))
            return None
        rule = next(
            (rule for key, ends in self.options.keep.items() if (rule := self._outside(cells, key, ends))), None
        )
        if rule is not None:
            self.left_out.append(LeftOutRun(name, rule))
            return None
        row: Row = {"row": number}
        for key, column in self.named.items():
            if column is None:
                continue
            if key == "seed":
                text = cells[column]
                row[key] = math.nan if text.casefold() in NO_SEED else self._number(number, name, column, text, _whole)
            elif key == "flops" and self.named["tokens"] is not None:
                used = self.uses_flops or self.options.flops == "exact"
                row[key] = self._if_any(number, name, column, cells[column], used, _positive)
            else:
                row[key] = self._number(number, name, column, cells[column], _positive)
        if self.named["tokens"] is None and row.get("flops") and row.get("params"):
            row["tokens"] = row["flops"] / (6 * row["params"])
        for column, text in cells.items():
            if column in self.options.axes:
                row[column] = setting_in(text)
            elif "/" in column and column not in self.named.values():
                row[column] = self._score(number, name, column, text)
        return row

    def _outside(self, cells: Cells, key: str, ends: Range | None) -> str | None:
        """The rule by which a cell, even one that is no number, leaves its row out; None where it does not."""
        if ends is None or ends == (None, None) or key not in self.named:
            return None
        column = self.named[key]
        try:
            if column is not None:
                value, text = number_in(cells[column]), cells[column]
            else:
                flops, params = (number_in(cells[str(self.named[name])]) for name in ("flops", "params"))
                value, text = (flops / (6 * params) if flops is not None and params else None), ""
        except ValueError:
            # A number that is written otherwise: the message says how to write it.
            return None
        if value is None or math.isinf(value):
            return NO_NUMBER.format(key, shown(text) or "empty")
        return outside(value, key, ends)


class LedgerRows(RowReader):
    """Rows of a results.csv: a run without a good val/loss is left out later, by a rule of its own."""

    keys = ("cell", "step")

    def __init__(self, path: Path, header: list[str], options: Options) -> None:
        super().__init__(options)
        missing = [name for name in LEDGER_COLUMNS if name not in header]
        if missing:
            raise ZeroscaleError(
                f"{path} has the columns cell and step, as a results.csv has, but no {' and no '.join(missing)}: write "
                "it anew with `zeroscale fit runs=STUDY`, or call those two otherwise where it is a CSV of runs"
            )
        refuse_doubled(path, header, set(header))
        self.columns = [*dict.fromkeys((*header, "seed", "flops"))]

    def read(self, number: int, cells: Cells) -> Row | None:
        """The row's values; None where its run is left out."""
        cell = cells["cell"]
        if cell in self.options.leave_out:
            if all(run.cell != cell for run in self.left_out):
                self.left_out.append(LeftOutRun(cell, BY_NAME))
            return None
        row: Row = {"seed": math.nan, "flops": math.nan}
        for name, text in cells.items():
            if name in ledger.WORDS:
                row[name] = text
            elif name in LEDGER_REQUIRED:
                row[name] = self._number(number, cell, name, text, _step if name == "step" else _positive)
            elif is_setting(name):
                row[name] = setting_in(text)
            elif name in ledger.FIXED_COLUMNS:
                row[name] = self._if_any(number, cell, name, text, True, _whole if name == "seed" else _any)
            else:
                row[name] = self._score(number, cell, name, text)
        return row


def _any(value: float) -> str | None:
    return None


def _positive(value: float) -> str | None:
    if math.isfinite(value) and value > LARGEST:
        return f"nothing of that size can be fitted (at most {LARGEST:g})"
    return None if math.isfinite(value) and value > 0 else "it must be a finite number above zero"


def _step(value: float) -> str | None:
    return None if math.isfinite(value) and value >= 0 and value == int(value) else "a step is a whole number"


def _whole(value: float) -> str | None:
    return None if math.isfinite(value) and value == int(value) else "a seed is a whole number"
