"""The loop of the fuzzer: so many attempts of a kind, or so many seconds of them, and what they found."""

import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fuzz.drawing import Drawing
from fuzz.runner import Attempt, Outcome, Runner
from hypothesis import HealthCheck, Phase, settings

Build = Callable[[random.Random, Path, Path], Attempt]
"""(draw, seeds, work): fills the folder `work` and says what to run there."""

SEED = int(os.environ.get("ZEROSCALE_FUZZ_SEED", "0"))
# KIND:NUMBER repeats one attempt.
ONLY = os.environ.get("ZEROSCALE_FUZZ_ONLY", "")
# hypothesis makes a finding small where ZEROSCALE_FUZZ_SHRINK is set: minutes.
_PHASES = tuple(phase for phase in Phase if phase is not Phase.shrink or os.environ.get("ZEROSCALE_FUZZ_SHRINK"))


def seeded(examples: int) -> settings:
    """hypothesis' settings of `make test`: the same examples on every machine, however slow it is."""
    return settings(
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=examples,
        suppress_health_check=list(HealthCheck),
        phases=_PHASES,
    )


# An hour of `make test-all` is shared by the kinds.
SECONDS = float(os.environ.get("ZEROSCALE_FUZZ_SECONDS", "450"))


@dataclass
class Hunt:
    """What attempts of one kind came to."""

    kind: str
    seed: int
    count: int = 0
    seconds: float = 0.0
    """Of the processor, in all attempts."""
    found: dict[str, str] = field(default_factory=dict)
    """Distinct findings: by what went wrong, the whole of the first."""
    ended: dict[str, int] = field(default_factory=dict)
    """How often each exit code was seen."""

    def note(self, number: int, outcome: Outcome) -> None:
        """Keeps an outcome."""
        self.count += 1
        self.seconds += outcome.seconds
        code = str(outcome.code)
        self.ended[code] = self.ended.get(code, 0) + 1
        if outcome.faults:
            again = f"ZEROSCALE_FUZZ_SEED={self.seed} ZEROSCALE_FUZZ_ONLY={self.kind}:{number} pytest -m slow"
            text = f"{self.kind}:{number}\n{outcome.text()}\n  again: {again} tests/fuzz/test_{self.kind}.py"
            self.found.setdefault(signature(outcome), text)

    def summary(self) -> str:
        ended = ", ".join(f"{count} with {code}" for code, count in sorted(self.ended.items()))
        return f"{self.kind}, seed {self.seed}: {self.count} attempts ({ended}), {len(self.found)} findings"

    def report(self) -> None:
        """Fails with everything that was found."""
        print(self.summary())
        if self.found:
            pytest.fail("\n\n".join([self.summary(), *self.found.values()]), pytrace=False)


def signature(outcome: Outcome) -> str:
    """What makes two findings the same: the faults and the error without its names and numbers."""
    last = [line for line in outcome.stderr.splitlines() if "Error" in line or line.startswith("zeroscale:")]
    text = (last[-1] if last else "") + " | " + "; ".join(outcome.faults)
    return outcome.attempt.argv[0] + " " + re.sub(r"/\S+|'[^']*'|[\d.,]+", "#", text)[:160]


class Hunter:
    """Runs attempts of a kind: by number, by time, or as hypothesis draws them."""

    def __init__(self, runner: Runner, seeds: Path) -> None:
        self.runner = runner
        self.seeds = seeds

    def attempt(self, build: Build, kind: str, seed: int, number: int) -> Outcome:
        """The attempt that a kind, a seed and a number stand for: the same every time."""
        draw = random.Random(f"{kind}:{seed}:{number}")
        return self.runner.attempt(lambda work: build(draw, self.seeds, work))

    def by_number(self, build: Build, examples: int) -> None:
        """So many attempts by the fixed seed."""
        hunt = Hunt(build.__name__, SEED)
        for number in range(examples) if (only := _only(hunt.kind)) is None else only:
            hunt.note(number, self.attempt(build, hunt.kind, SEED, number))
        hunt.report()

    def by_time(self, build: Build, seconds: float = SECONDS) -> None:
        """Attempts by a new seed, which is printed, until the time is over."""
        hunt = Hunt(build.__name__, int(os.environ.get("ZEROSCALE_FUZZ_SEED", time.time_ns() % 10**9)))
        print(f"{hunt.kind}: ZEROSCALE_FUZZ_SEED={hunt.seed}", flush=True)
        end = time.monotonic() + seconds
        for number in count() if (only := _only(hunt.kind)) is None else only:
            if time.monotonic() > end:
                break
            hunt.note(number, self.attempt(build, hunt.kind, hunt.seed, number))
        hunt.report()

    def drawn(self, build: Build, data: Any) -> None:
        """One attempt as hypothesis draws it; fails with its finding."""
        outcome = self.runner.attempt(lambda work: build(Drawing(data), self.seeds, work))  # type: ignore[arg-type]
        if outcome.faults:
            pytest.fail(outcome.text(), pytrace=False)


def _only(kind: str) -> list[int] | None:
    name, _, number = ONLY.partition(":")
    return None if not ONLY else [int(number)] if name == kind else []
