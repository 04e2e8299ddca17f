"""The chain behind a number of a study: from results.csv to the result, the weights, the run, its data and source."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json
from zeroscale.provenance import recorded_run
from zeroscale.provenance.lineage import Lineage, ledger_link, run_links, surroundings
from zeroscale.runs import layout
from zeroscale.runs.results import ResultFile, read_directory
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study

Json = dict[str, Any]
# Gives a card's hash for a protocol as it is here; raises ZeroscaleError for one that is not.
CardHash = Callable[[str, str], str]

ENDS = ("low", "high", "n")
_OF_MANIFEST = {
    "params": ("params", "total"),
    "params_non_embedding": ("params", "non_embedding"),
    "params_matmul": ("params", "matmul"),
    "seed": ("seed",),
}
_FROM_HELD_OUT = {"val/loss": "loss", "val/bits_per_byte": "bits_per_byte"}


def explain(study: Path, cell: str | None, metric: str, step: int | None, card_hash: CardHash) -> Lineage:
    """The chain behind a column of results.csv for a run, or without one behind a parameter of fit.json.

    Raises:
        ZeroscaleError: there is no such run, number or file; says which there are.
    """
    if layout.is_external(study):
        return _foreign(study, metric, card_hash)
    if cell is None:
        from zeroscale.provenance.explain_law import explain_parameter

        return explain_parameter(study, metric)
    run = find_cell(study, cell)
    name, end = _split(metric)
    result = _result(run.results, name, step)
    if result is not None:
        inner = _FROM_HELD_OUT.get(name, name.rpartition("/")[2])
        told = _score_title(f"{run.name}, step {result.step:,}", metric, result, inner, end)
        ledger_link(told, study, run, metric, result.step, result.content["metrics"][inner][end])
        _score_links(told, result, card_hash)
        _weights_link(told, run, result.step, result.content["weights_hash"])
        step = result.step
    elif name in _OF_MANIFEST:
        told = _manifest_number(study, run, name)
        step = None
    else:
        told, step = _logged(study, run, name, step)
    run_links(told, run, step)
    return told


def _split(metric: str) -> tuple[str, str]:
    """CARD/METRIC and which of its numbers: lambada/acc/low → lambada/acc, low."""
    name, _, last = metric.rpartition("/")
    return (name, last) if "/" in name and last in ENDS else (metric, "value")


def _foreign(directory: Path, metric: str, card_hash: CardHash) -> Lineage:
    """The chain behind a score of a checkpoint that is no run: outputs/eval/NAME."""
    results = read_directory(directory / layout.EVALS)
    name, end = _split(metric)
    result = _result(results, name, None)
    if result is None:
        there = ", ".join(
            sorted(f"{one.content['card']}/{score}" for one in results for score in one.content["metrics"])
        )
        raise ZeroscaleError(f"metric={metric}: {directory} has no such score. It has: {there or 'none'}")
    told = _score_title(directory.name, metric, result, name.rpartition("/")[2], end)
    _score_links(told, result, card_hash)
    origin = read_json(directory / layout.ORIGIN)
    commit = f", commit {origin['commit']}" if origin.get("commit") else ""
    same = origin.get("weights_hash") == result.content["weights_hash"]
    told.add("weights", f"{origin.get('checkpoint')}{commit}, sha256 {result.content['weights_hash'][:12]}", same)
    return told


def find_cell(study: Path, name: str) -> Run:
    """A run by its name, or by a part that no other has."""
    known = Study(study).runs
    exact = [cell for cell in known if cell.name == name]
    found = exact or [cell for cell in known if name in cell.name]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(cell.name for cell in (found or known)) or "none"
    which = "several runs are called so" if found else "no run is called so"
    raise ZeroscaleError(f"cell={name}: {which} in {study}: {listed}")


def _result(results: list[ResultFile], name: str, step: int | None) -> ResultFile | None:
    """The result that a column was made from, of this step or the last; None where no result has it."""
    card, _, metric = name.rpartition("/")
    card, metric = ("held_out", _FROM_HELD_OUT[name]) if name in _FROM_HELD_OUT else (card, metric)
    called = (card, f"{card}.paper", f"{card}.corpus")
    found = [
        one for one in results if one.name in called and metric in one.content["metrics"] and step in (None, one.step)
    ]
    return found[-1] if found else None


def _score_title(where: str, metric: str, result: ResultFile, inner: str, end: str) -> Lineage:
    score = result.content["metrics"][inner]
    title = f"{metric} = {score[end]!r}"
    if end == "value":
        low, high = score["low"], score["high"]
        between = "no interval" if low is None or high is None else f"95 % interval {low:.6g} to {high:.6g}"
        title += f", {between}, n = {score['n']:,}"
    mark = result.content.get("mark")
    return Lineage(f"{title}: {where}" + (f"  ({mark})" if mark else ""))


def _score_links(told: Lineage, result: ResultFile, card_hash: CardHash) -> None:
    content = result.content
    checks = recorded_run.Check()
    recorded_run.check_result(result.path, checks)
    told.add_check("result", f"{result.path}, with a row for each of {content['n']:,} examples beside it", checks)
    told.add("question", f"key {content['key'][:12]}, harness version {content.get('version')}, {_asked(content)}")
    if content["source"] != "corpus":
        card, protocol = content["card"], content["protocol"]
        try:
            same = "the same here" if card_hash(card, protocol) == content["card_hash"] else "ANOTHER here"
        except ZeroscaleError:
            same = "not here"
        told.add("card", f"{card}, protocol {protocol}, hash {content['card_hash'][:12]} ({same})")
    origin = ", ".join(content.get("origin") or []) or content["source"]
    told.add("data", f"{origin}, content {content['data_hash'][:12]}. {content.get('data', '')}".rstrip(". "))
    if made := content.get("made"):
        told.add("scored by", f"{made['command'] or 'no command'}, {made['made']}, {surroundings(made)}")
    else:
        told.add("scored by", "not recorded")


def _asked(content: Json) -> str:
    options = [f"{name} {content[name]}" for name in ("seed", "bootstrap", "limit", "dtype") if content.get(name)]
    return ", ".join(options) or "default options"


def _weights_link(told: Lineage, run: Run, step: int, expected: str | None) -> None:
    path = run.checkpoint(step)
    if not layout.is_checkpoint(path):
        told.add("weights", f"sha256 {(expected or 'unknown')[:12]}; {path} has not been kept")
        return
    meta, checks = read_json(path / layout.META), recorded_run.Check()
    recorded_run.check_checkpoint(path, checks)
    stored = meta["sha256"].get(layout.WEIGHTS)
    if expected is not None and stored != expected:
        checks.faults.append(f"they are not those that were scored (sha256 {expected[:12]})")
    told.add_check("weights", f"{path}, sha256 {str(stored)[:12]}", checks)


def _manifest_number(study: Path, run: Run, name: str) -> Lineage:
    value: Any = run.manifest
    for key in _OF_MANIFEST[name]:
        value = (value or {}).get(key)
    told = Lineage(f"{name} = {value}: {run.name}")
    ledger_link(told, study, run, name, None, value)
    told.add("counted", "from the settings, by zeroscale.model.flops.params; manifest.json holds it")
    return told


def _logged(study: Path, run: Run, name: str, step: int | None) -> tuple[Lineage, int]:
    """A number of metrics.jsonl, at a step or the last that has it."""
    rows = run.metrics
    has = [at for at, row in sorted(rows.items()) if name in row and step in (None, at)]
    if not has:
        known = sorted({key for row in rows.values() for key in row} | set(_OF_MANIFEST) | _scored(run))
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f" (did you mean {near[0]}?)" if near and near[0] != name else ""
        at = "" if step is None else f" at step {step:,}"
        raise ZeroscaleError(f"metric={name}: {run.name} has no such number{at}{hint}. It has: {', '.join(known)}")
    # What results.csv has a row of comes first: those steps have a checkpoint.
    kept = [at for at in has if at in run.recorded_steps] or has
    told = Lineage(f"{name} = {rows[kept[-1]][name]!r}: {run.name}, step {kept[-1]:,}")
    if kept[-1] in run.recorded_steps:
        ledger_link(told, study, run, name, kept[-1], rows[kept[-1]][name])
    told.add("logged", f"{run.metrics_path}, the line of step {kept[-1]:,}, while it trained")
    return told, kept[-1]


def _scored(run: Run) -> set[str]:
    return {
        f"{one.name.removesuffix('.paper').removesuffix('.corpus')}/{metric}"
        for one in run.results
        for metric in one.content["metrics"]
    }
