"""Score again without training: what `eval` added to a run, and the checkpoints that are still there."""

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
from zeroscale.provenance.compare_runs import changed_question
from zeroscale.provenance.recorded_run import Recorded
from zeroscale.provenance.reproduce.request import Inputs
from zeroscale.runs import layout, resolve
from zeroscale.runs.results import ResultFile
from zeroscale.runs.run import Run

Say = Callable[[str], None]

# The fields of a result that are options of `eval`.
_OPTIONS = ("protocol", "limit", "seed", "bootstrap", "dtype", "deterministic", "threads", "token_logprobs")


def score_missing(run: Recorded, directory: Path, inputs: Inputs, until: int | None, say: Say) -> None:
    """Scores what the run was scored on after its training, for the checkpoints that the reproduction has kept: other
    cards, or the same on other data or with other options."""
    scored = {(result.step, result.name): result.content for result in Run(directory).results}
    missing = [
        result
        for result in run.results
        if result.step <= (until or 0)
        and (
            (result.step, result.name) not in scored
            or changed_question(result.content, scored[result.step, result.name])
        )
    ]
    _score_steps(missing, directory, None, inputs, say)


def score_recorded(run: Recorded, out: Path, inputs: Inputs, say: Say) -> list[ResultFile]:
    """Scores the run's own checkpoints again, into `out`; returns what came of it."""
    on_cards = [result for result in run.results if result.content["source"] != "corpus"]
    _score_steps(on_cards, run.directory, out, inputs, say)
    return Run(out).results


def _score_steps(results: list[ResultFile], directory: Path, out: Path | None, inputs: Inputs, say: Say) -> None:
    """Scores those checkpoints of a cell that are there, into its own evals/ or into those of `out`."""
    on_cpu = inputs.placement.gpus == ()
    for step in sorted({result.step for result in results}):
        path = layout.checkpoint_directory(directory, step)
        if not (path / layout.WEIGHTS).is_file():
            continue
        try:
            target = resolve.resolve_checkpoint(path, Path(inputs.config.output_dir))
        except ZeroscaleError as error:
            say(f"  missing    {error}")
            continue
        if out is not None:
            target = dataclasses.replace(target, out=out / layout.EVALS / path.name)
        accelerator = "cpu" if on_cpu else inputs.config.trainer.accelerator
        options = {"accelerator": accelerator, "output_dir": inputs.config.output_dir}
        of_step = [result for result in results if result.step == step]
        score(of_step, target, inputs.data_dir, inputs.threads, options, say)


def score(
    results: Iterable[ResultFile],
    target: resolve.CheckpointRef,
    data_dir: str | None,
    threads: int | None,
    overrides: dict[str, Any],
    say: Say,
) -> None:
    """Score a checkpoint as these results were, those with the same options together; print what cannot be scored.

    Args:
        threads: CPU threads of all devices together; None: those of this process.
    """
    from zeroscale.model.threads import use_threads

    if threads:
        use_threads(threads)
    groups: dict[tuple[Any, ...], list[str]] = {}
    for result in results:
        groups.setdefault((result.source, *_options(result).items()), []).append(result.card)
    for (source, *scored_with), cards in groups.items():
        options: dict[str, Any] = dict(scored_with)
        config = _eval_config(target, cards, source, {**options, **overrides}, data_dir)
        try:
            scoring.score(target, config, on_fault=lambda card, error: say(f"  missing    {card}: {error}"))
        except ZeroscaleError as error:
            say(f"  missing    {target.label}: {error}")


def _options(result: ResultFile) -> dict[str, Any]:
    """The settings of `eval` that a result was scored with, where they can change its bits: also the fixed threads of
    deterministic answers, and how many devices shared the others."""
    options = {name: result.content.get(name) for name in _OPTIONS}
    made = result.made or {}
    if not options["deterministic"]:
        options["devices"] = made.get("devices")
    elif options["threads"] is None and not (made.get("hardware") or {}).get("gpu"):
        options["threads"] = made.get("threads")  # scored before it was fixed
    return {name: value for name, value in options.items() if value is not None}


def _eval_config(
    target: resolve.CheckpointRef, cards: list[str], source: str, options: dict[str, Any], data_dir: str | None
) -> EvalConfig:
    """The settings of `eval` that ask for these cards; its own for what a result's key does not say."""
    with open(paths.conf() / "eval.yaml", encoding="utf-8") as file:
        defaults = yaml.safe_load(file)
    options |= {
        "checkpoint": str(target.path),
        "cards": cards,
        "cards_from": source,
        "data_dir": data_dir if source == "files" else None,
        "allow_other_data": True,
    }
    if source == "corpus":
        # Held-out text is scored in any case.
        options |= {"cards": [], "cards_from": None, "protocol": "paper"}
    return build_config(EvalConfig, {**defaults, **options})
