"""What fit.json holds, as types: `FitFile` and, in it, the laws with their estimates, hold-outs, optima and runs.

The fields are called as in the file. A file of an older version lacks some of them: then they are None or empty.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from zeroscale.core import json_records
from zeroscale.core.json_records import Record, to_json
from zeroscale.runs.source import SourceFacts
from zeroscale.scaling.choice.record import Choice, RecordedOptions
from zeroscale.scaling.laws.estimate import Estimate

Json = dict[str, Any]

__all__ = ["FitFile", "from_json", "read_fit", "to_json"]


@dataclass(frozen=True, kw_only=True)
class Intervals(Record):
    """How the intervals of a law were made."""

    level: float | None = None
    method: str | None = None


@dataclass(frozen=True, kw_only=True)
class Optimum(Record):
    """The best size and data for a budget of FLOPs, and on a surface the loss to expect."""

    flops: float | None = None
    params: Estimate | None = None
    tokens: Estimate | None = None
    loss: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class PerTokenCost(Record):
    """FLOPs of a token as exp(log_scale) N^power."""

    log_scale: float | None = None
    power: float | None = None


@dataclass(frozen=True, kw_only=True)
class FlopsCount(Record):
    """How C was counted, "exact" or "6nd", and what a token costs where an optimum is asked for."""

    counted: str | None = None
    per_token: PerTokenCost | None = None


@dataclass(frozen=True, kw_only=True)
class HoldOut(Record):
    """One size predicted from others: the largest from the smaller ones, or one from all the rest.

    `error` is predicted / measured - 1 (of an accuracy the difference); `low` to `high` is where the measured value
    should lie (95 %); `exponent` is a of N_opt ~ C^a without this size.
    """

    cell: str | None = None
    params: float | None = None
    tokens: float | None = None
    n_runs: int | None = None
    measured: float | None = None
    predicted: float | None = None
    predicted_loss: float | None = None
    low: float | None = None
    high: float | None = None
    error: float | None = None
    exponent: float | None = None
    inside: bool | None = None
    form: str | None = None
    n_points: int | None = None


@dataclass(frozen=True, kw_only=True)
class FittedRun(Record):
    """A run that a law rests on: N by the law's convention, D, C, loss, and what the law says of it.

    `name` tells checkpoints of one run apart; `log_residual` is ln measured - ln law.
    """

    cell: str | None = None
    model: str | None = None
    seed: int | None = None
    params: float | None = None
    params_non_embedding: float | None = None
    tokens: float | None = None
    flops: float | None = None
    loss: float | None = None
    loss_low: float | None = None
    loss_high: float | None = None
    name: str | None = None
    fitted: float | None = None
    accuracy: float | None = None
    log_residual: float | None = None


@dataclass(frozen=True, kw_only=True)
class LeftOut(Record):
    """A run that does not count, the rule by which it does not, and what it measured, where known."""

    cell: str | None = None
    steps: tuple[int, ...] = ()
    rule: str | None = None
    params: float | None = None
    tokens: float | None = None
    flops: float | None = None
    loss: float | None = None


@dataclass(frozen=True, kw_only=True)
class SizeMean(Record):
    """One size, as a law over size alone takes it: the mean of its seeds' losses. `loss_sd` is that mean's, in nats."""

    cells: tuple[str, ...] = ()
    seeds: tuple[int | None, ...] = ()
    params: float | None = None
    tokens: float | None = None
    loss: float | None = None
    loss_sd: float | None = None


@dataclass(frozen=True, kw_only=True)
class BandPoint(Record):
    """A law over size, or over data, and the ends of its 95 % interval at one N, or D."""

    params: float | None = None
    tokens: float | None = None
    low: float | None = None
    value: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class IsoflopCurve(Record):
    """The runs of one budget, and the minimum of the parabola through them; `reason` says why it is not `used`."""

    flops: float | None = None
    params: Estimate | None = None
    tokens: float | None = None
    loss: float | None = None
    curvature: float | None = None
    used: bool | None = None
    reason: str | None = None
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Diagnostics(Record):
    """Of the solver; of isoflop its `budgets`; of envelope the `sizes` that the line rests on, and from where to where.

    `correlation` is that of the draws of E, ln A, ln B, alpha and beta.
    """

    budgets: tuple[IsoflopCurve, ...] = ()
    sizes: tuple[float, ...] = ()
    flops_from: float | None = None
    flops_to: float | None = None
    converged: bool | None = None
    starts: int | None = None
    starts_at_optimum: int | None = None
    share_of_starts: float | None = None
    rms_log_residual: float | None = None
    correlation: dict[str, dict[str, float]] | None = None


@dataclass(frozen=True, kw_only=True)
class SeedSpread(Record):
    """The parameters with intervals over seeds alone."""

    parameters: dict[str, Estimate] = field(default_factory=dict)
    intervals: Intervals | None = None


@dataclass(frozen=True, kw_only=True)
class OneVariableLaw(Record):
    """Kaplan's L(N) or L(D); `left_out` are the names of the runs that it does not rest on."""

    form: str | None = None
    parameters: dict[str, Estimate] = field(default_factory=dict)
    objective: float | None = None
    n_points: int | None = None
    rule: str | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Law(Record):
    """What every law has."""

    form: str | None = None
    parameters: dict[str, Estimate] = field(default_factory=dict)
    objective: float | None = None
    objective_form: str | None = None
    n_points: int | None = None
    points: tuple[FittedRun, ...] = ()
    hold_out: HoldOut | None = None
    intervals: Intervals | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SizeLaw(Law):
    """A law over size alone. `irreducible_tried` is E where it was fitted and the data did not carry it."""

    irreducible: bool | None = None
    irreducible_tried: Estimate | None = None
    converged: bool | None = None
    rms_log_residual: float | None = None
    n_runs: int | None = None
    sizes: tuple[SizeMean, ...] = ()
    band: tuple[BandPoint, ...] = ()
    variable: str | None = None
    """The column of the ledger that is N."""


@dataclass(frozen=True, kw_only=True)
class LengthLaw(Law):
    """A law over data alone, L(D), of one size: `lengths` are the means over seeds of its runs of each length."""

    model: str | None = None
    params: float | None = None
    irreducible: bool | None = None
    irreducible_tried: Estimate | None = None
    converged: bool | None = None
    rms_log_residual: float | None = None
    n_runs: int | None = None
    lengths: tuple[SizeMean, ...] = ()
    band: tuple[BandPoint, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataLaw(Law):
    """A law over size and data. What its method does not give is None or empty."""

    exponents: dict[str, Estimate] = field(default_factory=dict)
    """N_opt and D_opt: powers of C in the compute-optimal size and data."""
    n_sizes: int | None = None
    n_token_counts: int | None = None
    over_seeds: SeedSpread | None = None
    compute_optimal: tuple[Optimum, ...] = ()
    frontier: tuple[Optimum, ...] = ()
    flops: FlopsCount | None = None
    leave_one_out: tuple[HoldOut, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    diagnostics: Diagnostics | None = None
    by_size: OneVariableLaw | None = field(default=None, metadata={"key": "L(N)"})
    by_data: OneVariableLaw | None = field(default=None, metadata={"key": "L(D)"})


@dataclass(frozen=True, kw_only=True)
class BenchmarkLaw(Law):
    """A benchmark's loss over size (`of` what), or its accuracy over a loss (`loss`, the column that it rises from)."""

    kind: Literal["loss", "accuracy"] | None = None
    of: str | None = None
    rms_log_residual: float | None = None
    loss: str | None = None
    chance: float | None = None
    diagnostics: Diagnostics | None = None


@dataclass(frozen=True, kw_only=True)
class ConventionExponent(Record):
    """a of N_opt ~ C^a by one law, with one way to count N and FLOPs; `note` says why there is none."""

    law: str | None = None
    convention: str | None = None
    flops: str | None = None
    exponent: Estimate | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class NotFitted(Record):
    """A law, or a benchmark's column, that the runs do not carry, and why."""

    law: str | None = None
    reason: str | None = None


def law_type(name: str) -> type[Law]:
    """Of a law by its name: one over size alone is called after the loss that it is of, as the ledger calls that."""
    return SizeLaw if name == "power" or "/" in name else DataLaw


@dataclass(frozen=True, kw_only=True)
class FitFile(Record):
    """A fit.json. `laws` are by name, "val/loss" (of a study) or "power" (of a CSV) the one over size alone."""

    study: str | None = None
    created: str | None = None
    command: str | None = None
    source: SourceFacts | None = None
    runs: str | None = None
    results_sha256: str | None = None
    law: str | None = None
    """The form of the first law."""
    convention: str | None = None
    bootstrap: int | None = None
    seed: int | None = None
    options: RecordedOptions | None = None
    laws: dict[str, SizeLaw | DataLaw] = field(default_factory=dict, metadata={"choose": law_type})
    data_laws: dict[str, LengthLaw] = field(default_factory=dict)
    """L(D) of each size that was trained on three numbers of tokens or more, by the size's name."""
    benchmarks: dict[str, BenchmarkLaw] = field(default_factory=dict)
    by_convention: tuple[ConventionExponent, ...] = ()
    not_fitted: tuple[NotFitted, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    choice: Choice | None = None
    """Which of several settings count, by what rule; None where no size has several."""


def read_fit(path: Path) -> FitFile:
    """
    Raises:
        ZeroscaleError: the file is missing or no JSON, or a value in it has another type than it should.
    """
    return json_records.read(FitFile, path, "fit the laws again")


def from_json(content: Json) -> FitFile:
    """The fit of what a fit.json holds.

    Raises:
        ZeroscaleError: a value has another type than it should: the message says where.
    """
    return json_records.from_json(FitFile, content)
