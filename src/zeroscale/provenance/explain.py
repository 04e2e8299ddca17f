"""Explain a number of a study: from results.csv to the result, the weights, the run, its data and source."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from zeroscale.core.errors import ZeroscaleError
from zeroscale.provenance import recorded_run
from zeroscale.provenance.lineage import Lineage, add_ledger, add_run, describe_environment
from zeroscale.runs import checkpoint, layout
from zeroscale.runs.resolve import read_origin
from zeroscale.runs.results import ResultFile, read_directory
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study

Json = dict[str, Any]
# The hash of a card for a protocol in this checkout; raises ZeroscaleError for one that is not in it.
CardHash = Callable[[str, str], str]

Number = Literal["value", "low", "high", "n"]
ENDS: tuple[Number, ...] = ("low", "high", "n")
_OF_MANIFEST = {
    "params": ("params", "total"),
    "params_non_embedding": ("params", "non_embedding"),
    "params_matmul": ("params", "matmul"),
    "seed": ("seed",),
}
_FROM_HELD_OUT = {"val/loss": "loss", "val/bits_per_byte": "bits_per_byte"}


def explain(study: Path, cell: str | None, metric: str, step: int | None, card_hash: CardHash) -> Lineage:
    """The lineage of a column of results.csv for a run, or without a run of a parameter of fit.json.

    Raises:
        ZeroscaleError: there is no such run, number or file; says which there are.
    """
    if layout.is_external(study):
        return _explain_external(study, metric, card_hash)
    if cell is None:
        from zeroscale.provenance.explain_law import explain_parameter

        return explain_parameter(study, metric)
    run = find_run(study, cell)
    name, end = _split_column(metric)
    result = _result(run.results, name, step)
    if result is not None:
        inner = _FROM_HELD_OUT.get(name, name.rpartition("/")[2])
        lineage = _score_title(f"{run.name}, step {result.step:,}", metric, result, inner, end)
        add_ledger(lineage, study, run, metric, result.step, result.metrics[inner].get(end))
        _add_score(lineage, result, card_hash)
        _add_weights(lineage, run, result.step, result.content.get("weights_hash"))
        step = result.step
    elif name in _OF_MANIFEST:
        lineage = _explain_manifest(study, run, name)
        step = None
    else:
        lineage, step = _explain_logged(study, run, name, step)
    add_run(lineage, run, step)
    return lineage


def _split_column(metric: str) -> tuple[str, Number]:
    """CARD/METRIC and which of its numbers: lambada/acc/low → lambada/acc, low."""
    name, _, last = metric.rpartition("/")
    end = next((end for end in ENDS if end == last), None) if "/" in name else None
    return (metric, "value") if end is None else (name, end)


def _explain_external(directory: Path, metric: str, card_hash: CardHash) -> Lineage:
    """The lineage of a score of a checkpoint that no run here made: outputs/eval/NAME."""
    results = read_directory(directory / layout.EVALS)
    name, end = _split_column(metric)
    result = _result(results, name, None)
    if result is None:
        known = ", ".join(sorted(f"{scored.card}/{score}" for scored in results for score in scored.metrics))
        raise ZeroscaleError(f"metric={metric}: {directory} has no such score. It has: {known or 'none'}")
    lineage = _score_title(directory.name, metric, result, name.rpartition("/")[2], end)
    _add_score(lineage, result, card_hash)
    origin, scored = read_origin(directory), result.content.get("weights_hash")
    commit = f", commit {origin['commit']}" if origin.get("commit") else ""
    words = f"{origin['checkpoint']}{commit}, sha256 {_start(scored)}"
    lineage.add("weights", words, origin.get("weights_hash") == scored)
    return lineage


def find_run(study: Path, name: str) -> Run:
    """A run by its name, or by a part that no other has."""
    runs = Study(study).runs
    exact = [run for run in runs if run.name == name]
    matches = exact or [run for run in runs if name in run.name]
    if len(matches) == 1:
        return matches[0]
    listed = ", ".join(run.name for run in (matches or runs)) or "none"
    which = "several runs are called so" if matches else "no run is called so"
    raise ZeroscaleError(f"cell={name}: {which} in {study}: {listed}")


def _result(results: list[ResultFile], name: str, step: int | None) -> ResultFile | None:
    """The result that a column was made from, of this step or the last; None where no result has it."""
    card, _, metric = name.rpartition("/")
    card, metric = ("held_out", _FROM_HELD_OUT[name]) if name in _FROM_HELD_OUT else (card, metric)
    names = (card, f"{card}.paper", f"{card}.corpus")
    matches = [
        result
        for result in results
        if result.name in names and metric in result.metrics and step in (None, result.step)
    ]
    return matches[-1] if matches else None


def _score_title(where: str, metric: str, result: ResultFile, inner: str, end: Number) -> Lineage:
    score = result.metrics[inner]
    title = f"{metric} = {score.get(end)!r}"
    if end == "value":
        low, high, n = score.get("low"), score.get("high"), score.get("n")
        between = "no interval" if low is None or high is None else f"95 % interval {low:.6g} to {high:.6g}"
        title += f", {between}, n = {'unknown' if n is None else f'{n:,}'}"
    mark = result.content.get("mark")
    return Lineage(f"{title}: {where}" + (f"  ({mark})" if mark else ""))


def _add_score(lineage: Lineage, result: ResultFile, card_hash: CardHash) -> None:
    content = result.content
    checks = recorded_run.Check()
    recorded_run.check_result(result.path, checks)
    n = content.get("n")
    count = "" if n is None else f" of {n:,}"
    lineage.add_check("result", f"{result.path}, with a row for each{count} examples beside it", checks)
    key, version = _start(content.get("key")), content.get("version")
    lineage.add("question", f"key {key}, harness version {version}, {_describe_options(content)}")
    if result.source != "corpus":
        expected = content.get("card_hash")
        try:
            same = "the same here" if card_hash(result.card, result.protocol) == expected else "ANOTHER here"
        except ZeroscaleError:
            same = "not here"
        lineage.add("card", f"{result.card}, protocol {result.protocol}, hash {_start(expected)} ({same})")
    origin = ", ".join(content.get("origin") or []) or result.source
    data = f"{origin}, content {_start(content.get('data_hash'))}. {content.get('data') or ''}"
    lineage.add("data", data.rstrip(". "))
    if made := result.made:
        command = made.get("command") or "no command"
        lineage.add("scored by", f"{command}, {made.get('made', 'no date')}, {describe_environment(made)}")
    else:
        lineage.add("scored by", "not recorded")


def _start(digest: str | None) -> str:
    """The beginning of a hash."""
    return (digest or "unknown")[:12]


def _describe_options(content: Json) -> str:
    options = [f"{name} {content[name]}" for name in ("seed", "bootstrap", "limit", "dtype") if content.get(name)]
    return ", ".join(options) or "default options"


def _add_weights(lineage: Lineage, run: Run, step: int, expected: str | None) -> None:
    path = run.checkpoint(step)
    if not layout.is_checkpoint(path):
        lineage.add("weights", f"sha256 {(expected or 'unknown')[:12]}; {path} has not been kept")
        return
    checks = recorded_run.Check()
    recorded_run.check_checkpoint(path, checks)
    stored = checkpoint.meta(path)["sha256"].get(layout.WEIGHTS)
    if expected is not None and stored != expected:
        checks.faults.append(f"they are not those that were scored (sha256 {expected[:12]})")
    lineage.add_check("weights", f"{path}, sha256 {str(stored)[:12]}", checks)


def _explain_manifest(study: Path, run: Run, name: str) -> Lineage:
    value: Any = run.manifest
    for key in _OF_MANIFEST[name]:
        value = (value or {}).get(key)
    lineage = Lineage(f"{name} = {value}: {run.name}")
    add_ledger(lineage, study, run, name, None, value)
    lineage.add("counted", "from the settings, by zeroscale.model.flops.params; manifest.json holds it")
    return lineage


def _explain_logged(study: Path, run: Run, name: str, step: int | None) -> tuple[Lineage, int]:
    """A number of metrics.jsonl, at a step or the last that has it."""
    rows = run.metrics
    steps = [logged_step for logged_step, row in sorted(rows.items()) if name in row and step in (None, logged_step)]
    if not steps:
        known = sorted({key for row in rows.values() for key in row} | set(_OF_MANIFEST) | _score_columns(run))
        similar = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f" (did you mean {similar[0]}?)" if similar and similar[0] != name else ""
        logged_step = "" if step is None else f" at step {step:,}"
        raise ZeroscaleError(
            f"metric={name}: {run.name} has no such number{logged_step}{hint}. It has: {', '.join(known)}"
        )
    # What results.csv has a row of comes first: those steps have a checkpoint.
    candidates = [logged_step for logged_step in steps if logged_step in run.recorded_steps] or steps
    lineage = Lineage(f"{name} = {rows[candidates[-1]][name]!r}: {run.name}, step {candidates[-1]:,}")
    if candidates[-1] in run.recorded_steps:
        add_ledger(lineage, study, run, name, candidates[-1], rows[candidates[-1]][name])
    lineage.add("logged", f"{run.metrics_path}, the line of step {candidates[-1]:,}, while it trained")
    return lineage, candidates[-1]


def _score_columns(run: Run) -> set[str]:
    return {
        f"{result.name.removesuffix('.paper').removesuffix('.corpus')}/{metric}"
        for result in run.results
        for metric in result.metrics
    }
