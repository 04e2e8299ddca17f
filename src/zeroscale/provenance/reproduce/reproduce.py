"""Makes a recorded run again, in a directory of its own, and compares: what `zeroscale reproduce` does."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json, write_json
from zeroscale.launch import launcher
from zeroscale.provenance import compare_environment, compare_runs, recorded_run
from zeroscale.provenance.recorded_run import Recorded
from zeroscale.provenance.reproduce import external, messages, rescore
from zeroscale.provenance.reproduce import inputs as gathering
from zeroscale.provenance.reproduce.request import Inputs, ReproduceRequest, Reproduction
from zeroscale.runs import checkpoint, layout, results, status
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study

Say = Callable[[str], None]


def reproduce(directory: Path, wanted: ReproduceRequest, say: Say) -> Reproduction:
    """Trains and scores a run again and compares.

    Raises:
        ZeroscaleError: the directory is no run that this version can read, or `out` is not free.
    """
    started = time.monotonic()
    if layout.is_external(directory):
        return _foreign(directory, wanted, say)
    run = recorded_run.read(directory)
    say(f"{run.directory.name}, as recorded in {run.directory}")
    messages.tell_files(run.checks, say)
    if not run.manifest:
        messages.tell_no_manifest(say)
    until = _until(run, wanted)
    inputs = gathering.gather(run, wanted, until, say)
    if inputs.tokens is None:
        return _scores_alone(run, wanted, inputs, say)
    cell = layout.run_directory(inputs.settings)
    compared = compare_environment.compare(run.manifest, inputs.facts)
    messages.tell_differences(compared, run.manifest, inputs.lacking, say)
    _check_free(run, cell, inputs)
    found = Reproduction(run.directory, directory=cell, until=until, notes=list(inputs.lacking))
    if _train(run, cell, inputs, found, say):
        rescore.score_missing(run, cell, inputs, found.until, say)
        _compare(run, cell, wanted, found)
    _record(found, compared, wanted, time.monotonic() - started)
    messages.tell_verdict(found, run.settings.steps, wanted, say, inputs.lacking)
    return found


def _until(run: Recorded, wanted: ReproduceRequest) -> int:
    """The last step to be trained and compared: what was asked for, of what was recorded.

    Raises:
        ZeroscaleError: nothing was recorded up to there.
    """
    if not run.metrics:
        raise ZeroscaleError(f"{run.directory} has recorded no step: there is nothing to compare with")
    until = min(max(run.metrics), wanted.steps or max(run.metrics))
    if until < min(run.metrics):
        raise ZeroscaleError(f"steps={until}: the run's first recorded step is {min(run.metrics):,}; give that or more")
    return until


def _check_free(run: Recorded, cell: Path, inputs: Inputs) -> None:
    """What lies in the way in `out` must be an earlier reproduction by this very source, or nothing.

    Raises:
        ZeroscaleError: it is the run itself, or was made otherwise.
    """
    if cell.resolve() == run.directory.resolve():
        raise ZeroscaleError(f"out={layout.outputs_of(cell)} is where the run itself lies; choose another directory")
    if not (cell / layout.MANIFEST).is_file():
        return
    there = read_json(cell / layout.MANIFEST)
    for key in ("source", "packages", "threads"):
        if there.get(key) != inputs.facts[key]:
            raise ZeroscaleError(
                f"{cell} was made with another {key} than is here now: remove it, or choose another with out=DIR"
            )


def _train(run: Recorded, cell: Path, inputs: Inputs, found: Reproduction, say: Say) -> bool:
    """Trains up to `found.until` and tells whether it came so far; what went wrong is noted."""
    until, steps = found.until or 0, inputs.settings.steps
    whole = until >= steps
    if whole:
        say(f"  training   all {steps:,} steps, in {cell}")
    else:
        why = ", for the run itself got no further" if until >= max(run.metrics) else ""
        say(f"  training   the first {until:,} of {steps:,} steps{why}, on the schedule of all, in {cell}")
    there = checkpoint.latest(cell, say) if cell.is_dir() else None
    if there is not None and checkpoint.step_of(there) >= until and (not whole or status.read_done(cell)):
        say("             was trained there before, by this source; remove it to have it trained again")
        return True
    outcome = launcher.run(inputs.settings, inputs.place, None if whole else until)
    if outcome.good or (outcome.state == "resumable" and status.read(cell).step >= until and not whole):
        return True
    found.notes.append(f"the reproduction is {outcome.state}: {outcome.reason}")
    # What failed may have been the scoring after the last step.
    return max(Run(cell).metrics, default=0) >= until


def _compare(run: Recorded, cell: Path, wanted: ReproduceRequest, found: Reproduction) -> None:
    until = found.until or 0
    here = recorded_run.read(cell)
    found.parts["steps"] = compare_runs.steps(run.metrics, here.metrics, wanted.tolerance, until)
    found.parts["weights"] = compare_runs.weights(run.directory, cell)
    wanted_scores = [one for one in run.results if one.step <= until]
    if wanted_scores:
        found.parts["scores"] = compare_runs.scores(wanted_scores, here.results, wanted.tolerance)
    # Checkpoints that were not kept by both are no lack: losses and scores tell.
    counted = [part.verdict for name, part in found.parts.items() if name != "weights" or part.compared]
    found.verdict = compare_runs.worst(counted)
    if found.notes:
        found.verdict = compare_runs.worst([found.verdict, "not compared"])


def _scores_alone(run: Recorded, wanted: ReproduceRequest, inputs: Inputs, say: Say) -> Reproduction:
    """What cannot be trained again here, for want of its corpus or devices, may still have checkpoints to be scored."""
    found = Reproduction(run.directory, notes=list(inputs.lacking))
    for note in inputs.lacking:
        say(f"  note       {note}")
    say("             so it cannot be trained again; what can still be checked are the scores of its checkpoints")
    found.directory = wanted.out / run.settings.study / run.directory.name
    here = rescore.score_recorded(run, found.directory, inputs, say)
    found.parts["scores"] = compare_runs.scores(run.results, here, wanted.tolerance)
    found.verdict = compare_runs.worst(["not compared", found.parts["scores"].verdict])
    _record(found, compare_environment.Comparison([], [], []), wanted, 0.0)
    messages.tell_verdict(found, run.settings.steps, wanted, say, inputs.lacking)
    return found


def _foreign(directory: Path, wanted: ReproduceRequest, say: Say) -> Reproduction:
    """The scores of a checkpoint that is no run."""
    say(f"{directory.name}: scores of a checkpoint, as recorded in {directory}")
    messages.tell_files(external.check(directory), say)
    found = Reproduction(directory)
    compared = compare_environment.compare(*external.surroundings(results.read_directory(directory / layout.EVALS)))
    messages.tell_differences(compared, {}, [], say)
    found.directory, then, now = external.score_again(directory, wanted, say)
    found.parts["scores"] = compare_runs.scores(then, now, wanted.tolerance)
    found.verdict = found.parts["scores"].verdict
    _record(found, compared, wanted, 0.0)
    messages.tell_verdict(found, 0, wanted, say)
    return found


def _record(
    found: Reproduction, compared: compare_environment.Comparison, wanted: ReproduceRequest, seconds: float
) -> None:
    assert found.directory is not None
    value: dict[str, Any] = {
        "recorded": str(found.run),
        "verdict": found.verdict,
        "until": found.until,
        "tolerance": wanted.tolerance,
        "notes": found.notes,
        "parts": {name: part.to_json() for name, part in found.parts.items()},
        **asdict(compared),
        "seconds": round(seconds, 1),
    }
    write_json(found.directory / layout.REPRODUCTION, _finite(value))


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: such a loss stands as text."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def study(directory: Path, wanted: ReproduceRequest, say: Say) -> list[Reproduction]:
    """Every cell of a study that left steps behind, the smallest models first; a fault of one is noted at it."""
    cells = Study(directory).require_runs()
    found = []
    for cell in sorted(cells, key=lambda one: ((one.manifest.get("params") or {}).get("total", 0), one.name)):
        try:
            found.append(reproduce(cell.directory, wanted, say))
        except ZeroscaleError as error:
            say(f"{cell.name}: {error}")
            found.append(Reproduction(cell.directory, notes=[str(error)]))
        say("")
    return found
