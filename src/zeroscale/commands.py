"""What each command does, given plain settings. Heavy imports wait until a command needs them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zeroscale import launch, status
from zeroscale.command_settings import ExportSettings, SampleSettings
from zeroscale.errors import ZeroscaleError
from zeroscale.provenance import machine
from zeroscale.settings import (
    DataCommand,
    EvalSettings,
    FitSettings,
    PlanSettings,
    StudySettings,
    TrainSettings,
)
from zeroscale.strict import build

Config = dict[str, Any]
Labelled = tuple[str, Config]


def run(command: str, configs: list[Labelled]) -> int:
    """Runs a command once per configuration; a failure of one is said and the others go on."""
    if command == "plan":
        return plan(configs)
    if command == "eval":
        return evaluate(configs)
    one: dict[str, Callable[[Config], int]] = {
        "train": train,
        "data": data,
        "fit": fit,
        "report": report,
        "sample": sample,
        "export": export,
        "status": show_status,
    }
    if command in ("sample", "export"):
        _refuse_shared_out(configs)
    codes = [_guarded(one[command], label, config) for label, config in configs]
    return max(codes)


def _guarded(command: Callable[[Config], int], label: str, config: Config) -> int:
    if not label:
        return command(config)
    try:
        return command(config)
    except ZeroscaleError as error:
        print(f"zeroscale: {label}: {error}", file=sys.stderr)
        return 2


# --- train -----------------------------------------------------------------------------------------------------------


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


# --- the others ------------------------------------------------------------------------------------------------------


def plan(configs: list[Labelled]) -> int:
    """What each cell will cost, as one table."""
    from zeroscale.scaling import budget

    plans, faults = [], []
    for label, config in configs:
        extra = {key: config.pop(key) for key in ("hardware", "mfu") if key in config}
        try:
            wanted = build(PlanSettings, extra)
            plans.append(_plan_cell(build(TrainSettings, config), wanted, budget))
        except ZeroscaleError as error:
            faults.append(f"{label}: {error}" if label else str(error))
    if faults:
        raise ZeroscaleError("\n".join(dict.fromkeys(faults)))
    print(budget.render(plans))
    return 0


def _plan_cell(cell: TrainSettings, wanted: PlanSettings, budget: Any) -> Any:
    shape, trainer = cell.model, cell.trainer
    return budget.plan_cell(
        name=cell.cell,
        n_layer=shape.n_layer,
        d_model=shape.d_model,
        n_head=shape.n_head,
        vocab_size=cell.vocab_size,
        n_positions=shape.n_positions,
        context=cell.context,
        tokens=trainer.tokens,
        batch_tokens=trainer.batch_tokens,
        micro_batch_rows=_micro_rows(cell),
        devices=trainer.devices,
        strategy=trainer.strategy,
        precision=trainer.precision,
        lr=cell.lr,
        hardware=wanted.hardware,
        mfu=wanted.mfu,
    )


def _micro_rows(cell: TrainSettings) -> int:
    from zeroscale.data.layout import layout_of

    return layout_of(cell).micro_rows


def data(config: Config) -> int:
    """Prepares a corpus."""
    wanted = build(DataCommand, config)
    from zeroscale.data import prepare
    from zeroscale.worker import stages

    directory = prepare.corpus_directory(Path(wanted.output_dir) / "corpora", wanted.data, wanted.tokenizer)
    corpus = prepare.prepare(wanted.data, wanted.tokenizer, directory, stages(lambda text: print(text, flush=True)))
    print(f"{directory}: {corpus.n_train_tokens:,} training tokens, {corpus.n_val_tokens:,} held out")
    print(f"fingerprint {corpus.fingerprint}")
    return 0


def evaluate(configs: list[Labelled]) -> int:
    """Scores checkpoints, one after the other, and ends with one table."""
    from zeroscale import scores

    wanted = [(label, build(EvalSettings, config)) for label, config in configs]
    return scores.evaluate(wanted)


def _refuse_shared_out(configs: list[Labelled]) -> None:
    outs = [config["out"] for _, config in configs if config.get("out")]
    if twice := sorted({str(out) for out in outs if outs.count(out) > 1}):
        raise ZeroscaleError(
            f"several jobs of this multirun would write out={twice[0]}, each over the other; run them one by one"
        )


def sample(config: Config) -> int:
    """Continues prompts."""
    wanted = build(SampleSettings, config)
    from zeroscale import sampling

    sampling.sample(wanted)
    return 0


def export(config: Config) -> int:
    """Writes a run in Hugging Face format."""
    wanted = build(ExportSettings, config)
    from zeroscale import exporting

    exporting.export(Path(wanted.checkpoint), Path(wanted.out))
    print(f"{wanted.out}: config, weights, tokenizer and model card, as transformers' from_pretrained reads them")
    return 0


def fit(config: Config) -> int:
    """Fits the law and prints it with its doubts."""
    wanted = build(FitSettings, config)
    from zeroscale.scaling import fit as fitting

    out = Path(wanted.out) if wanted.out else None
    law = fitting.fit_study(
        Path(wanted.runs),
        out,
        convention=wanted.convention,
        bootstrap=wanted.bootstrap,
        seed=wanted.seed,
        command=os.environ.get("ZEROSCALE_COMMAND"),
    )
    print(fitting.describe(law))
    return 0


def report(config: Config) -> int:
    """Writes the dashboard."""
    wanted = build(StudySettings, config)
    from zeroscale.report import dashboard

    print(f"open {dashboard.write(Path(wanted.study))}")
    return 0


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
