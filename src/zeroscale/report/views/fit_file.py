"""What the figures and the tables read out of the laws of a fit.json (`zeroscale.scaling.fit_schema`)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from zeroscale.core import format
from zeroscale.core.format import flops_text, number
from zeroscale.report.figures.plot import Layer
from zeroscale.scaling.fit_schema import DataLaw, FittedRun, IsoflopCurve, LeftOut
from zeroscale.scaling.laws.estimate import Estimate
from zeroscale.scaling.registry import LAWS

LAW_LABELS = {name: law.label for name, law in LAWS.items() if law.needs_data}
"""The laws over size and data, as the page calls them."""
LOSS, SIZE, COMPUTE, TOKENS = "loss (nats per token)", "parameters, N", "compute, C (FLOPs)", "training tokens, D"
CONVENTIONS = {
    "non_embedding": "without embeddings",
    "total": "all parameters",
    "matmul": "without position embeddings",
}
FLOPS_COUNTS = {"exact": "as the runs count it", "6nd": "6 N D"}

Laws = dict[str, DataLaw]
"""The laws over size and data of one fit.json, by name."""
Ends = tuple[float | None, float | None, float | None]
"""A value and its 95 % interval."""
Path = list[tuple[float, float, float | None, float | None]]


@dataclass(frozen=True)
class PlottedRun:
    """A run of a law that has all that a figure needs. `rule`: the one by which it was left out."""

    run: str
    name: str
    params: float
    tokens: float
    flops: float
    loss: float
    log_residual: float | None = None
    rule: str = ""

    @property
    def hover(self) -> str:
        return (
            f"{self.name}\n{format.scaled(self.params)} parameters, {format.scaled(self.tokens)} tokens\n"
            f"{flops_text(self.flops)}, loss {format.figure(self.loss, 4)}"
        )


def value_of(estimate: Estimate | None) -> float | None:
    return number(estimate.value) if estimate else None


def ends_of(estimate: Estimate | None) -> Ends:
    if estimate is None:
        return None, None, None
    return number(estimate.value), number(estimate.low), number(estimate.high)


def plotted_runs(rows: Iterable[FittedRun | LeftOut]) -> list[PlottedRun]:
    """Those that have a size, tokens, FLOPs and a loss."""
    runs = []
    for row in rows:
        if not (row.params and row.tokens and row.flops and row.loss):
            continue
        numbers = (float(row.params), float(row.tokens), float(row.flops), float(row.loss))
        if min(numbers) > 0:
            name = (row.name if isinstance(row, FittedRun) else None) or row.cell or ""
            residual = row.log_residual if isinstance(row, FittedRun) else None
            rule = (row.rule if isinstance(row, LeftOut) else None) or ""
            runs.append(PlottedRun(run_name(row.cell), name, *numbers, residual, rule))
    return runs


def run_name(cell: str | None) -> str:
    """The run's own name; a fit.json calls a checkpoint "RUN at step 100" where it leaves one out."""
    return (cell or "").partition(" at step ")[0]


def frontier_path(law: DataLaw | None, quantity: Literal["params", "tokens", "loss"]) -> Path:
    """(C, value, low, high) along a law's frontier."""
    rows = []
    for optimum in law.frontier if law else ():
        estimates = {"params": optimum.params, "tokens": optimum.tokens, "loss": optimum.loss}
        value, low, high = ends_of(estimates[quantity])
        if optimum.flops and value and value > 0:
            rows.append((float(optimum.flops), float(value), low, high))
    return rows if len(rows) > 1 else []


def band(path: Path, name: str) -> list[Layer]:
    c, value, low, high = (list(column) for column in zip(*path, strict=True))
    line = Layer("line", c, value, name=name)
    if any(end is None or end <= 0 for end in [*low, *high]):
        return [line]
    return [Layer("band", c, low=low, high=high), line]


def with_interval(estimate: Estimate | None) -> str:
    """ "1.2 M (0.9 M to 1.5 M)"."""
    value, low, high = ends_of(estimate)
    interval = format.interval(low, high, show=format.scaled)
    return format.scaled(value) + (f" ({interval})" if interval else "")


def describe_budget(curve: IsoflopCurve) -> str:
    minimum = with_interval(curve.params) if curve.used else f"not used, {curve.reason}"
    return f"{flops_text(float(curve.flops or 0.0))}: {minimum}"
