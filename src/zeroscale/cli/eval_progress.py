"""Which checkpoint and which card `eval` is at: a line that changes on a terminal, else lines now and then."""

import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import duration
from zeroscale.eval.engine.prefetch import LEFT
from zeroscale.runs import layout
from zeroscale.runs.study import Study
from zeroscale.training.progress_events import Pace

if TYPE_CHECKING:
    from rich.live import Live

    from zeroscale.runs.resolve import CheckpointRef


class EvalProgress:
    """Says on standard error how far the scoring of several checkpoints is: "3 of 30  pocket-s lr=0.003 seed=0
    lambada: 40 % of 5,153 examples, 12 s left, all 4 min"."""

    def __init__(self, count: int) -> None:
        """`count`: checkpoints to be scored."""
        self._count = count
        self._number = 0
        self._name = ""
        self._began = time.monotonic()
        self._pace = Pace()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, markup=False, highlight=False)
            self._live = Live("", console=console, transient=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, target: "CheckpointRef") -> None:
        """A checkpoint is scored from now on."""
        self._number += 1
        place = f"{self._number} of {self._count}  " if self._count > 1 else ""
        self._name = place + called(target)
        self._draw("loading")

    def say(self, text: str) -> None:
        """What the scoring tells: how far a card is, or that it is done."""
        if not text.endswith(LEFT):
            print(f"{self._name}  {text}", file=sys.stderr, flush=True)
        elif self._live is not None:
            self._draw(text + self._whole())
        elif self._pace.is_due():
            print(f"{self._name}  {text}{self._whole()}", file=sys.stderr, flush=True)

    def _draw(self, text: str) -> None:
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(f"{self._name}  {text}", no_wrap=True, overflow="ellipsis"), refresh=True)

    def _whole(self) -> str:
        """The time for the checkpoints after this one, at the rate of those before it."""
        done = self._number - 1
        if not done or self._count == 1:
            return ""
        each = (time.monotonic() - self._began) / done
        return f", {duration((self._count - done) * each, 'short')} for all"


def called(target: "CheckpointRef") -> str:
    """What a checkpoint is called: its run by what was varied in its study, with the step of one before its last."""
    if target.run is None or target.study is None:
        return target.label
    run = layout.run_of(target.path)
    label = _labels(target.study).get(run.name, target.label)
    step = layout.step_of(target.path)
    return label if step in (None, target.run.steps) else f"{label} step {step}"


@cache
def _labels(study: Path) -> dict[str, str]:
    try:
        return Study(study).axes.labels
    except ZeroscaleError:
        return {}
