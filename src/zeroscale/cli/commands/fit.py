"""`zeroscale fit`: scaling laws fitted to a study's runs, or to a CSV of runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from zeroscale.config.commands.compare import CsvColumns
from zeroscale.config.raw import RawConfig
from zeroscale.config.types import (
    STRICT,
    FilePath,
    Filters,
    FlopsConvention,
    Fraction,
    OneOrMany,
    ParameterConvention,
    PathOrEmpty,
    PositiveFloat,
    Resamples,
    Seed,
    Text,
)
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling.registry import LAWS

if TYPE_CHECKING:
    LawName = str
else:
    LawName = Literal[("auto", "all", *LAWS)]
Range = Annotated[tuple[float | None, float | None], Field(strict=False)] | None
"""[low, high]; None: an open end."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class KeepConfig:
    """Ranges outside which runs are left out."""

    params: Range
    tokens: Range
    loss: Range
    flops: Range


@dataclass(frozen=True, kw_only=True, config=STRICT)
class IsoflopConfig:
    """What belongs to the parabola of an isoFLOP curve."""

    window: PositiveFloat
    """Nats above a budget's lowest loss within which runs belong to it."""
    tolerance: Annotated[float, Field(gt=0, lt=1)]
    """How far runs may differ in FLOPs, as a share, and still be of one budget."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FitColumns(CsvColumns):
    """What a CSV calls its columns, and which of the others are settings."""

    axes: tuple[Text, ...]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FitConfig:
    """Runs to fit laws to, a study's directory or a CSV with the columns params, tokens, loss; and which laws, how."""

    runs: FilePath
    law: Annotated[tuple[LawName, ...], OneOrMany, Field(min_length=1)]
    out: PathOrEmpty | None
    """Where the laws are written; None: fit.json in the study."""
    convention: ParameterConvention
    """What counts as N."""
    flops: FlopsConvention
    """What counts as C."""
    checkpoints: Literal["last", "all"]
    """Which of each run."""
    bootstrap: Resamples
    seed: Seed
    delta: PositiveFloat
    """Of the Huber loss."""
    budgets: tuple[PositiveFloat, ...]
    """FLOPs to give the compute-optimal N and D for; empty: 1, 10 and 100 times the largest run's."""
    leave_out: tuple[str, ...]
    """Runs to leave out, by name or by row of a CSV."""
    select: Literal["best-mean", "all"]
    """Which settings of a size count."""
    where: Filters
    """Settings that the runs must have."""
    keep: KeepConfig
    isoflop: IsoflopConfig
    columns: FitColumns
    chance: dict[str, Fraction] | None
    """By benchmark: the accuracy of guessing."""
    tokens_per_step: PositiveFloat | None
    """Of the checkpoints in lm-evaluation-harness results."""


def run(raw: RawConfig) -> int:
    """Fits the laws and prints them with their warnings."""
    config = build_config(FitConfig, raw)
    from zeroscale.scaling import fit
    from zeroscale.scaling.options import Options

    options = Options(
        law=config.law,
        convention=config.convention,
        flops=config.flops,
        checkpoints=config.checkpoints,
        bootstrap=config.bootstrap,
        seed=config.seed,
        delta=config.delta,
        budgets=config.budgets,
        keep=vars(config.keep),
        leave_out=config.leave_out,
        select=config.select,
        where=config.where,
        columns={name: column for name, column in vars(config.columns).items() if name != "axes"},
        axes=config.columns.axes,
        window=config.isoflop.window,
        tolerance=config.isoflop.tolerance,
        chance=config.chance or {},
        tokens_per_step=config.tokens_per_step,
    )
    out = Path(config.out) if config.out else None
    if out is not None and out.is_dir():
        raise ZeroscaleError(f"out={out} is a directory; give the name of a file for the laws")
    laws = fit.fit_study(Path(config.runs), out, options=options, command=os.environ.get("ZEROSCALE_COMMAND"))
    print(fit.describe(laws))
    return 0
