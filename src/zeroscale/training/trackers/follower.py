"""A run's own files, followed by a thread beside training and shown elsewhere: no step waits for who watches.

What is shown is read from metrics.jsonl and evals/, not handed over: a place that was away, came late or knows the
first half already gets exactly what it lacks, each step once.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from zeroscale.core.jsonl import JsonlReader
from zeroscale.runs import layout
from zeroscale.runs.results import scores_in
from zeroscale.runs.run import Run

# New lines wait so long before they are sent together: a fast run writes hundreds a second.
PAUSE_SECONDS = 0.5
# What a place may take at the end of a run; what it has not got then is in the files.
FINISH_SECONDS = 40.0
SCORED = "scored_step"

Row = dict[str, Any]


@dataclass
class SyncState:
    """How far a place has come: the last step that it shows (0 for none), and how many results of each scored step."""

    step: int = 0
    scored: dict[int, int] = field(default_factory=dict)


class Sink(Protocol):
    """A place that shows a run. Its methods are called by one thread, in order; any of them may block or raise."""

    name: str
    missing_message: str
    """What to say where it does not get everything."""
    done_message: str
    """What has become of a run that it was given whole."""

    def place(self) -> SyncState:
        """What it shows already."""

    def add(self, row: Row) -> None:
        """A line of metrics.jsonl."""

    def score(self, row: Row) -> None:
        """The scores of a checkpoint, with their intervals, under the ledger's names."""

    def end(self, exit_code: int) -> None:
        """The run is over."""


class Follower:
    """Keeps a place up to date with a cell's files. Nothing that befalls the place reaches training."""

    def __init__(self, cell: Path, batch_tokens: int, sink: Sink) -> None:
        self._cell = cell
        self._batch_tokens = batch_tokens
        self._sink = sink
        self._metrics = JsonlReader(cell / layout.METRICS, "step")
        self._at = SyncState()
        self._news, self._ending = threading.Event(), threading.Event()
        self._exit_code = 1
        self.whole = False
        """Whether the place has everything and has said so."""
        self._thread = threading.Thread(target=self._follow, name="tracker", daemon=True)
        self._thread.start()

    def log(self, row: Row) -> None:
        """There is something new in the files. Returns at once."""
        self._news.set()

    def finish(self, exit_code: int, seconds: float = FINISH_SECONDS) -> None:
        """Sends the rest and ends the run there, for at most so many seconds."""
        self._exit_code = exit_code
        self._ending.set()
        self._news.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._say(TimeoutError(f"no answer for {seconds:.0f} s"))

    def _follow(self) -> None:
        try:
            # Not before the first news: until then a resumed run may still cut its record back.
            self._news.wait()
            self._at = self._sink.place()
            while not self._ending.is_set():
                self._news.clear()
                self._send()
                if not self._ending.wait(PAUSE_SECONDS):
                    self._news.wait()
            self._send(last=True)
        except Exception as error:
            self._say(error)
            self._ending.wait()
            with contextlib.suppress(Exception):
                self._sink.end(self._exit_code)
            return
        try:
            self._sink.end(self._exit_code)
            self.whole = True
        except Exception as error:
            self._say(error)

    def _say(self, error: Exception) -> None:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        print(f"{self._cell.name}: {self._sink.name}: {reason}; {self._sink.missing_message}", flush=True)

    def _send(self, last: bool = False) -> None:
        """Steps and scores in order. A checkpoint's scores are whole when training has gone on, or ended."""
        has = self._at.scored
        lacking = {step: count for step, count in Run(self._cell).scored_steps.items() if has.get(step) != count}
        for row in self._rows():
            for step in [step for step in lacking if step < row["step"]]:
                self._score(step, lacking.pop(step))
            self._sink.add(row)
            self._at.step = row["step"]
        for step in [step for step in lacking if last or step < self._at.step]:
            self._score(step, lacking.pop(step))

    def _score(self, step: int, count: int) -> None:
        scores = scores_in(layout.results_directory(self._cell, step))
        self._sink.score({"tokens": step * self._batch_tokens, SCORED: step, **scores})
        self._at.scored[step] = count

    def _rows(self) -> Iterator[Row]:
        """The whole lines that were not read yet, of steps that the place lacks."""
        for row in self._metrics.follow():
            if row["step"] > self._at.step:
                yield row
