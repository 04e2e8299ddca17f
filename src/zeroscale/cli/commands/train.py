"""`zeroscale train`: one run, or a sweep of them."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from zeroscale.cli.commands import LabelledConfig
from zeroscale.cli.commands.status import print_logs
from zeroscale.config.raw import RawConfig
from zeroscale.config.study import LaunchConfig
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core import machine, nodes
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.paths import expand_home
from zeroscale.launch import launcher
from zeroscale.launch.identity import settle
from zeroscale.runs import layout, status
from zeroscale.runs.identity.code import own_files
from zeroscale.runs.run import Run


def cells_of(configs: Sequence[LabelledConfig], devices: dict[str, int] | None) -> list[TrainConfig]:
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
        _check_homes(cell)
        own_files(cell)
        _check_cards(cell)
    return cells


def _check_homes(cell: TrainConfig) -> None:
    """Paths that the settings hash holds as they were typed: where `~` stands for nothing, it is known now."""
    for group, keys in ((cell.data, ("path", "leave_out_ngrams")), (cell.tokenizer, ("path",))):
        for key in keys:
            expand_home(getattr(group, key, None) or "")


def _check_cards(cell: TrainConfig) -> None:
    """A card that does not exist, or whose files are missing, is known before training, not after."""
    if cell.cards:
        from zeroscale.eval.cards import registry, sources

        for card in registry.resolve(list(cell.cards)):
            if cell.cards_from == "files":
                sources.find_files(card, Path(cell.data_dir) if cell.data_dir else None)


def run(config: RawConfig, study: LaunchConfig) -> int:
    """Trains one model and scores it."""
    (cell,) = _settled(cells_of([("", config)], machine.device_counts()), study)
    outcome = launcher.run(cell)
    if outcome.good:
        _write_ledger(outcome.directory.parent)
    if nodes.detect_nodes().rank == 0:
        _print_outcomes([cell], [outcome])
    if not outcome.good:
        print(f"zeroscale: {outcome.directory.name} {outcome.state}: {outcome.reason}", file=sys.stderr)
        return 1
    return 0


def _settled(cells: Sequence[TrainConfig], study: LaunchConfig) -> list[TrainConfig]:
    return settle.settle(cells, study.on_code_change, lambda text: print(text, flush=True))


def run_job(config: RawConfig, study: LaunchConfig) -> None:
    """One job of another launcher of Hydra's: a cell on the machine that the job was sent to.

    Never raises: the outcome stands in the cell's status.json.
    """
    cell = layout.run_directory(build_config(TrainConfig, config))
    try:
        (settings,) = _settled(cells_of([("", config)], machine.device_counts()), study)
        cell = layout.run_directory(settings)
        if status.read(cell).state == "failed" and not study.retry_failed:
            return
        outcome = launcher.run(settings)
    except (ZeroscaleError, OSError) as error:
        outcome = launcher.RunOutcome(cell, "failed", str(error))
        status.write(cell, "failed", str(error), status.read(cell).step)
    if not outcome.good:
        print(f"{outcome.directory.name}: {outcome.state}: {outcome.reason}", file=sys.stderr, flush=True)


def train_sweep(configs: list[LabelledConfig], study: LaunchConfig, elsewhere: Callable[[Path], None] | None) -> int:
    """Runs a sweep and ends with the ledger and a table of its cells; non-zero when one of them is not done.

    `elsewhere` starts the jobs of a study's folder by another launcher of Hydra's; None runs the cells on this machine.
    """
    from zeroscale.launch import sweep, sweep_record

    cells = _settled(cells_of(configs, machine.device_counts() if elsewhere is None else None), study)
    names = [cell.cell for cell in cells]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ZeroscaleError(f"two jobs of this sweep are the same cell ({', '.join(repeated)}): vary what differs")
    if study.cells_at_once > 1 and nodes.detect_nodes().count > 1:
        raise ZeroscaleError("cells_at_once is for one machine: several that train a cell together run one at a time")
    folder = layout.run_directory(cells[0]).parent
    sweep_record.add(folder, cells, [label for label, _ in configs])
    try:
        if elsewhere is None:
            outcomes = sweep.Sweep(cells, study.cells_at_once, study.retry_failed).run()
        else:
            elsewhere(folder)
            outcomes = [_outcome(cell) for cell in cells]
    finally:
        # After Ctrl-C too: what is done is done.
        _write_ledger(folder)
    _print_outcomes(cells, outcomes)
    bad = [outcome for outcome in outcomes if not outcome.good]
    if not bad:
        return 0
    again = "the same command goes on"
    if any(outcome.state == "failed" for outcome in bad):
        again += "; those that failed are tried again with retry_failed=true"
    print(f"zeroscale: {len(bad)} of {len(outcomes)} cells are not done; {again}", file=sys.stderr)
    return 1


def _outcome(cell: TrainConfig) -> launcher.RunOutcome:
    directory = layout.run_directory(cell)
    if Run.of(cell).is_finished_with(cell):
        return launcher.RunOutcome(directory, "done")
    if status.is_locked(directory):
        return launcher.RunOutcome(directory, "busy", "another process is training it")
    recorded = status.read(directory)
    return launcher.RunOutcome(directory, recorded.state, recorded.reason)


def _write_ledger(study: Path) -> None:
    from zeroscale.runs.study import Study

    Study(study).write_ledger()


def _print_outcomes(cells: Sequence[TrainConfig], outcomes: Sequence[launcher.RunOutcome]) -> None:
    """The closing table, the end of the logs that say more, and the commands that come next."""
    from rich.console import Console

    from zeroscale.launch.progress import closing_table, labels

    axes = labels.planned_axes(cells)
    console = Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False)
    console.print(closing_table.table(outcomes, axes.labels))
    print_logs(console, [outcome.directory for outcome in outcomes if outcome.state == "failed"])
    sizes = len(axes.size.values) if axes.size else 1
    if commands := closing_table.next_commands(layout.run_directory(cells[0]).parent, outcomes, sizes):
        console.print("next:", *(f"  {command}" for command in commands), sep="\n", soft_wrap=True)
