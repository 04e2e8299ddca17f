"""How long a sweep will still take, from what its runs have taken so far."""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What a run is expected to take relative to others: equal `kind` is equal work; else by its FLOPs."""

    kind: Hashable
    flops: float


class TimeLeft:
    """The seconds until all runs are done, start-up and scoring included.

    A run that has not begun takes the mean of the finished ones of its kind. Where none is finished, it takes its FLOPs
    times the seconds per FLOP of all runs so far: small models reach a smaller share of the hardware's peak, so that
    this overstates larger ones until the first of them is finished.
    """

    def __init__(
        self, costs: Mapping[str, Cost], at_once: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pending = dict(costs)
        self._at_once = at_once
        self._clock = clock
        self._running: dict[str, tuple[Cost, float, float | None]] = {}
        self._finished: dict[Hashable, list[float]] = {}
        self._seconds = self._flops = 0.0

    def begin(self, name: str) -> None:
        """A run begins now; one that is not among the runs is not counted."""
        if (cost := self._pending.pop(name, None)) is not None:
            self._running[name] = (cost, self._clock(), None)

    def progress(self, name: str, seconds_left: float) -> None:
        """What a running run says of itself."""
        if name in self._running:
            cost, began, _ = self._running[name]
            self._running[name] = (cost, began, self._clock() + seconds_left)

    def end(self, name: str, done: bool) -> float | None:
        """The seconds that a run took. Of one that is not done nothing is learnt."""
        found = self._running.pop(name, None)
        self._pending.pop(name, None)
        if found is None:
            return None
        cost, began, _ = found
        seconds = self._clock() - began
        if done:
            self._finished.setdefault(cost.kind, []).append(seconds)
            self._seconds += seconds
            self._flops += cost.flops
        return seconds

    def whole(self) -> float | None:
        """Seconds until the last run is done; None while nothing is known."""
        now = self._clock()
        rate = self._seconds_per_flop(now)
        running = [
            (self._expected(cost, rate, began - now) if ends is None else max(0.0, ends - now))
            for cost, began, ends in self._running.values()
        ]
        left = [*running, *(self._expected(cost, rate) for cost in self._pending.values())]
        known = [seconds for seconds in left if seconds is not None]
        if len(known) < len(left):
            return None
        return max([*known[: len(running)], sum(known) / self._at_once], default=0.0)

    def _seconds_per_flop(self, now: float) -> float | None:
        seconds, flops = self._seconds, self._flops
        for cost, began, ends in self._running.values():
            if ends is not None:
                seconds += max(ends, now) - began
                flops += cost.flops
        return seconds / flops if flops else None

    def _expected(self, cost: Cost, seconds_per_flop: float | None, more: float = 0.0) -> float | None:
        """Seconds that a run takes, and `more`; None where nothing is known."""
        if finished := self._finished.get(cost.kind):
            return max(0.0, sum(finished) / len(finished) + more)
        return None if seconds_per_flop is None else max(0.0, cost.flops * seconds_per_flop + more)
