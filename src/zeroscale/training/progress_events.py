"""How far a run in training is: events for the launcher, which shows them; without one a line now and then."""

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

from zeroscale.core.format import duration
from zeroscale.core.machine import read_number

# Stands before an event on a worker's standard output; ASCII's "start of text", which no text of ours holds.
MARK = "\x02"
EVENTS_VARIABLE = "ZEROSCALE_EVENTS"
"""Set by a launcher that reads events."""
_EVENT_SECONDS = 0.1
_WINDOW = 200

Kind = Literal["progress", "stage", "detail"]


@dataclass(frozen=True)
class Progress:
    """A run after a step; `seconds_left` of its training, by the clock."""

    step: int
    steps: int
    loss: float
    val_loss: float | None
    tokens_per_s: float
    seconds_left: float

    @property
    def losses(self) -> str:
        """ "loss 5.322  val 5.489"."""
        return f"loss {self.loss:.3f}" + (f"  val {self.val_loss:.3f}" if self.val_loss is not None else "")

    @property
    def rate(self) -> str:
        """ "47.3k tokens/s"."""
        return f"{self.tokens_per_s / 1000:.1f}k tokens/s"

    @property
    def line(self) -> str:
        """ "step 128/256  loss 5.322  val 5.489  47.3k tokens/s  0:04 left"."""
        left = duration(self.seconds_left, "clock")
        return f"step {self.step}/{self.steps}  {self.losses}  {self.rate}  {left} left"


class Event(NamedTuple):
    """What a worker tells its launcher: progress; a stage ("corpus: tokenising 8 %"); a detail for the log."""

    kind: Kind
    text: str
    progress: Progress | None = None


class Pace:
    """When a line of progress is due: after ten seconds, and ever more rarely, up to every ten minutes."""

    SHORTEST, LONGEST = 10.0, 600.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._last = clock()

    def is_due(self) -> bool:
        """Whether a line is due now; it is then taken as written."""
        now = self._clock()
        if now - self._last < min(self.LONGEST, max(self.SHORTEST, (now - self._began) / 10)):
            return False
        self._last = now
        return True


class ProgressReporter:
    """Tells how far one run is, on standard output."""

    def __init__(self, name: str, total: int, quiet: bool = False) -> None:
        """`quiet`: on all ranks but the first."""
        self._name = name
        self._total = total
        self._quiet = quiet
        self._events = read_number(EVENTS_VARIABLE, 0) == 1
        self._pace = Pace()
        self._sent = self._rate = 0.0
        # (time, step) of the last steps: the time left counts validation and checkpoints, too.
        self._steps: deque[tuple[float, int]] = deque(maxlen=_WINDOW)

    def update(
        self, step: int, loss: float, tokens_per_s: float, seconds_per_step: float, val_loss: float | None
    ) -> None:
        """One more step; `seconds_per_step` stands for the time left until two have been seen."""
        if self._quiet:
            return
        now = time.monotonic()
        self._steps.append((now, step))
        first_time, first_step = self._steps[0]
        each = (now - first_time) / (step - first_step) if step > first_step else seconds_per_step
        self._rate = 0.9 * self._rate + 0.1 * tokens_per_s if self._rate else tokens_per_s
        progress = Progress(step, self._total, loss, val_loss, self._rate, (self._total - step) * each)
        last = step == self._total
        if self._events:
            if last or now - self._sent >= _EVENT_SECONDS:
                self._sent = now
                self._send("progress", "", progress)
        elif last or self._pace.is_due():
            self.say(f"{self._name}  {progress.line}")

    def stage(self, text: str) -> None:
        """What is being done beside training, such as the preparation of the corpus."""
        self._send("stage", text) if self._events else self.say(text)

    def detail(self, text: str) -> None:
        """What belongs to the run's log, and not to the progress of many runs."""
        self._send("detail", text) if self._events else self.say(text)

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self._quiet:
            print(text, flush=True)

    def _send(self, kind: Kind, text: str, progress: Progress | None = None) -> None:
        if not self._quiet:
            fields = asdict(progress) if progress else None
            print(f"{MARK}{json.dumps({'kind': kind, 'text': text, 'progress': fields})}", flush=True)


def read_event(line: str) -> Event | None:
    """The event that a line of a worker's output is; None of a line for people."""
    if not line.startswith(MARK):
        return None
    fields = json.loads(line[len(MARK) :])
    progress = fields["progress"]
    return Event(fields["kind"], fields["text"], Progress(**progress) if progress else None)
