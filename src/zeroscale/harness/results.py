"""A result: scores with intervals and everything they depend on, as JSON beside a row per example."""

import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zeroscale.files import disk_errors, read_json, sha256_json, write_bytes, write_json
from zeroscale.harness.intervals import Interval

# Raised whenever the code would give another score for the same card, weights and data: older results are then stale.
HARNESS_VERSION = 2


@dataclass(frozen=True)
class Score:
    """A metric's value with its 95 % interval. None: not finite, or (the interval) fewer than two units."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """Examples scored."""
    units: int
    """What the bootstrap drew from; equals n where each example is its own unit."""
    higher_is_better: bool
    chance: float | None

    @classmethod
    def of(cls, interval: Interval, n: int, higher_is_better: bool, chance: float | None) -> "Score":
        value, low, high = (
            number if number is not None and math.isfinite(number) else None
            for number in (interval.value, interval.low, interval.high)
        )
        return cls(value, low, high, n, interval.units, higher_is_better, chance)


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
    bootstrap: int

    @property
    def hash(self) -> str:
        return sha256_json({"version": HARNESS_VERSION, **asdict(self)})


@dataclass(frozen=True)
class Result:
    """What one card gave for one model."""

    key: Key
    metrics: dict[str, Score]
    n: int
    unit: str
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
    cost: dict[str, float] = field(default_factory=dict)
    origin: list[str] = field(default_factory=list)
    """What was read."""
    extra: dict[str, Any] = field(default_factory=dict)

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

    def to_json(self) -> dict[str, Any]:
        """The file's content: the key's fields at the top, then the rest."""
        content = asdict(self)
        key = content.pop("key")
        return {**key, "key": self.key.hash, "is_sample": self.is_sample, **content}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Result":
        """The inverse of `to_json`."""
        rest = {name: value for name, value in content.items() if name not in ("key", "is_sample")}
        key = Key(**{name: rest.pop(name) for name in Key.__dataclass_fields__})
        scores = {name: Score(**score) for name, score in rest.pop("metrics").items()}
        return cls(key=key, metrics=scores, **rest)


def paths(out: Path, card: str, protocol: str) -> tuple[Path, Path]:
    """The result's file and its records' file."""
    return out / f"{card}.{protocol}.json", out / f"{card}.{protocol}.examples.parquet"


def finished(out: Path, key: Key) -> Result | None:
    """The result that is already there for exactly this key, whole and with its records; else None."""
    summary, records = paths(out, key.card, key.protocol)
    if not summary.is_file() or not records.is_file():
        return None
    try:
        content = read_json(summary)
        return Result.from_json(content) if content.get("key") == key.hash else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None  # not readable as a result of today: stale


def write(out: Path, result: Result, outcomes: Sequence[dict[str, Any]]) -> None:
    """Records first, then the result that vouches for them; a stale result is gone before new records stand there."""
    import pyarrow
    import pyarrow.parquet

    summary, records = paths(out, result.card, result.key.protocol)
    with disk_errors(summary):
        summary.unlink(missing_ok=True)
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(outcomes)), buffer, compression="zstd")
    write_bytes(records, buffer.getvalue())
    write_json(summary, result.to_json())


def read_records(out: Path, card: str, protocol: str) -> list[dict[str, Any]]:
    """The rows of a result's records, as the task's outcomes were."""
    import pyarrow.parquet

    return pyarrow.parquet.read_table(paths(out, card, protocol)[1]).to_pylist()
