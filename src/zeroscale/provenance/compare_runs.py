"""Two records of one run, step by step and score by score: bit-identical, within a stated tolerance, or different."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from zeroscale.core.files import read_json, sha256_file
from zeroscale.runs import checkpoint, layout
from zeroscale.runs.results import ResultFile

Json = dict[str, Any]
Verdict = Literal["bit-identical", "within tolerance", "different", "not compared"]
# From the best to the worst; of several parts the worst stands for all.
ORDER: tuple[Verdict, ...] = ("bit-identical", "within tolerance", "not compared", "different")

# How long it took and on what: no part of a result.
TIMES = ("seconds", "tokens_per_s", "mfu", "peak_memory_bytes")
# Too restless for a tolerance: held to its bits only.
BITS_ONLY = ("grad_norm", "spike")
# What a result's key says was scored; where these differ, two scores are answers to different questions.
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
}


@dataclass(frozen=True)
class Deviation:
    """One number that is another: `where` is a step or a score's name."""

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
    """The one that stands for all."""
    return max(verdicts, key=ORDER.index, default="not compared")


def steps(recorded: Mapping[int, Json], here: Mapping[int, Json], tolerance: float, until: int | None) -> Agreement:
    """Every number of metrics.jsonl but the times, at every step up to `until` that the recorded run logged.

    Within tolerance: each within `tolerance` of its recorded value, gradient norms left out.
    """
    wanted = [step for step in sorted(recorded) if until is None or step <= until]
    found = Agreement("bit-identical", compared=len(wanted))
    if not wanted:
        return Agreement("not compared", notes=["no step was recorded up to there"])
    outside: Deviation | None = None
    for step in wanted:
        for one in _of_step(step, recorded[step], here.get(step)):
            found.first = found.first or one
            if found.largest is None or one.relative > found.largest.relative:
                found.largest = one
            if one.name not in BITS_ONLY and one.relative > tolerance:
                outside = outside or one
    if found.first is not None:
        found.verdict = "within tolerance" if outside is None else "different"
    if outside is not None and outside != found.first:
        found.notes.append(f"out of tolerance from {outside.words}")
    return found


def _of_step(step: int, recorded: Json, here: Json | None) -> list[Deviation]:
    names = [name for name in recorded if name.split("/")[0] not in TIMES and name != "step"]
    where = f"step {step:,}"
    if here is None:
        return [Deviation(where, "a line of metrics.jsonl", 1, None)]
    pairs = [(name, recorded[name], here.get(name)) for name in names]
    return [Deviation(where, name, was, now) for name, was, now in pairs if not _same(was, now)]


def _same(one: Any, other: Any) -> bool:
    # JSON keeps every bit of a double; NaN is no equal of itself, and here it is.
    return one == other or (one != one and other != other)


def weights(recorded: Path, here: Path) -> Agreement:
    """The checkpoints that both runs keep, by the sha256 of each file that their meta.json hold.

    Other weights alone are never "different": what they change shows in losses and scores.
    """
    found = Agreement("bit-identical")
    ours = {checkpoint.step_of(path): path for path in checkpoint.all_of(here)}
    for path in checkpoint.all_of(recorded):
        step = checkpoint.step_of(path)
        if step not in ours or not layout.is_checkpoint(path):
            continue
        found.compared += 1
        there, now = (read_json(one / layout.META)["sha256"] for one in (path, ours[step]))
        for name in sorted(there.keys() & now.keys()):
            if there[name] != now[name]:
                found.verdict = "within tolerance"
                found.notes.append(f"step {step:,}: {name} has another sha256")
    if not found.compared:
        return Agreement("not compared", notes=["no step has a checkpoint in both"])
    return found


def scores(recorded: Iterable[ResultFile], here: Iterable[ResultFile], tolerance: float) -> Agreement:
    """Every metric, interval and example of the recorded results.

    Within tolerance: each value within `tolerance` of the recorded one, or inside its 95 % interval.
    """
    ours = {(one.step, one.name): one for one in here}
    found = Agreement("bit-identical")
    verdicts: list[Verdict] = []
    for one in recorded:
        there = f"{one.name}, step {one.step:,}"
        other = ours.get((one.step, one.name))
        if other is None:
            verdicts.append("not compared")
            found.notes.append(f"{there}: not scored here")
        elif asked := other_question(one.content, other.content):
            verdicts.append("not compared")
            found.notes.append(f"{there}: {asked}")
        else:
            found.compared += len(one.content["metrics"])
            verdicts.append(_compare(one, other, there, tolerance, found))
    found.verdict = worst(verdicts)
    return found


def other_question(recorded: Json, here: Json) -> str:
    """Why the two are no answers to one question; empty where they are."""
    reasons = [
        f"{words} ({_short(recorded[key])} there, {_short(here.get(key))} here)"
        for key, words in QUESTION.items()
        if key in recorded and recorded[key] != here.get(key)
    ]
    if recorded.get("version") != here.get("version"):
        reasons.append(f"another harness (version {recorded.get('version')} there, {here.get('version')} here)")
    return "; ".join(reasons)


def _compare(one: ResultFile, other: ResultFile, where: str, tolerance: float, found: Agreement) -> Verdict:
    verdict: Verdict = "bit-identical"
    for name, score in one.content["metrics"].items():
        now = other.content["metrics"].get(name, {})
        for end in ("value", "low", "high", "n"):
            if _same(score.get(end), now.get(end)):
                continue
            called = name if end == "value" else f"{name}/{end}"
            deviation = Deviation(where, called, score.get(end), now.get(end))
            found.first = found.first or deviation
            if found.largest is None or deviation.relative > found.largest.relative:
                found.largest = deviation
            fine = end in ("low", "high") or _near(score, now.get("value"), tolerance)
            verdict = worst([verdict, "within tolerance" if fine and end != "n" else "different"])
    if verdict == "bit-identical" and (rows := _other_examples(one, other)):
        found.notes.append(f"{where}: {rows}")
        verdict = "within tolerance"
    return verdict


def _near(score: Json, now: float | None, tolerance: float) -> bool:
    value, low, high = (score.get(end) for end in ("value", "low", "high"))
    if value is None or now is None:
        return False
    inside = low is not None and high is not None and low <= now <= high
    return inside or abs(now - value) <= tolerance * abs(value)


def _other_examples(one: ResultFile, other: ResultFile) -> str:
    """How many of the examples' rows are others, in words; empty where none is, or where the rows are gone."""
    if not (one.examples.is_file() and other.examples.is_file()):
        return ""
    if sha256_file(one.examples) == sha256_file(other.examples):
        return ""
    import pyarrow.parquet

    there, now = (pyarrow.parquet.read_table(each.examples).to_pylist() for each in (one, other))
    # By their text: a NaN is then its own equal.
    changed = sum(repr(a) != repr(b) for a, b in zip(there, now, strict=False)) + abs(len(there) - len(now))
    return f"the scores are the same, but {changed:,} of {len(there):,} examples are not" if changed else ""


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else str(value)


def _shown(value: float | None) -> str:
    return "nothing" if value is None else repr(value)
