"""Scores made again without training: those that `eval` added to a run, those of weights that are still there."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from zeroscale.config.commands.eval import EvalConfig
from zeroscale.config.validate import build_config
from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import run as scoring
from zeroscale.provenance.compare_runs import other_question
from zeroscale.provenance.recorded_run import Recorded
from zeroscale.provenance.reproduce.request import Inputs
from zeroscale.runs import layout, resolve
from zeroscale.runs.results import ResultFile
from zeroscale.runs.run import Run

Say = Callable[[str], None]

# Of a result's key: what `eval` is to be asked so that it asks the same.
_ASKED = ("protocol", "limit", "seed", "bootstrap", "dtype", "deterministic", "token_logprobs")


def score_missing(run: Recorded, cell: Path, inputs: Inputs, until: int | None, say: Say) -> None:
    """Scores what the run was scored on after its training, for the checkpoints that the reproduction has kept: other
    cards, or the same on other data or with other options."""
    there = {(one.step, one.name): one.content for one in Run(cell).results}
    todo = [
        one
        for one in run.results
        if one.step <= (until or 0)
        and ((one.step, one.name) not in there or other_question(one.content, there[one.step, one.name]))
    ]
    _score_steps(todo, cell, None, inputs, say)


def score_recorded(run: Recorded, out: Path, inputs: Inputs, say: Say) -> list[ResultFile]:
    """Scores the run's own checkpoints again, into `out`; returns what came of it."""
    on_cards = [one for one in run.results if one.content["source"] != "corpus"]
    _score_steps(on_cards, run.directory, out, inputs, say)
    return Run(out).results


def _score_steps(results: list[ResultFile], cell: Path, out: Path | None, inputs: Inputs, say: Say) -> None:
    """Scores those checkpoints of a cell that are there, into its own evals/ or into those of `out`."""
    on_cpu = inputs.place.gpus == ()
    for step in sorted({one.step for one in results}):
        path = layout.checkpoint_directory(cell, step)
        if not (path / layout.WEIGHTS).is_file():
            continue
        try:
            target = resolve.resolve_checkpoint(path, Path(inputs.settings.output_dir))
        except ZeroscaleError as error:
            say(f"  missing    {error}")
            continue
        if out is not None:
            target = dataclasses.replace(target, out=out / layout.EVALS / path.name)
        accelerator = "cpu" if on_cpu else inputs.settings.trainer.accelerator
        asked = {"accelerator": accelerator, "output_dir": inputs.settings.output_dir}
        of_step = [one for one in results if one.step == step]
        score(of_step, target, inputs.data_dir, inputs.threads, asked, say)


def score(
    results: Iterable[ResultFile],
    target: resolve.CheckpointRef,
    data_dir: str | None,
    threads: int | None,
    asked: dict[str, Any],
    say: Say,
) -> None:
    """Asks a checkpoint what these results answer, those with the same options together; says what cannot be had."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    groups: dict[tuple[Any, ...], list[str]] = {}
    for one in results:
        options = tuple(one.content.get(name) for name in _ASKED)
        groups.setdefault((one.content["source"], *options), []).append(one.content["card"])
    for (source, *values), cards in groups.items():
        options = {name: value for name, value in zip(_ASKED, values, strict=True) if value is not None}
        wanted = _settings(target, cards, source, {**options, **asked}, data_dir)
        try:
            scoring.score(target, wanted, on_fault=lambda card, error: say(f"  missing    {card}: {error}"))
        except ZeroscaleError as error:
            say(f"  missing    {target.label}: {error}")


def _settings(
    target: resolve.CheckpointRef, cards: list[str], source: str, asked: dict[str, Any], data_dir: str | None
) -> EvalConfig:
    """The settings of `eval` that ask for these cards; its own for what a result's key does not say."""
    with open(paths.conf() / "eval.yaml", encoding="utf-8") as file:
        defaults = yaml.safe_load(file)
    asked |= {
        "checkpoint": str(target.path),
        "cards": cards,
        "cards_from": source,
        "data_dir": data_dir if source == "files" else None,
        "allow_other_data": True,
    }
    if source == "corpus":
        # Held-out text is scored in any case.
        asked |= {"cards": [], "cards_from": None, "protocol": "paper"}
    return build_config(EvalConfig, {**defaults, **asked})
