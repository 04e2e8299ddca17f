"""`zeroscale eval`: scores checkpoints one after the other and shows them in one table."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from zeroscale import scoring
from zeroscale.command_settings import EvalSettings
from zeroscale.errors import ZeroscaleError
from zeroscale.provenance import machine
from zeroscale.training import checkpoint


def evaluate(wanted: list[tuple[str, EvalSettings]]) -> int:
    """Scores each; one that fails is said and the others go on. Returns the exit code."""
    table: list[tuple[str, Any]] = []
    failed = 0
    _set_threads(wanted[0][1].threads)
    studies: set[Path] = set()
    for settings in _each(wanted):
        try:
            target = scoring.find(settings.checkpoint or "", Path(settings.output_dir), settings.revision)
            for result in scoring.score(target, settings, say=lambda text: print(text, file=sys.stderr, flush=True)):
                table.append((target.name, result))
            if target.run is not None and target.out.parent.name == "evals":
                studies.add(target.out.parent.parent.parent)
        except ZeroscaleError as error:
            failed += 1
            print(f"zeroscale: {error}", file=sys.stderr)
    for study in studies:
        from zeroscale.scaling import ledger

        ledger.write(study)
    if table:
        _print(table)
    return 2 if failed else 0


def _each(wanted: list[tuple[str, EvalSettings]]) -> list[EvalSettings]:
    """One settings object per checkpoint; a study stands for its cells."""
    each = []
    for _, settings in wanted:
        if bool(settings.checkpoint) == bool(settings.study):
            raise ZeroscaleError(
                "give either checkpoint=PATH (a run, a checkpoint, a Hugging Face directory, a hub name) or study=DIR"
            )
        if settings.checkpoint:
            each.append(settings)
            continue
        cells = sorted(path.parent for path in Path(settings.study or "").glob("[!.]*/config.yaml"))
        cells = [cell for cell in cells if checkpoint.all_of(cell)]
        if not cells:
            raise ZeroscaleError(f"{settings.study} has no cell with a checkpoint")
        each += [dataclasses.replace(settings, checkpoint=str(cell), study=None) for cell in cells]
    return each


def _set_threads(threads: int | None) -> None:
    import torch

    torch.set_num_threads(threads or machine.cpu_cores())


def _print(rows: list[tuple[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("checkpoint", "card", "protocol", "metric", "value", "95 % interval", "n", "data"):
        table.add_column(column, justify="right" if column in ("value", "n") else "left")
    for name, result in rows:
        key = result.key
        data = {"sample": "SAMPLE, no benchmark", "corpus": "held out"}.get(key.source, key.source)
        if key.limit:
            data += f", first {key.limit}"
        for metric, score in result.metrics.items():
            interval = "–" if score.low is None else f"{score.low:.4g} to {score.high:.4g}"
            value = "–" if score.value is None else f"{score.value:.4g}"
            table.add_row(name, key.card, key.protocol, metric, value, interval, str(score.n), data)
    Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False).print(table)
