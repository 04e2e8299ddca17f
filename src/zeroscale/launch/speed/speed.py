"""Tokens per second of a run on this machine, and what that stands on."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from zeroscale.config.train import TrainConfig
from zeroscale.core import machine


@dataclass(frozen=True)
class Speed:
    """Tokens per second of training, the middle and the ends of what was seen."""

    tokens_per_s: float
    low: float
    high: float
    count: int
    """How many rates that is of."""
    measured: bool
    """They are of steps that were timed now; else of earlier runs."""

    @classmethod
    def of(cls, rates: Sequence[float], measured: bool) -> "Speed":
        """Of rates that were seen, one at least."""
        return cls(median(rates), min(rates), max(rates), len(rates), measured)

    def hours(self, tokens: int) -> tuple[float, float, float]:
        """Of so many tokens: the middle, the fewest, the most."""
        middle, fewest, most = (tokens / rate / 3600 for rate in (self.tokens_per_s, self.high, self.low))
        return middle, fewest, most


def threads_of(config: TrainConfig, kind: str, at_once: int) -> int:
    """CPU threads that each rank of a run will have here."""
    threads = config.trainer.threads
    return int(machine.child_environment(kind, threads, config.trainer.devices, at_once)["OMP_NUM_THREADS"])
