"""`train`, one cell or a sweep of them, and `status`."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zeroscale.cli.commands import Config, Labelled
from zeroscale.config.commands import LaunchConfig, StatusConfig
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core import machine, nodes
from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch import launcher
from zeroscale.runs import layout, run, status


def cells_of(configs: Sequence[Labelled], devices: dict[str, int] | None) -> list[TrainConfig]:
    """Strict settings of every cell, checked against these devices, all faults of all cells in one message."""
    cells, faults = [], []
    for label, config in configs:
        try:
            cells.append(build_config(TrainConfig, config, devices))
        except ZeroscaleError as error:
            text = f"{label}: {error}" if label else str(error)
            if text not in faults:
                faults.append(text)
    if faults:
        raise ZeroscaleError("\n".join(faults))
    for cell in cells:
        _check_cards(cell)
    return cells


def _check_cards(cell: TrainConfig) -> None:
    """A card that does not exist, or whose files are missing, is known before training, not after."""
    if cell.cards:
        from zeroscale.eval.cards import registry, sources

        for one in registry.resolve(list(cell.cards)):
            if cell.cards_from == "files":
                sources.find_files(one, Path(cell.data_dir) if cell.data_dir else None)


def train(config: Config) -> int:
    """One cell."""
    (cell,) = cells_of([("", config)], machine.device_counts())
    outcome = launcher.run(cell)
    if not outcome.good:
        print(f"zeroscale: {outcome.cell.name} {outcome.state}: {outcome.reason}", file=sys.stderr)
        return 1
    _write_ledger(outcome.cell.parent)
    return 0


def run_job(config: Config, study: LaunchConfig) -> None:
    """One job of another launcher of Hydra's: a cell on the machine that the job was sent to.

    Never raises: the outcome stands in the cell's status.json.
    """
    cell = layout.directory(build_config(TrainConfig, config))
    try:
        (settings,) = cells_of([("", config)], machine.device_counts())
        if status.read(cell).state == "failed" and not study.retry_failed:
            return
        outcome = launcher.run(settings)
    except (ZeroscaleError, OSError) as error:
        outcome = launcher.RunOutcome(cell, "failed", str(error))
        status.write(cell, "failed", str(error), status.read(cell).step)
    if not outcome.good:
        print(f"{outcome.cell.name}: {outcome.state}: {outcome.reason}", file=sys.stderr, flush=True)


def train_sweep(configs: list[Labelled], study: LaunchConfig, elsewhere: Callable[[], None] | None) -> int:
    """Runs a sweep and ends with the ledger and a table of its cells; non-zero when one of them is not done.

    `elsewhere` starts the jobs by another launcher of Hydra's; None runs the cells on this machine.
    """
    from zeroscale.launch import sweep

    cells = cells_of(configs, machine.device_counts() if elsewhere is None else None)
    names = [cell.cell for cell in cells]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ZeroscaleError(f"two jobs of this sweep are the same cell ({', '.join(twice)}): vary what differs")
    if study.cells_at_once > 1 and nodes.detect_nodes().count > 1:
        raise ZeroscaleError("cells_at_once is for one machine: several that train a cell together run one at a time")
    folder = layout.directory(cells[0]).parent
    sweep.write_record(folder, cells, [label for label, _ in configs])
    try:
        if elsewhere is None:
            outcomes = sweep.Sweep(cells, study.cells_at_once, study.retry_failed).run()
        else:
            elsewhere()
            outcomes = [_outcome(cell) for cell in cells]
    finally:
        # After Ctrl-C too: what is done is done.
        _write_ledger(folder)
    _print_outcomes(outcomes, [label for label, _ in configs])
    bad = [outcome for outcome in outcomes if not outcome.good]
    if not bad:
        return 0
    again = "the same command goes on"
    if any(outcome.state == "failed" for outcome in bad):
        again += "; those that failed are tried again with retry_failed=true"
    print(f"zeroscale: {len(bad)} of {len(outcomes)} cells are not done; {again}", file=sys.stderr)
    return 1


def _outcome(cell: TrainConfig) -> launcher.RunOutcome:
    directory = layout.directory(cell)
    if run.finished(cell):
        return launcher.RunOutcome(directory, "done")
    if status.is_locked(directory):
        return launcher.RunOutcome(directory, "busy", "another process is training it")
    recorded = status.read(directory)
    return launcher.RunOutcome(directory, recorded.state, recorded.reason)


def _write_ledger(study: Path) -> None:
    from zeroscale.runs import ledger

    ledger.write(study)


def _print_outcomes(outcomes: Sequence[launcher.RunOutcome], labels: Sequence[str]) -> None:
    from rich.console import Console

    from zeroscale.launch import status_table

    rows = [
        status_table.outcome_row(outcome.cell, label, outcome.state, outcome.reason)
        for outcome, label in zip(outcomes, labels, strict=True)
    ]
    console = Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False)
    console.print(status_table.outcomes(rows))
    _print_logs(console, [outcome.cell for outcome in outcomes if outcome.state == "failed"])


def _print_logs(console: Any, failed: Sequence[Path]) -> None:
    from zeroscale.launch import status_table

    for cell in failed:
        lines = status_table.last_lines(cell / status.LOG)
        if lines:
            console.print(f"{cell / status.LOG} ends with", *(f"  {line}" for line in lines), sep="\n", soft_wrap=True)


def show_status(config: Config) -> int:
    """The cells of a study, on a terminal anew until Ctrl-C; non-zero unless all are done."""
    wanted = build_config(StatusConfig, config)
    from rich.console import Console
    from rich.live import Live

    from zeroscale.launch import status_table

    study = Path(wanted.study)
    rows = status_table.read(study)
    if not rows:
        raise ZeroscaleError(f"{study} has no cells yet")
    watched = sys.stdout.isatty() and wanted.every is not None
    console = Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False)
    if watched and not _all_done(rows):
        try:
            with Live(status_table.progress(rows), console=console, auto_refresh=False) as live:
                while not _all_done(rows):
                    time.sleep(wanted.every)
                    rows = status_table.read(study)
                    live.update(status_table.progress(rows), refresh=True)
        except KeyboardInterrupt:
            pass
    else:
        console.print(status_table.progress(rows))
    _print_logs(console, [row.directory for row in rows if row.state == "failed"])
    return 0 if _all_done(rows) else 1


def _all_done(rows: Sequence[Any]) -> bool:
    return all(row.state == "done" for row in rows)
