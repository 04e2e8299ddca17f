"""The runs of a fit as columns, with their FLOPs by the way of counting that was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.scaling.laws.surface import PerToken
from zeroscale.scaling.run_selection import SelectedRun

if TYPE_CHECKING:
    from zeroscale.scaling.numerics.arrays import FloatArray

EXACT, SIX_ND = "exact", "6nd"


@dataclass(frozen=True)
class RunTable:
    """n runs; `flops` are C by `counted`, exact (the ledger's or the CSV's own column) or 6 N D."""

    runs: tuple[SelectedRun, ...]
    names: tuple[str, ...]
    params: "FloatArray"
    tokens: "FloatArray"
    loss: "FloatArray"
    seeds: "FloatArray | None"
    flops: "FloatArray"
    counted: str

    @classmethod
    def of(cls, runs: Sequence[SelectedRun], counted: str = "auto") -> "RunTable":
        """From the runs of `run_selection.select_runs`.

        Raises:
            ZeroscaleError: exact FLOPs are asked for and a run has none.
        """
        import numpy

        def column(name: str) -> "FloatArray":
            return numpy.array([getattr(run, name) for run in runs], float)

        without_flops = [run.cell for run in runs if run.flops is None]
        if counted == EXACT and without_flops:
            more = f" (nor have {len(without_flops) - 1} more)" if without_flops[1:] else ""
            raise ZeroscaleError(
                f"flops=exact, but {without_flops[0]} has no FLOPs{more}: give a column flops, or flops=6nd"
            )
        exact = counted == EXACT or (counted == "auto" and not without_flops)
        seeds = None if any(run.seed is None for run in runs) else column("seed")
        n, d = column("params"), column("tokens")
        return cls(
            runs=tuple(runs),
            names=tuple(run.name for run in runs),
            params=n,
            tokens=d,
            loss=column("loss"),
            seeds=seeds,
            flops=column("flops") if exact else 6 * n * d,
            counted=EXACT if exact else SIX_ND,
        )

    @property
    def is_six_nd(self) -> bool:
        """Whether C is 6 N D to a part in a million."""
        return bool((abs(self.flops / (6 * self.params * self.tokens) - 1) < 1e-6).all())

    def per_token(self) -> PerToken | None:
        """FLOPs of a token as a power of N, by least squares in the logarithms; None for 6 N D, or one size only."""
        import numpy

        if self.is_six_nd or len(numpy.unique(self.params)) < 2:
            return None
        x, y = numpy.log(self.params), numpy.log(self.flops / self.tokens)
        power, scale = numpy.polyfit(x, y, 1)
        return PerToken(float(scale), float(power)) if power > 0 else None

    def budgets(self) -> tuple[float, ...]:
        """The largest run's FLOPs, ten and a hundred times that: what a study is usually asked to point to."""
        largest = float(self.flops.max())
        return (largest, 10 * largest, 100 * largest)
