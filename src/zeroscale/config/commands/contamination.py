"""Settings of `overlap`: n-grams that benchmarks share with a training corpus."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from zeroscale.config.types import STRICT, CardNames, CardSource, FilePath, Fraction, Positive, Protocol, Text, Threads


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OwnTrainingConfig:
    """Where a benchmark's own training split lies in data_dir."""

    files: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Globs; the first that matches anything is taken."""
    first_bytes: Positive | None = None
    """How much of the file is the training split; None: all."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OverlapConfig:
    """A corpus, cards, and what is asked of both: what they share, and scores without it."""

    corpus: FilePath | None
    """Text files, or a prepared corpus; None with `study` or `run`: theirs."""
    text_field: Text
    """Where a row of JSON lines or Parquet keeps its text."""
    split: Literal["train", "val", "all"]
    """Of a prepared corpus."""
    cards: CardNames | None
    cards_from: CardSource | None
    data_dir: FilePath | None
    """The folder of the benchmarks' own files."""
    allow_other_data: bool
    """Accept files that are not the benchmark's pinned data; the result is marked."""
    protocol: Protocol
    """How released tokens are joined to text."""
    n: Annotated[int, Field(gt=0, le=100)]
    """Words of an n-gram."""
    above: Fraction
    """Examples with a larger share of overlapping n-grams are also scored apart."""
    study: FilePath | None
    """A study whose scores are also given on clean and on overlapping examples."""
    run: FilePath | None
    """The same of one scored checkpoint."""
    index: FilePath | None
    """A file for a Bloom filter of the corpus; made where there is none."""
    false_positives: Annotated[float, Field(gt=0, lt=1)]
    """The Bloom filter's rate."""
    ngrams: FilePath | None
    """A directory to write the benchmarks' n-grams to, for `data.leave_out_ngrams`."""
    own_training: dict[str, OwnTrainingConfig] | None
    """By card: its own training split, looked up as well."""
    workers: Threads | None
    """Processes; None: one for each core."""
    out: FilePath | None
    output_dir: FilePath
