"""`train`, one cell or a sweep of them, and `status`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zeroscale import launch, status
from zeroscale.command_settings import StudySettings
from zeroscale.errors import ZeroscaleError
from zeroscale.provenance import machine
from zeroscale.settings import TrainSettings
from zeroscale.strict import build

Config = dict[str, Any]


def cells_of(configs: list[Config], labels: list[str] | None = None) -> list[TrainSettings]:
    """Strict settings of every cell, checked against this machine, all faults of all cells in one message."""
    cells, faults = [], []
    for index, config in enumerate(configs):
        try:
            cells.append(build(TrainSettings, config, machine.device_counts()))
        except ZeroscaleError as error:
            where = f"{labels[index]}: " if labels and labels[index] else ""
            text = f"{where}{error}"
            if text not in faults:
                faults.append(text)
    if faults:
        raise ZeroscaleError("\n".join(faults))
    for cell in cells:
        _check_cards(cell)
    return cells


def _check_cards(cell: TrainSettings) -> None:
    """A card that does not exist, or whose files are missing, is known before training, not after."""
    if cell.cards:
        from zeroscale.harness import card, sources

        for one in card.resolve(list(cell.cards)):
            if cell.cards_from == "files":
                sources.find_files(one, Path(cell.data_dir) if cell.data_dir else None)


def train(config: Config) -> int:
    """One cell."""
    (cell,) = cells_of([config])
    outcome = launch.run_cell(cell)
    if not outcome.good:
        print(f"zeroscale: {outcome.cell.name} {outcome.state}: {outcome.reason}", file=sys.stderr)
        return 1
    _write_ledger(outcome.cell.parent)
    return 0


def run_job(config: Config) -> None:
    """One job of Hydra's multirun: starts a cell, never raises; the outcome stands in the cell's status.json."""
    cell = build(TrainSettings, config)
    try:
        outcome = launch.run_cell(cell)
    except (ZeroscaleError, OSError) as error:
        outcome = launch.Outcome(launch.directory(cell), "failed", str(error))
    _OUTCOMES[str(outcome.cell)] = outcome
    if not outcome.good:
        print(f"{outcome.cell.name}: {outcome.state}: {outcome.reason}", file=sys.stderr, flush=True)


# What the jobs of this process came to. Cells that ran elsewhere (another launcher) are read from their status.json.
_OUTCOMES: dict[str, launch.Outcome] = {}


def finish_sweep(cells: list[TrainSettings], sweep: Callable[[], None]) -> int:
    """Runs a sweep and ends with the ledger and a table of its cells; non-zero when one of them is not done."""
    twice = {cell.cell for cell in cells if [other.cell for other in cells].count(cell.cell) > 1}
    if twice:
        raise ZeroscaleError(
            f"two jobs of this sweep are the same cell ({', '.join(sorted(twice))}): vary what differs"
        )
    study = launch.directory(cells[0]).parent
    _check_writable(study)
    sweep()
    outcomes = [_outcome(cell) for cell in cells]
    _write_ledger(study)
    _print_cells(outcomes)
    bad = [outcome for outcome in outcomes if not outcome.good]
    if bad:
        print(
            f"zeroscale: {len(bad)} of {len(outcomes)} cells are not done; the same command tries them again",
            file=sys.stderr,
        )
    return 1 if bad else 0


def _check_writable(directory: Path) -> None:
    from zeroscale.files import write_text

    probe = directory / ".writable"
    write_text(probe, "")
    probe.unlink(missing_ok=True)


def _outcome(cell: TrainSettings) -> launch.Outcome:
    directory = launch.directory(cell)
    if str(directory) in _OUTCOMES:
        return _OUTCOMES[str(directory)]
    if launch.finished(cell):
        return launch.Outcome(directory, "done")
    recorded = status.read(directory)
    return launch.Outcome(directory, recorded.state, recorded.reason)


def _write_ledger(study: Path) -> None:
    from zeroscale.scaling import ledger

    ledger.write(study)


def _print_cells(outcomes: list[launch.Outcome]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("cell")
    table.add_column("state")
    table.add_column("why", overflow="fold")
    for outcome in outcomes:
        table.add_row(outcome.cell.name, "done" if outcome.state == "skipped" else outcome.state, outcome.reason)
    Console(width=None if sys.stdout.isatty() else 120, markup=False, highlight=False).print(table)


def show_status(config: Config) -> int:
    """The cells of a study; non-zero unless all are done."""
    wanted = build(StudySettings, config)
    from zeroscale.scaling import ledger

    cells = ledger.cells(Path(wanted.study))
    if not cells:
        raise ZeroscaleError(f"{wanted.study} has no cells yet")
    _print_cells([launch.Outcome(cell.directory, cell.state, cell.reason or _step(cell.step)) for cell in cells])
    return 0 if all(cell.state == "done" for cell in cells) else 1


def _step(step: int | None) -> str:
    return f"step {step}" if step else ""
