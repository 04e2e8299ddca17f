"""Settings of `compare`, and how a CSV of runs names its columns."""

from typing import Literal

from pydantic.dataclasses import dataclass

from zeroscale.config.types import (
    STRICT,
    CardNames,
    FilePath,
    FlopsConvention,
    ParameterConvention,
    PathOrEmpty,
    PositiveFloat,
    Protocol,
    Resamples,
    Seed,
    Text,
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CsvColumns:
    """What a CSV of runs calls its columns."""

    params: Text
    tokens: Text | None
    """None: tokens are flops / (6 params)."""
    loss: Text
    flops: Text
    seed: Text


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CompareLawsConfig:
    """How two studies are compared by their laws."""

    law: Literal["auto", "chinchilla", "vpnls", "compute"]
    budgets: tuple[PositiveFloat, ...]
    """FLOPs to compare at; empty: chosen from the range that both studies have."""
    convention: ParameterConvention
    flops: FlopsConvention
    paired: Literal["auto", "yes", "no"]
    """Whether the bootstrap draws the same runs of both; auto: where their designs agree."""
    bootstrap: Resamples
    columns: CsvColumns


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CompareConfig:
    """Two runs, checkpoints, directories or hub names that have been scored, and the cards to compare them on; or two
    studies or CSVs of runs, each with a law of its own."""

    study: FilePath | None = None
    """The study that runs are named in by parts of their names, or chosen by filters."""
    runs: tuple[FilePath, ...]
    studies: tuple[FilePath, ...]
    laws: CompareLawsConfig
    cards: CardNames | None
    """None: all that both have been scored on."""
    protocol: Protocol
    resamples: Resamples
    """Exchanges of the two models' outcomes, behind p and its interval."""
    seed: Seed
    out: FilePath | None
    """A directory for the comparison as files."""
    output_dir: PathOrEmpty
    """Scores of checkpoints that are no runs lie in its folder eval/."""
