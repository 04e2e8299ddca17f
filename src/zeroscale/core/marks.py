"""Marks: why a score is none of the benchmark's. The values, the words that files hold for them, and the way back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict


class Mark(StrEnum):
    """What was scored in place of the benchmark; the value is what tables and pages print."""

    SAMPLE = "SAMPLE"
    """The hand-written examples that come with a card."""
    HELD_OUT = "HELD-OUT TEXT"
    """Text of the training corpus; there is no benchmark to be compared with."""
    PART = "PART"
    """Fewer rows than the benchmark has."""
    OTHER_DATA = "OTHER DATA"
    """Rows that are not what the card pins."""
    SUBSET = "SUBSET"
    """Examples drawn by a suite."""
    LIMITED = "LIMITED"
    """The first examples only, as `limit=` asked."""
    UNPINNED = "UNPINNED"
    """Rows that the card pins by nothing: they may be the benchmark, or not."""


PARTS = (Mark.PART, Mark.OTHER_DATA, Mark.SUBSET, Mark.LIMITED)
"""Of scores on less than the benchmark, or on something else."""
# How a result's field `data` begins where the rows are known not to be the benchmark.
_DATA_PREFIXES = {Mark.PART: "part", Mark.OTHER_DATA: "other data"}


NO_PIN = "the card pins no content"
"""How a result's field `data` begins where nothing says what the rows should be."""
OWN_BENCHMARK = ("memorisation",)
"""Task types whose rows are drawn from the model's training text: they are what they are, without a pin."""


class SubsetJson(TypedDict):
    """How a suite drew its examples, as a result's field `subset` holds it."""

    suite: str
    examples: int
    seed: int


@dataclass(frozen=True)
class Reason:
    """A mark and its words, as a result's field `mark` holds them."""

    mark: Mark
    text: str


def reasons(
    source: str, data: str, subset: SubsetJson | None, limit: int | None, family: str = ""
) -> tuple[Reason, ...]:
    """All marks of a result, from the fields of the same names; none where nothing is known against it.

    Args:
        source: files, hub, sample, or corpus.
        data: what the rows are to the benchmark, as `data_words` begins it.
    """
    found = [Reason(Mark.SAMPLE, "SAMPLE, no benchmark")] if source == "sample" else []
    if source == "corpus":
        found.append(Reason(Mark.HELD_OUT, "held-out text"))
    if (mark := data_mark(data)) is not None:
        found.append(Reason(mark, mark.value + data.removeprefix(_DATA_PREFIXES[mark])))
    if source != "sample" and data.startswith(NO_PIN) and family not in OWN_BENCHMARK:
        found.append(Reason(Mark.UNPINNED, "UNPINNED, " + NO_PIN))
    if subset:
        found.append(Reason(Mark.SUBSET, f"SUBSET {subset['suite']}, {subset['examples']:,} drawn"))
    if limit is not None:
        found.append(Reason(Mark.LIMITED, f"LIMITED to the first {limit:,}"))
    return tuple(found)


def reasons_of(result: Mapping[str, object]) -> tuple[Reason, ...]:
    """`reasons` of a result's file, read as JSON; fields that it lacks or that are of another type say nothing."""
    source, data, subset, limit = (result.get(name) for name in ("source", "data", "subset", "limit"))
    drawn: SubsetJson | None = None
    if isinstance(subset, dict) and subset:
        drawn = {"suite": str(subset["suite"]), "examples": int(subset["examples"]), "seed": int(subset["seed"])}
    return reasons(
        "sample" if result.get("is_sample") else str(source or ""),
        data if isinstance(data, str) else "",
        drawn,
        limit if isinstance(limit, int) else None,
        str(result.get("family") or ""),
    )


def text(found: Sequence[Reason]) -> str:
    """The content of a result's field `mark`; empty where there is no mark."""
    return "; ".join(reason.text for reason in found)


def data_words(mark: Mark, detail: str) -> str:
    """The content of a result's field `data` for rows that are a part of the benchmark, or others."""
    return f"{_DATA_PREFIXES[mark]}: {detail}"


def data_mark(data: str) -> Mark | None:
    """The inverse of `data_words`: the mark of a result's field `data`."""
    return next((mark for mark, prefix in _DATA_PREFIXES.items() if data.startswith(f"{prefix}:")), None)
