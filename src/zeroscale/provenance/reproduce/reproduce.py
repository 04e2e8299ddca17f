"""Train a recorded run again, in a directory of its own, and compare: the command `zeroscale reproduce`."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_json
from zeroscale.launch import launcher
from zeroscale.provenance import compare_environment, compare_runs, recorded_run
from zeroscale.provenance.recorded_run import Recorded
from zeroscale.provenance.reproduce import external, messages, rescore
from zeroscale.provenance.reproduce import inputs as find
from zeroscale.provenance.reproduce.request import Inputs, ReproduceRequest, Reproduction
from zeroscale.runs import checkpoint, layout, results, status
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study

Say = Callable[[str], None]


def reproduce(directory: Path, request: ReproduceRequest, say: Say) -> Reproduction:
    """Train and score a run again and compare with what was recorded.

    Raises:
        ZeroscaleError: the directory is no run that this version can read, or `out` is not free.
    """
    started = time.monotonic()
    if layout.is_external(directory):
        return _reproduce_external(directory, request, say)
    run = recorded_run.read(directory)
    say(f"{run.directory.name}, as recorded in {run.directory}")
    messages.print_files(run.checks, say)
    if not run.manifest:
        messages.print_no_manifest(say)
    until = _last_step(run, request)
    inputs = find.find_inputs(run, request, until, say)
    if inputs.corpus is None:
        return _compare_scores_only(run, request, inputs, say)
    reproduced = layout.run_directory(inputs.config)
    compared = compare_environment.compare(run.manifest, inputs.facts)
    messages.print_differences(compared, run.manifest, inputs.missing, say)
    _check_output_directory(run, reproduced, inputs)
    result = Reproduction(run.directory, directory=reproduced, until=until, notes=list(inputs.missing))
    if _train(run, reproduced, inputs, result, say):
        rescore.score_missing(run, reproduced, inputs, result.until, say)
        _compare(run, reproduced, request, result)
    _record(result, compared, request, time.monotonic() - started)
    messages.print_verdict(result, run.config.steps, request, say, inputs.missing, compared)
    return result


def _last_step(run: Recorded, request: ReproduceRequest) -> int:
    """The last step to be trained and compared: the one that was requested, at most the last recorded.

    Raises:
        ZeroscaleError: nothing was recorded up to there.
    """
    if not run.metrics:
        raise ZeroscaleError(f"{run.directory} has recorded no step: there is nothing to compare with")
    until = min(max(run.metrics), request.steps or max(run.metrics))
    if until < min(run.metrics):
        raise ZeroscaleError(f"steps={until}: the run's first recorded step is {min(run.metrics):,}; give that or more")
    return until


def _check_output_directory(run: Recorded, directory: Path, inputs: Inputs) -> None:
    """Check that `out` holds nothing, or an earlier reproduction by this very source.

    Raises:
        ZeroscaleError: it is the run itself, or was made otherwise.
    """
    if directory.resolve() == run.directory.resolve():
        raise ZeroscaleError(
            f"out={layout.outputs_of(directory)} is where the run itself lies; choose another directory"
        )
    if not (directory / layout.MANIFEST).is_file():
        return
    manifest = Run(directory).manifest
    for key in ("source", "packages", "threads"):
        if manifest.get(key) != inputs.facts[key]:
            raise ZeroscaleError(
                f"{directory} was made with another {key} than is here now: remove it, or choose another with out=DIR"
            )


def _train(run: Recorded, directory: Path, inputs: Inputs, result: Reproduction, say: Say) -> bool:
    """Train up to `result.until`; returns whether that was reached. An error becomes a note."""
    until, steps = result.until or 0, inputs.config.steps
    whole = until >= steps
    if whole:
        say(f"  training   all {steps:,} steps, in {directory}")
    else:
        why = ", for the run itself got no further" if until >= max(run.metrics) else ""
        say(f"  training   the first {until:,} of {steps:,} steps{why}, on the schedule of all, in {directory}")
    newest = checkpoint.latest(directory, say) if directory.is_dir() else None
    if newest is not None and checkpoint.step_of(newest) >= until and (not whole or status.read_done(directory)):
        say("             was trained there before, by this source; remove it to have it trained again")
        return True
    outcome = launcher.run(inputs.config, inputs.placement, None if whole else until)
    if outcome.good or (outcome.state == "resumable" and status.read(directory).step >= until and not whole):
        return True
    result.notes.append(f"the reproduction is {outcome.state}: {outcome.reason}")
    # It may be the scoring after the last step that failed.
    return max(Run(directory).metrics, default=0) >= until


def _compare(run: Recorded, directory: Path, request: ReproduceRequest, result: Reproduction) -> None:
    until = result.until or 0
    reproduced = recorded_run.read(directory)
    result.parts["steps"] = compare_runs.steps(run.metrics, reproduced.metrics, request.tolerance, until)
    result.parts["weights"] = compare_runs.weights(run.directory, directory)
    scores = [score for score in run.results if score.step <= until]
    if scores:
        result.parts["scores"] = compare_runs.scores(scores, reproduced.results, request.tolerance)
    # Checkpoints that only one run kept do not count: losses and scores do.
    counted = [part.verdict for name, part in result.parts.items() if name != "weights" or part.compared]
    result.verdict = compare_runs.worst(counted)
    if result.notes:
        result.verdict = compare_runs.worst([result.verdict, "not compared"])


def _compare_scores_only(run: Recorded, request: ReproduceRequest, inputs: Inputs, say: Say) -> Reproduction:
    """Score the checkpoints of a run that cannot be trained here, because its corpus or devices are missing."""
    result = Reproduction(run.directory, notes=list(inputs.missing))
    for note in inputs.missing:
        say(f"  note       {note}")
    say("             so it cannot be trained again; what can still be checked are the scores of its checkpoints")
    compared = compare_environment.compare(*external.environments(run.results))
    messages.print_differences(compared, {}, [], say)
    result.directory = request.out / run.config.study / run.directory.name
    scores = rescore.score_recorded(run, result.directory, inputs, say)
    result.parts["scores"] = compare_runs.scores(run.results, scores, request.tolerance)
    result.verdict = compare_runs.worst(["not compared", result.parts["scores"].verdict])
    _record(result, compared, request, 0.0)
    messages.print_verdict(result, run.config.steps, request, say, inputs.missing, compared)
    return result


def _reproduce_external(directory: Path, request: ReproduceRequest, say: Say) -> Reproduction:
    """Compare the scores of a checkpoint that no run here made."""
    say(f"{directory.name}: scores of a checkpoint, as recorded in {directory}")
    messages.print_files(external.check(directory), say)
    result = Reproduction(directory)
    compared = compare_environment.compare(*external.environments(results.read_directory(directory / layout.EVALS)))
    messages.print_differences(compared, {}, [], say)
    result.directory, recorded, new = external.score_again(directory, request, say)
    result.parts["scores"] = compare_runs.scores(recorded, new, request.tolerance)
    result.verdict = result.parts["scores"].verdict
    _record(result, compared, request, 0.0)
    messages.print_verdict(result, 0, request, say, compared=compared)
    return result


def _record(
    result: Reproduction, compared: compare_environment.Comparison, request: ReproduceRequest, seconds: float
) -> None:
    assert result.directory is not None
    value: dict[str, Any] = {
        "recorded": str(result.run),
        "verdict": result.verdict,
        "until": result.until,
        "tolerance": request.tolerance,
        "notes": result.notes,
        "parts": {name: part.to_json() for name, part in result.parts.items()},
        **asdict(compared),
        "seconds": round(seconds, 1),
    }
    write_json(result.directory / layout.REPRODUCTION, _finite(value))


def _finite(value: object) -> object:
    """JSON has no NaN and no infinity: such a loss stands as text."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def study(directory: Path, request: ReproduceRequest, say: Say) -> list[Reproduction]:
    """Reproduce every run of a study, the smallest models first; an error of one becomes its note."""
    runs = Study(directory).require_runs()
    reproductions = []
    for run in sorted(runs, key=lambda run: (run.manifest.get("params", {}).get("total", 0), run.name)):
        try:
            reproductions.append(reproduce(run.directory, request, say))
        except ZeroscaleError as error:
            say(f"{run.name}: {error}")
            reproductions.append(Reproduction(run.directory, notes=[str(error)]))
        say("")
    return reproductions
