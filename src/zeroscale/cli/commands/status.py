"""`zeroscale status`: the runs of a study and their states, redrawn on a terminal until all are done."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic.dataclasses import dataclass

from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, FilePath, Filters, PositiveFloat
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch import status_report, status_table
from zeroscale.runs import layout
from zeroscale.runs import status as recorded

if TYPE_CHECKING:
    from rich.console import Console


MOST_LOGS = 10


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StatusConfig:
    """A study's directory, and how often its table is redrawn."""

    study: FilePath
    where: Filters
    """Settings that the runs must have."""
    every: PositiveFloat | None
    """Seconds between two looks on a terminal; None: once."""


def run(raw: RawConfig) -> int:
    """Shows the runs of a study, on a terminal until Ctrl-C; returns non-zero unless all are done."""
    config = build_config(StatusConfig, raw)
    from rich.console import Console
    from rich.live import Live

    study = Path(config.study)
    status = status_table.read(study, config.where)
    if not status.rows:
        raise ZeroscaleError(f"{study} has no cells yet")
    console = Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False)
    if sys.stdout.isatty() and config.every is not None and not status.all_done:
        try:
            with Live(status_report.describe(status), console=console, auto_refresh=False) as live:
                while not status.all_done:
                    time.sleep(config.every)
                    status = status_table.read(study, config.where)
                    live.update(status_report.describe(status), refresh=True)
        except KeyboardInterrupt:
            pass
    else:
        console.print(status_report.describe(status))
    print_logs(console, [row.directory for row in status.rows if row.state == "failed"])
    return 0 if status.all_done else 1


def print_logs(console: "Console", failed: Sequence[Path]) -> None:
    """Prints the last lines of the logs of failed runs, given by their directories, where the reason that is recorded
    sends its reader there; of so many as can be read."""
    for directory in failed[:MOST_LOGS]:
        log = directory / layout.LOG
        if layout.LOG not in recorded.read(directory).reason:
            continue
        if lines := status_table.last_lines(log):
            console.print(f"{log} ends with", *(f"  {line}" for line in lines), sep="\n", soft_wrap=True)
    if len(failed) > MOST_LOGS:
        console.print(f"{len(failed) - MOST_LOGS} more failed; each has its own {layout.LOG}")
