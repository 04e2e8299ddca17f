"""What `train` ends with: each run's state, loss and speed, and the commands that come next."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import figure, flat, interval
from zeroscale.core.tables import Column, Table
from zeroscale.launch.launcher import RunOutcome
from zeroscale.runs.results import MetricScore
from zeroscale.runs.run import Run
from zeroscale.runs.status import cause

if TYPE_CHECKING:
    import rich.table

DIVERGED = "training has diverged"
_FIT_SIZES = 2
"""Sizes from which on a law can be fitted."""


@dataclass(frozen=True)
class _Numbers:
    """Of a run that is finished; "" where unknown."""

    loss: str = ""
    interval: str = ""
    rate: str = ""


def table(outcomes: Sequence[RunOutcome], labels: Mapping[str, str]) -> "rich.table.Table":
    """A row for each run, called by its label. The loss is that of the held-out text at the last step, with its 95 %
    interval; of a run that was not scored the last validation's."""
    columns = [
        Column("run", wraps=True),
        Column("state"),
        Column("val/loss", number=True),
        Column("95 % interval"),
        Column("tokens/s", number=True),
        Column("why", wraps=True),
    ]
    rows = []
    for outcome in outcomes:
        numbers = _numbers(Run(outcome.directory))
        state = "done" if outcome.state == "skipped" else outcome.state
        name = outcome.directory.name
        why = "" if outcome.good else cause(outcome.reason)
        rows.append((labels.get(name, name), state, numbers.loss, numbers.interval, numbers.rate, why))
    # A column that is empty in every row is left out.
    shown = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    return Table.of_texts([columns[place] for place in shown], [[row[place] for place in shown] for row in rows]).rich()


def _numbers(run: Run) -> _Numbers:
    try:
        logged = run.last_metrics()
        step = logged[-1]["step"] if logged else 0
        last = next((row["val/loss"] for row in reversed(logged) if row.get("val/loss") is not None), None)
        held_out = [one.metrics for one in run.results_at(step) if one.card == "held_out"]
        scored = held_out[0].get("loss", MetricScore()) if held_out else MetricScore()
        rate = run.manifest.get("tokens_per_s")
    except ZeroscaleError:
        return _Numbers()
    value = scored.get("value", last)
    return _Numbers(
        "" if value is None else flat(figure(value, 4)),
        flat(interval(scored.get("low"), scored.get("high"), 4)),
        f"{rate:,.0f}" if rate else "",
    )


def next_commands(study: Path, outcomes: Sequence[RunOutcome], sizes: int) -> list[str]:
    """The commands that come next, as one types them.

    Args:
        sizes: models of different size in the study.
    """
    # What has diverged would diverge again.
    states = {outcome.state for outcome in outcomes if not outcome.good and DIVERGED not in outcome.reason}
    again = os.environ.get("ZEROSCALE_COMMAND", "")
    if again and "failed" in states and "retry_failed=true" not in again:
        again += " retry_failed=true"
    commands = [again] if states and again else []
    if any(outcome.good for outcome in outcomes):
        where = shlex.quote(str(study))
        commands += [f"zeroscale fit runs={where}"] if sizes >= _FIT_SIZES else []
        commands.append(f"zeroscale report study={where}")
    return commands
