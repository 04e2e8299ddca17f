"""Compare two records of a run, step by step and score by score: bit-identical, within a tolerance, or different."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from zeroscale.core.files import sha256_file
from zeroscale.runs import checkpoint, layout
from zeroscale.runs.results import ENDS, MetricScore, ResultFile, read_rows

Json = dict[str, Any]
Verdict = Literal["bit-identical", "within tolerance", "different", "not compared"]
# From best to worst; the verdict of several parts is the worst of theirs.
ORDER: tuple[Verdict, ...] = ("bit-identical", "within tolerance", "not compared", "different")

# Time and hardware: no part of a result.
TIMES = ("seconds", "tokens_per_s", "mfu", "peak_memory_bytes")
# Varies too much for a tolerance: compared bit by bit only.
BITS_ONLY = ("grad_norm", "spike")
# The fields of a result that say what was scored; where they differ, two scores cannot be compared.
QUESTION = {
    "card_hash": "another card",
    "data_hash": "other data",
    "tokenizer": "another tokenizer",
    "limit": "another limit",
    "seed": "another seed",
    "interval_seed": "another seed of the intervals",
    "bootstrap": "another number of resamples",
    "dtype": "another dtype",
    "deterministic": "another way of batching",
    "threads": "another fixed number of threads",
}


VALUES: tuple[Literal["value", "low", "high", "n"], ...] = ("value", *ENDS)


@dataclass(frozen=True)
class Deviation:
    """One number that differs: `where` is a step or a score's name. `here` is the reproduced value."""

    where: str
    name: str
    recorded: float | None
    here: float | None

    @property
    def relative(self) -> float:
        """|here - recorded| / |recorded|; infinite where one of them is no number."""
        if self.recorded is None or self.here is None:
            return math.inf
        gap = abs(self.here - self.recorded)
        return gap / abs(self.recorded) if self.recorded and math.isfinite(gap) else math.inf

    @property
    def words(self) -> str:
        far = f" ({self.relative:.2g} of it)" if math.isfinite(self.relative) else ""
        return f"{self.where}: {self.name} {_shown(self.recorded)} there, {_shown(self.here)} here{far}"


@dataclass
class Agreement:
    """One part of the comparison."""

    verdict: Verdict
    compared: int = 0
    first: Deviation | None = None
    largest: Deviation | None = None
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> Json:
        return asdict(self)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several verdicts."""
    return max(verdicts, key=ORDER.index, default="not compared")


def steps(
    recorded: Mapping[int, Json], reproduced: Mapping[int, Json], tolerance: float, until: int | None
) -> Agreement:
    """Compare every number of metrics.jsonl except times, at every step up to `until` that the recorded run logged.

    Within tolerance: each within `tolerance` of its recorded value, gradient norms left out.
    """
    compared_steps = [step for step in sorted(recorded) if until is None or step <= until]
    agreement = Agreement("bit-identical", compared=len(compared_steps))
    if not compared_steps:
        return Agreement("not compared", notes=["no step was recorded up to there"])
    outside: Deviation | None = None
    for step in compared_steps:
        for deviation in _of_step(step, recorded[step], reproduced.get(step)):
            agreement.first = agreement.first or deviation
            if agreement.largest is None or deviation.relative > agreement.largest.relative:
                agreement.largest = deviation
            if deviation.name not in BITS_ONLY and deviation.relative > tolerance:
                outside = outside or deviation
    if agreement.first is not None:
        agreement.verdict = "within tolerance" if outside is None else "different"
    if outside is not None and outside != agreement.first:
        agreement.notes.append(f"out of tolerance from {outside.words}")
    return agreement


def _of_step(step: int, recorded: Json, reproduced: Json | None) -> list[Deviation]:
    names = [name for name in recorded if name.split("/")[0] not in TIMES and name != "step"]
    where = f"step {step:,}"
    if reproduced is None:
        return [Deviation(where, "a line of metrics.jsonl", 1, None)]
    pairs = [(name, recorded[name], reproduced.get(name)) for name in names]
    return [Deviation(where, name, old, new) for name, old, new in pairs if not _same(old, new)]


def _same(first: object, second: object) -> bool:
    # JSON keeps every bit of a double. NaN counts as equal to itself here.
    return first == second or (first != first and second != second)


def weights(recorded: Path, reproduced: Path) -> Agreement:
    """Compare the checkpoints that both runs keep, by the sha256 of each file in their meta.json.

    Changed weights alone are never "different": their effect shows in losses and scores.
    """
    agreement = Agreement("bit-identical")
    checkpoints = {checkpoint.step_of(path): path for path in checkpoint.all_of(reproduced)}
    for path in checkpoint.all_of(recorded):
        step = checkpoint.step_of(path)
        if step not in checkpoints or not layout.is_checkpoint(path):
            continue
        agreement.compared += 1
        old, new = (checkpoint.meta(directory)["sha256"] for directory in (path, checkpoints[step]))
        for name in sorted(old.keys() & new.keys()):
            if old[name] != new[name]:
                agreement.verdict = "within tolerance"
                agreement.notes.append(f"step {step:,}: {name} has another sha256")
    if not agreement.compared:
        return Agreement("not compared", notes=["no step has a checkpoint in both"])
    return agreement


def scores(recorded: Iterable[ResultFile], reproduced: Iterable[ResultFile], tolerance: float) -> Agreement:
    """Compare every metric, interval and example of the recorded results.

    Within tolerance: each value within `tolerance` of the recorded one, or inside its 95 % interval.
    """
    by_key = {(result.step, result.name): result for result in reproduced}
    agreement = Agreement("bit-identical")
    verdicts: list[Verdict] = []
    for result in recorded:
        where = f"{result.name}, step {result.step:,}"
        counterpart = by_key.get((result.step, result.name))
        if counterpart is None:
            verdicts.append("not compared")
            agreement.notes.append(f"{where}: not scored here")
        elif reason := changed_question(result.content, counterpart.content):
            verdicts.append("not compared")
            agreement.notes.append(f"{where}: {reason}")
        else:
            agreement.compared += len(result.metrics)
            verdicts.append(_compare(result, counterpart, where, tolerance, agreement))
    agreement.verdict = worst(verdicts)
    return agreement


def changed_question(recorded: Json, reproduced: Json) -> str:
    """Why two results did not score the same thing; empty where they did."""
    reasons = [
        f"{words} ({_short(recorded[key])} there, {_short(reproduced.get(key))} here)"
        for key, words in QUESTION.items()
        if key in recorded and recorded[key] != reproduced.get(key)
    ]
    if recorded.get("version") != reproduced.get("version"):
        reasons.append(f"another harness (version {recorded.get('version')} there, {reproduced.get('version')} here)")
    return "; ".join(reasons)


def _compare(
    result: ResultFile, counterpart: ResultFile, where: str, tolerance: float, agreement: Agreement
) -> Verdict:
    verdict: Verdict = "bit-identical"
    for name, score in result.metrics.items():
        new = counterpart.metrics.get(name, {})
        for end in VALUES:
            if _same(score.get(end), new.get(end)):
                continue
            label = name if end == "value" else f"{name}/{end}"
            deviation = Deviation(where, label, score.get(end), new.get(end))
            agreement.first = agreement.first or deviation
            if agreement.largest is None or deviation.relative > agreement.largest.relative:
                agreement.largest = deviation
            tolerable = end in ("low", "high") or _near(score, new.get("value"), tolerance)
            verdict = worst([verdict, "within tolerance" if tolerable and end != "n" else "different"])
    if verdict == "bit-identical" and (changed := _changed_examples(result, counterpart)):
        agreement.notes.append(f"{where}: {changed}")
        verdict = "within tolerance"
    return verdict


def _near(score: MetricScore, new: float | None, tolerance: float) -> bool:
    value, low, high = score.get("value"), score.get("low"), score.get("high")
    if value is None or new is None:
        return False
    inside = low is not None and high is not None and low <= new <= high
    return inside or abs(new - value) <= tolerance * abs(value)


def _changed_examples(result: ResultFile, counterpart: ResultFile) -> str:
    """How many of the examples' rows differ, in words; empty where none does, or where the rows are gone."""
    if not (result.examples.is_file() and counterpart.examples.is_file()):
        return ""
    if sha256_file(result.examples) == sha256_file(counterpart.examples):
        return ""
    old, new = (read_rows(each.examples) for each in (result, counterpart))
    # By their text: a NaN is then equal to itself.
    changed = sum(repr(a) != repr(b) for a, b in zip(old, new, strict=False)) + abs(len(old) - len(new))
    return f"the scores are the same, but {changed:,} of {len(old):,} examples are not" if changed else ""


def _short(value: object) -> str:
    return value[:12] if isinstance(value, str) else str(value)


def _shown(value: float | None) -> str:
    return "nothing" if value is None else repr(value)
