"""Which runs a law rests on, and which it leaves out by what rule: nothing is dropped in silence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs.run import Run

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMN_OF = {"non_embedding": "params_non_embedding", "total": "params", "matmul": "params_matmul"}
Z95 = 1.959964
UNREADABLE = "it cannot be read: {}"
NOT_DONE = "the run is not done"
NO_LOSS = "no val/loss at its last checkpoint"
NO_LOSS_HERE = "no val/loss at this checkpoint"
EARLIER = "not the last checkpoint of its run"
NOT_CHOSEN = "another setting of its size has the better mean loss"
SHORTER = "the same size was trained on more tokens in another run"
BY_NAME = "left out by leave_out"
OUTSIDE = "its {0} is outside keep.{0} ({1} to {2})"
NO_NUMBER = "its {0} ({1}) is no number that keep.{0} could take"
BAD_LOSS = "its val/loss is {:g}, which is no loss that a law could take"
# Nats per token; and what no count of parameters, tokens or FLOPs reaches.
LARGEST_LOSS, LARGEST = 1e6, 1e60

# A row of results.csv or of another CSV of runs, by column; None where the file says nothing.
Row = dict[str, Any]
# The ends, both included, between which a run's value must lie; None is an open end.
Range = tuple[float | None, float | None]


@dataclass(frozen=True)
class SelectedRun:
    """A run, or one of its checkpoints, as a law takes it. `params` is N by the convention that was asked for."""

    cell: str
    model: str | None
    seed: int | None
    params: float
    params_non_embedding: float | None
    """None where the file has one count of parameters, by whatever convention it was made."""
    tokens: float
    flops: float | None
    loss: float
    loss_low: float | None
    loss_high: float | None
    row: Row

    @property
    def name(self) -> str:
        """As messages call it: its cell, with the step where several checkpoints of a cell count."""
        step = self.row.get("step")
        return self.cell if step is None else f"{self.cell} at step {int(step)}"


@dataclass(frozen=True)
class LeftOutRun:
    """A run, or some of its steps, that no law rests on; `state` where it is not done."""

    cell: str
    rule: str
    steps: tuple[int, ...] = ()
    state: str | None = None


@dataclass(frozen=True)
class SizeGroup:
    """The runs of one size, with their mean loss and its standard deviation in nats."""

    cells: tuple[str, ...]
    seeds: tuple[int | None, ...]
    params: float
    tokens: float
    loss: float
    loss_sd: float | None


@dataclass(frozen=True)
class Selection:
    """`runs` are the single runs used; `sizes` are what is fitted: their means over seeds, smallest size first."""

    runs: tuple[SelectedRun, ...]
    sizes: tuple[SizeGroup, ...]
    left_out: tuple[LeftOutRun, ...]


def select_runs(
    frame: "DataFrame",
    convention: str,
    study_runs: Sequence[Run] = (),
    *,
    checkpoints: str = "last",
    keep: Mapping[str, Range | None] | None = None,
    leave_out: Sequence[str] = (),
    left_out_before: Sequence[LeftOutRun] = (),
) -> tuple[list[SelectedRun], list[LeftOutRun]]:
    """(runs, left out): finished runs that no rule leaves out, of whatever setting.

    Args:
        frame: what `runs_csv.read` gives.
        convention: which count is N, for a ledger; a CSV of runs has one count only.
        study_runs: of the study, so that those without a row are named too.
        checkpoints: "last" of each run, or "all" of them (for training curves).
        keep: {"loss": (low, high), …}: values outside are left out; None is an open end.
        leave_out: names of runs, or of a CSV's rows as "row 17".
        left_out_before: what `runs_csv` left out of the frame.

    Raises:
        ZeroscaleError: no run is left, an unknown convention, or a name in `leave_out` that no run has.
    """
    if convention not in COLUMN_OF:
        raise ZeroscaleError(f"convention={convention} is unknown: use {', '.join(COLUMN_OF)}")
    left_out: list[LeftOutRun] = list(left_out_before)
    if "val/loss" in frame.columns:
        runs = _finished(
            _rows(frame.astype(object).where(frame.notna(), None)),
            COLUMN_OF[convention],
            study_runs,
            left_out,
            checkpoints,
        )
    else:
        runs = [_from_csv(row) for row in _rows(frame)]
    runs = _within(_not_named(runs, left_out, leave_out), left_out, keep or {})
    if not runs:
        reasons = "; ".join(f"{entry.cell}: {entry.rule}" for entry in left_out)
        raise ZeroscaleError(f"no run can be fitted ({reasons}): finish at least two sizes")
    runs.sort(key=lambda run: (run.params, run.cell, run.tokens))
    return runs, left_out


def _rows(frame: "DataFrame") -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def select_longest(runs: Sequence[SelectedRun], left_out: Sequence[LeftOutRun]) -> Selection:
    """What a law over size alone rests on: of one size the runs with the most tokens, and their means over seeds."""
    left = list(left_out)
    longest = _longest(runs, left)
    return Selection(tuple(longest), tuple(_sizes(longest)), tuple(left))


def _finished(
    rows: Sequence[Row], column: str, study_runs: Sequence[Run], left_out: list[LeftOutRun], checkpoints: str
) -> list[SelectedRun]:
    rows_of: dict[str, list[Row]] = {}
    for row in rows:
        rows_of.setdefault(row["cell"], []).append(row)
    for run in study_runs:
        if run.name not in rows_of and run.state != "done":
            left_out.append(LeftOutRun(run.name, NOT_DONE, state=run.state))
    runs = []
    for name, saved in rows_of.items():
        saved.sort(key=lambda row: row["step"])
        *earlier, last = saved
        steps = tuple(int(row["step"]) for row in saved)
        if last["status"] != "done":
            left_out.append(LeftOutRun(name, NOT_DONE, steps, state=last["status"]))
        elif checkpoints == "all":
            for row in saved:
                rule = _no_loss(row, NO_LOSS_HERE)
                if rule is None:
                    runs.append(_from_ledger(row, column))
                else:
                    _add_step(left_out, name, rule, int(row["step"]))
        elif (rule := _no_loss(last, NO_LOSS)) is not None:
            left_out.append(LeftOutRun(name, rule, steps))
        else:
            if earlier:
                left_out.append(LeftOutRun(name, EARLIER, steps[:-1]))
            runs.append(_from_ledger(last, column))
    return runs


def _no_loss(row: Row, missing: str) -> str | None:
    """The rule by which a row of the ledger is left out where it has no loss, or none that a law could take."""
    loss = row["val/loss"]
    if loss is None:
        return missing
    return None if 0 < loss <= LARGEST_LOSS else BAD_LOSS.format(loss)


def _add_step(left_out: list[LeftOutRun], cell: str, rule: str, step: int) -> None:
    """Adds a step to the entry of its run and rule."""
    for i, entry in enumerate(left_out):
        if (entry.cell, entry.rule) == (cell, rule):
            left_out[i] = replace(entry, steps=(*entry.steps, step))
            return
    left_out.append(LeftOutRun(cell, rule, (step,)))


def _from_ledger(row: Row, column: str) -> SelectedRun:
    if row[column] is None or row["tokens"] is None:
        raise ZeroscaleError(
            f"{row['cell']} has no {column} or no tokens: its manifest.json is missing; train it again"
        )
    return SelectedRun(
        cell=row["cell"],
        model=row.get("model"),
        seed=None if row["seed"] is None else int(row["seed"]),
        params=int(row[column]),
        params_non_embedding=int(row["params_non_embedding"]),
        tokens=int(row["tokens"]),
        flops=_finite(row["flops"]),
        loss=row["val/loss"],
        loss_low=_loss_end(row.get("held_out/loss/low")),
        loss_high=_loss_end(row.get("held_out/loss/high")),
        row=row,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) <= LARGEST else None


def _loss_end(value: float | None) -> float | None:
    return value if value is not None and 0 <= value <= LARGEST_LOSS else None


def _from_csv(row: Row) -> SelectedRun:
    seed, flops = row.get("seed"), row.get("flops")
    return SelectedRun(
        # A line of a CSV, or a checkpoint by name.
        cell=row["row"] if isinstance(row["row"], str) else f"row {row['row']}",
        model=None,
        seed=None if seed is None or math.isnan(seed) else int(seed),
        params=row["params"],
        params_non_embedding=None,
        tokens=row["tokens"],
        flops=_finite(flops),
        loss=row["loss"],
        loss_low=None,
        loss_high=None,
        row=row,
    )


def _not_named(runs: list[SelectedRun], left_out: list[LeftOutRun], names: Sequence[str]) -> list[SelectedRun]:
    known = {run.cell for run in runs} | {entry.cell for entry in left_out}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ZeroscaleError(
            f"leave_out names {', '.join(unknown)}, which is no run here: give names of cells, or of a CSV's rows as "
            "'row 17' (the header is row 1)"
        )
    left_out += [LeftOutRun(run.cell, BY_NAME) for run in runs if run.cell in names]
    return [run for run in runs if run.cell not in names]


def _within(
    runs: Sequence[SelectedRun], left_out: list[LeftOutRun], keep: Mapping[str, Range | None]
) -> list[SelectedRun]:
    inside = []
    for run in runs:
        rule = next((rule for name, ends in keep.items() if (rule := _outside(run, name, ends or (None, None)))), None)
        if rule is None:
            inside.append(run)
        else:
            left_out.append(LeftOutRun(run.cell, rule))
    return inside


def _outside(run: SelectedRun, name: str, ends: Range) -> str | None:
    value: float | None = getattr(run, name)
    if value is None:
        if ends != (None, None):
            raise ZeroscaleError(f"keep.{name} cannot be applied: {run.cell} has no {name}")
        return None
    return outside(value, name, ends)


def outside(value: float, name: str, ends: Range) -> str | None:
    """The rule by which keep leaves out a run whose `name` is this value; None where it lies between the ends."""
    low, high = ends
    if (low is not None and value < low) or (high is not None and value > high):
        return OUTSIDE.format(name, *("any" if end is None else f"{end:g}" for end in (low, high)))
    return None


def _longest(runs: Sequence[SelectedRun], left_out: list[LeftOutRun]) -> list[SelectedRun]:
    """L(N) is a law of size: where one size was trained on several numbers of tokens, the largest counts."""
    most: dict[float, float] = {}
    for run in runs:
        most[run.params] = max(run.tokens, most.get(run.params, 0))
    left_out += [LeftOutRun(run.cell, SHORTER) for run in runs if run.tokens != most[run.params]]
    return [run for run in runs if run.tokens == most[run.params]]


def _sizes(runs: Sequence[SelectedRun]) -> list[SizeGroup]:
    runs_of: dict[float, list[SelectedRun]] = {}
    for run in runs:
        runs_of.setdefault(run.params, []).append(run)
    return [_mean(group) for _, group in sorted(runs_of.items())]


def select_lengths(runs: Sequence[SelectedRun], least: int) -> list[tuple[tuple[SelectedRun, ...], list[SizeGroup]]]:
    """(its runs, their means by training tokens) of each size that was trained on `least` numbers of tokens or more."""
    runs_of: dict[float, dict[float, list[SelectedRun]]] = {}
    for run in sorted(runs, key=lambda run: (run.tokens, run.cell)):
        runs_of.setdefault(run.params, {}).setdefault(run.tokens, []).append(run)
    return [
        (tuple(run for group in lengths.values() for run in group), [_mean(group) for group in lengths.values()])
        for _, lengths in sorted(runs_of.items())
        if len(lengths) >= least
    ]


def _mean(group: Sequence[SelectedRun]) -> SizeGroup:
    return SizeGroup(
        cells=tuple(run.cell for run in group),
        seeds=tuple(run.seed for run in group),
        params=group[0].params,
        tokens=group[0].tokens,
        loss=math.fsum(run.loss for run in group) / len(group),
        loss_sd=_loss_sd(group),
    )


def _loss_sd(group: Sequence[SelectedRun]) -> float | None:
    """Standard deviation of the mean in nats: seeds' own scatter / sqrt(k), and held-out text's interval / (2 z).

    The models are scored on the same text, so that part of the error is common to them; it is counted in full.
    """
    losses = [run.loss for run in group]
    mean = math.fsum(losses) / len(losses)
    squares = math.fsum((loss - mean) ** 2 for loss in losses)
    seeds = squares / (len(losses) - 1) / len(losses) if len(losses) > 1 else 0.0
    widths = [run.loss_high - run.loss_low for run in group if run.loss_low is not None and run.loss_high]
    text = (math.fsum(widths) / len(widths) / (2 * Z95)) ** 2 if widths else 0.0
    return math.sqrt(seeds + text) or None
