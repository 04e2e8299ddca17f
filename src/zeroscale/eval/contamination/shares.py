"""From n-grams found to shares: of a benchmark, of each of its examples, and which examples are clean."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import TypedDict

import numpy as np

FORMAT = 1
# Shares in % of test 8-grams that also stand in the benchmark's own training split, and in WebText: Radford et al.
# 2019, table 6. Of LAMBADA the paper says "the average overlap is 1.2%" (section 4).
PAPER = {
    "ptb": (2.67, 0.88),
    "wikitext2": (0.66, 1.63),
    "enwik8": (7.50, 6.31),
    "text8": (2.34, 3.94),
    "wikitext103": (9.09, 2.42),
    "lm1b": (13.19, 3.75),
    "lambada": (None, 1.2),
}


def digest(texts: Sequence[str]) -> str:
    """Names a unit by its text: the same wherever it is read from."""
    return sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Units:
    """Of each unit of a benchmark: its digest, its n-grams (repeated ones counted each time), and those found."""

    digests: list[str]
    ngrams: np.ndarray
    found: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """float64 [units]; 0 for a unit too short for an n-gram."""
        return self.found / np.maximum(self.ngrams, 1)


@dataclass(frozen=True)
class Own:
    """What a benchmark shares with its own training split."""

    files: list[str]
    found: int
    share: float


class CardFacts(TypedDict):
    """Which card, and of which data: the fields of `CardShare` that are known before the corpus is searched."""

    card: str
    protocol: str
    title: str
    unit: str
    source: str
    origin: list[str]
    data: str
    is_benchmark: bool
    data_hash: str


@dataclass(frozen=True)
class CardShare:
    """What a corpus and one benchmark share."""

    card: str
    protocol: str
    title: str
    unit: str
    source: str
    origin: list[str]
    data: str
    """What the data are to the benchmark."""
    is_benchmark: bool
    data_hash: str
    units: int
    ngrams: int
    found: int
    share: float
    """found / ngrams: the paper's table 6."""
    mean_share: float
    """Mean over the units of each one's own share: what the paper says of LAMBADA."""
    units_with_any: int
    units_above: int
    above: float
    """Units of which more than this share is found."""
    units_too_short: int
    """Units with fewer words than an n-gram has: they share nothing."""
    own_training: Own | None
    paper: dict[str, float | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def share_of(units: Units, above: float, card: CardFacts, own: Own | None) -> CardShare:
    """The sums over a card's units.

    Args:
        card: which card, and of which data.
    """
    total, found = int(units.ngrams.sum()), int(units.found.sum())
    own_paper, corpus_paper = PAPER.get(card["card"], (None, None))
    return CardShare(
        **card,
        units=len(units.digests),
        ngrams=total,
        found=found,
        share=found / max(total, 1),
        mean_share=float(units.shares.mean()) if len(units.digests) else 0.0,
        units_with_any=int((units.found > 0).sum()),
        units_above=int((units.shares > above).sum()),
        above=above,
        units_too_short=int((units.ngrams == 0).sum()),
        own_training=own,
        paper={"own_training_percent": own_paper, "webtext_percent": corpus_paper},
    )


def groups(units: Units, above: float) -> dict[str, np.ndarray]:
    """Which units are in each of the parts that are scored: bool [units]."""
    return {
        "all": np.ones(len(units.digests), dtype=bool),
        "clean": units.found == 0,
        "overlapping": units.found > 0,
        "above": units.shares > above,
    }


def by_unit(values: np.ndarray, texts_of_units: Sequence[int]) -> np.ndarray:
    """Sums over each unit's texts: [texts] → [units]; a unit without texts has 0."""
    ends = np.cumsum(texts_of_units)
    sums = np.concatenate([[0], np.cumsum(values)])
    return sums[ends] - sums[ends - np.asarray(texts_of_units)] if len(ends) else np.empty(0, dtype=np.int64)
