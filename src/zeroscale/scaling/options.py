"""The options of a fit: which laws, which runs, how they are counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zeroscale.runs.where import Wanted
from zeroscale.scaling.choice.record import IsoflopOptions, RecordedOptions
from zeroscale.scaling.estimators.isoflop import TOLERANCE, WINDOW
from zeroscale.scaling.numerics.chinchilla_objective import HUBER_DELTA
from zeroscale.scaling.run_selection import Range

# The columns of a CSV of runs, by what they hold.
COLUMNS = {"params": "params", "tokens": "tokens", "loss": "loss", "flops": "flops", "seed": "seed"}


@dataclass(frozen=True)
class Options:
    """Everything about a fit but the runs themselves; conf/fit.yaml says what each means."""

    law: Sequence[str] = ("auto",)
    convention: str = "non_embedding"
    flops: str = "auto"
    checkpoints: str = "last"
    bootstrap: int = 4000
    seed: int = 0
    delta: float = HUBER_DELTA
    budgets: Sequence[float] = ()
    keep: Mapping[str, Range | None] = field(default_factory=dict)
    leave_out: Sequence[str] = ()
    select: str = "best-mean"
    where: Mapping[str, Wanted] = field(default_factory=dict)
    axes: Sequence[str] = ()
    """Columns of a CSV that are settings."""
    columns: Mapping[str, str | None] = field(default_factory=lambda: dict(COLUMNS))
    window: float = WINDOW
    tolerance: float = TOLERANCE
    tokens_per_step: float | None = None
    chance: Mapping[str, float] = field(default_factory=dict)

    def is_required(self, law: str) -> bool:
        """Whether the law was named: then it is an error, not a remark, when it cannot be fitted."""
        return law in self.law

    def recorded(self) -> RecordedOptions:
        """For fit.json: what decides which runs count, and how."""
        return RecordedOptions(
            select=self.select,
            where={key: list(value) if isinstance(value, list | tuple) else value for key, value in self.where.items()},
            law=tuple(self.law),
            flops=self.flops,
            checkpoints=self.checkpoints,
            delta=self.delta,
            keep={name: ends for name, ends in self.keep.items() if ends and any(end is not None for end in ends)},
            leave_out=tuple(self.leave_out),
            isoflop=IsoflopOptions(window=self.window, tolerance=self.tolerance),
        )
