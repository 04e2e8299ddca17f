"""A result: scores with intervals and everything they depend on, as JSON beside a record per example.

This is the schema of evals/CARD.PROTOCOL.json (`Result`, `Key`, `Score`: their fields are its keys, in its order), and
all that reads and writes it. How scores are computed from records is `eval.scores`' business.
"""

import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.core import marks
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import disk_errors, sha256_file, sha256_json, write_bytes, write_json
from zeroscale.core.marks import Mark, Reason, SubsetJson
from zeroscale.eval.metrics.bootstrap import Interval
from zeroscale.runs import manifest
from zeroscale.runs.results import read_result, read_rows

if TYPE_CHECKING:
    from zeroscale.eval.tasks.base import Record

# Raised whenever the code would give another score for the same card, weights and data: older results are then stale.
HARNESS_VERSION = 3

# Fields of `Key` that results written before them lack, where they say nothing.
_LATER = ("threads",)

# Where scores of a sample or a part of a benchmark lie while those of more of it stand in their place; and, written by
# earlier versions, the other way round.
_ASIDE, _WHOLE = ".part", ".whole"


@dataclass(frozen=True)
class Score:
    """A metric's value with its 95 % interval. None: not finite, or (the interval) nothing to tell its width by."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """Examples scored."""
    units: int
    """Clusters that the bootstrap drew from; equals n where each example is its own cluster."""
    higher_is_better: bool
    chance: float | None

    @classmethod
    def of(cls, interval: Interval, n: int, higher_is_better: bool, chance: float | None) -> "Score":
        value, low, high = (
            number if number is not None and math.isfinite(number) else None
            for number in (interval.value, interval.low, interval.high)
        )
        return cls(value, low, high, n, interval.clusters, higher_is_better, chance)


@dataclass(frozen=True)
class Key:
    """What a result depends on. A finished result with the same key is not computed again; any other is redone."""

    card: str
    protocol: str
    source: str
    card_hash: str
    data_hash: str
    weights_hash: str
    tokenizer: str
    limit: int | None
    seed: int
    """Of what is drawn while asking: example pairs, sampled text."""
    interval_seed: int
    bootstrap: int
    dtype: str = "fp32"
    """Of the weights and states while scoring."""
    deterministic: bool = False
    """Whether each request was computed alone."""
    threads: int | None = None
    """CPU threads that each request was computed with, where they are fixed: in deterministic mode on a CPU."""
    version: int = HARNESS_VERSION
    """Of the harness that asked."""

    @property
    def hash(self) -> str:
        return _key_hash(self)

    @property
    def answers(self) -> str:
        """Covers what the model's answers depend on: all but the intervals'."""
        return _key_hash(replace(self, interval_seed=0, bootstrap=0))


def _key_hash(key: Key) -> str:
    """Fields that came later count only where they say something, so that older results keep their hash."""
    content = asdict(key)
    return sha256_json({name: value for name, value in content.items() if name not in _LATER or value is not None})


@dataclass(frozen=True)
class Result:
    """What one card gave for one model."""

    key: Key
    metrics: dict[str, Score]
    n: int
    """Examples scored."""
    unit: str
    """What the bootstrap's clusters are, in the plural."""
    family: str
    """The task type (`tasks.TASK_TYPES`) that can measure the records again, or `held_out`."""
    options: dict[str, object] = field(default_factory=dict)
    """The protocol's choices, as the task type's `Options` take them."""
    data: str = ""
    """What the data are to the benchmark (`pins.DataCheck.words`)."""
    is_benchmark: bool = False
    """Whether the data are, by number and content, what the card pins."""
    subset: SubsetJson | None = None
    """How the examples were drawn, where a suite asks for a part of them."""
    seconds: float = 0.0
    truncated: int = 0
    """Examples of which something did not fit the model's context."""
    truncated_tokens: int = 0
    left_out: int = 0
    """Examples that are there but not scored (used up as example pairs)."""
    assumptions: list[str] = field(default_factory=list)
    """Choices that the paper leaves open."""
    notes: list[str] = field(default_factory=list)
    """Where the protocol had to give way to this model."""
    interval_notes: list[str] = field(default_factory=list)
    """Scores whose interval is none of the bootstrap's, and why."""
    cost: dict[str, float] = field(default_factory=dict)
    origin: list[str] = field(default_factory=list)
    """What was read."""
    extra: dict[str, object] = field(default_factory=dict)
    """Counts, signatures and curves that belong to the scores (`Task.extra_outputs`): JSON values."""
    params_non_embedding: int | None = None
    """The model's parameters without embeddings (Kaplan's N)."""
    token_logprobs: bool = False
    """Whether the records hold the log-probability of every token."""
    records_sha256: str = ""
    made: manifest.Environment = field(default_factory=manifest.Environment)
    """What it was scored with: command, source, packages, hardware, threads (`manifest.environment`), devices."""

    @property
    def card(self) -> str:
        return self.key.card

    @property
    def protocol(self) -> str:
        return self.key.protocol

    @property
    def source(self) -> str:
        return self.key.source

    @property
    def is_sample(self) -> bool:
        return self.key.source == "sample"

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The marks: why these are no scores of the benchmark; none where nothing is known against them."""
        return marks.reasons(self.source, self.data, self.subset, self.key.limit, self.family)

    @property
    def mark(self) -> str:
        """`reasons` in words, as the file holds them."""
        return marks.text(self.reasons)

    def to_json(self) -> dict[str, object]:
        """The file's content: the key's fields at the top, then the rest."""
        content = asdict(self)
        key = content.pop("key")
        content = {**key, "key": self.key.hash, "is_sample": self.is_sample, "mark": self.mark, **content}
        return {**content, "sha256": manifest.own_hash(content)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Result":
        """The inverse of `to_json`.

        Raises:
            TypeError, KeyError, AttributeError: the content is not that of a result of this version.
        """
        derived = ("key", "is_sample", "mark", "sha256")
        rest = {name: value for name, value in content.items() if name not in derived}
        key = Key(**{name: rest.pop(name) for name in Key.__dataclass_fields__ if name in rest})
        scores = {name: Score(**score) for name, score in rest.pop("metrics").items()}
        return cls(key=key, metrics=scores, **rest)


def paths(out: Path, card: str, protocol: str) -> tuple[Path, Path]:
    """The result's file and its records' file."""
    return out / f"{card}.{protocol}.json", out / f"{card}.{protocol}.examples.parquet"


def journal(out: Path, card: str, protocol: str) -> Path:
    """The folder in which an evaluation that is under way keeps its answers."""
    return out / f".{card}.{protocol}.journal"


def names(out: Path) -> list[tuple[str, str]]:
    """(card, protocol) of every result in a folder, held-out text first."""
    stems = [path.stem.rpartition(".") for path in sorted(out.glob("[!.]*.json"))]
    return sorted(((card, protocol) for card, dot, protocol in stems if dot), key=lambda name: name[1] != "corpus")


def load(out: Path, card: str, protocol: str) -> Result | None:
    """The result in a folder; None where there is none, or none that this version can read."""
    summary, _ = paths(out, card, protocol)
    if not summary.is_file():
        return None
    try:
        content = read_result(summary).content
        result = Result.from_json(content)
        return result if content.get("key") == result.key.hash else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def answered(out: Path, key: Key, token_logprobs: bool = False) -> tuple[Result, Path] | None:
    """(the result whose records are the answers to this key, whole and unchanged; the folder that it lies in). Its
    intervals may differ in seed."""
    for folder in (out, out / _ASIDE, out / _WHOLE):
        result = load(folder, key.card, key.protocol)
        if result is None or result.key.answers != key.answers or token_logprobs > result.token_logprobs:
            continue
        if _intact(folder, result):
            if folder == out / _WHOLE:
                _move(result, folder, out)
                return result, out
            return result, folder
    return None


def is_aside(out: Path, result: Result) -> bool:
    """Whether scores of more of the benchmark stand in the result's place."""
    before = load(out, result.card, result.protocol)
    return before is not None and before.key.answers != result.key.answers and _is_more(before, result)


def _is_more(before: Result, result: Result) -> bool:
    """Whether `before` are scores of the same model on more of the benchmark: on the whole where the others are on a
    sample or a part, or on more of the same rows."""
    if before.key.weights_hash != result.key.weights_hash or before.key.tokenizer != result.key.tokenizer:
        return False
    parts, parts_now = ([one for one in each.reasons if one.mark is not Mark.UNPINNED] for each in (before, result))
    if not parts or not parts_now:
        return not parts and bool(parts_now)
    if before.is_sample != result.is_sample:
        return result.is_sample
    return before.key.data_hash == result.key.data_hash and before.n > result.n


def _move(result: Result, source: Path, target: Path) -> None:
    """Moves a result and its records to another folder."""
    with disk_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        (old_summary, old_records), (summary, records) = (
            paths(folder, result.card, result.protocol) for folder in (source, target)
        )
        summary.unlink(missing_ok=True)
        os.replace(old_records, records)
        os.replace(old_summary, summary)


def _intact(out: Path, result: Result) -> bool:
    _, records = paths(out, result.card, result.protocol)
    return records.is_file() and sha256_file(records) == result.records_sha256


def write(out: Path | None, result: Result, rows: "Sequence[Record]") -> Result:
    """Writes the records first, then the result with their hash; a stale result is removed before new records replace
    its own. Returns the result with that hash and what it was scored with.

    Scores never go backwards: those of a sample or a part of a benchmark are set aside where scores of the same model
    on the whole, or on more of it, stand in their place. Without `out` nothing is written: the result has no records.
    """
    made: manifest.Environment = {**manifest.scored_with(), **result.made}
    if out is None:
        return replace(result, made=made)
    import pyarrow
    import pyarrow.parquet

    before = load(out, result.card, result.protocol)
    if before is not None and _is_more(before, result) and _intact(out, before):
        out = out / _ASIDE
    summary, records = paths(out, result.card, result.protocol)
    with disk_errors(summary):
        out.mkdir(parents=True, exist_ok=True)
        summary.unlink(missing_ok=True)
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), buffer, compression="zstd")
    write_bytes(records, buffer.getvalue())
    result = replace(result, records_sha256=sha256(buffer.getvalue()).hexdigest(), made=made)
    write_json(summary, result.to_json())
    return result


def rewrite(out: Path, result: Result) -> None:
    """Writes a result whose records stand already."""
    write_json(paths(out, result.card, result.protocol)[0], result.to_json())


def read_records(out: Path, card: str, protocol: str) -> "list[Record]":
    """The rows of a result's records, as `records.rows` made them."""
    return read_rows(paths(out, card, protocol)[1])


def records_of(out: Path, result: Result) -> "list[Record]":
    """`read_records`, once their hash is found to be the one that the result holds.

    Raises:
        ZeroscaleError: they are gone, or are not what was written.
    """
    summary, records = paths(out, result.card, result.protocol)
    if not records.is_file():
        raise ZeroscaleError(f"{records} is not there: {summary.name} has lost its records; score the checkpoint again")
    if not _intact(out, result):
        raise ZeroscaleError(
            f"{records} is not what {summary.name} was made from: its sha256 differs from the one recorded there "
            f"({result.records_sha256[:12]}…). Bring the right file back, or score the checkpoint again"
        )
    return read_records(out, result.card, result.protocol)
