"""Send a run's own files to a tracker from a thread beside training: no step waits for a tracker.

What is sent is read from metrics.jsonl and evals/, not handed over by training: a tracker that did not answer for a
while, or has the first half already, gets exactly what it lacks, each step once.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from zeroscale.core.jsonl import JsonlReader, Row
from zeroscale.runs import layout
from zeroscale.runs.results import scores_in
from zeroscale.runs.run import Run

# New lines wait so long before they are sent together: a fast run writes hundreds a second.
PAUSE_SECONDS = 0.5
# How long a tracker may take at the end of a run; what it lacks then is in the files.
FINISH_SECONDS = 40.0
SCORED = "scored_step"


@dataclass
class SyncState:
    """How far a tracker has come: the last step that it has (0 for none), and how many results of each scored step."""

    step: int = 0
    scored: dict[int, int] = field(default_factory=dict)


class Sink(Protocol):
    """Where a tracker writes. Its methods are called by one thread, in order; any of them may block or raise."""

    name: str
    missing_message: str
    """The message where it does not get everything."""
    done_message: str
    """The message where it has got everything."""

    def sync_state(self) -> SyncState:
        """What it has already."""

    def add(self, row: Row) -> None:
        """A line of metrics.jsonl."""

    def score(self, row: Row) -> None:
        """The scores of a checkpoint, with their intervals, under the ledger's names."""

    def end(self, exit_code: int) -> None:
        """The run is over."""


class Follower:
    """Keeps a sink up to date with a run's files. No failure of the sink reaches training."""

    def __init__(self, directory: Path, batch_tokens: int, sink: Sink) -> None:
        self._directory = directory
        self._batch_tokens = batch_tokens
        self._sink = sink
        self._metrics = JsonlReader(directory / layout.METRICS, "step")
        self._synced = SyncState()
        self._changed, self._finishing = threading.Event(), threading.Event()
        self._exit_code = 1
        self.complete = False
        """Whether the sink has got everything and has closed the run."""
        self._thread = threading.Thread(target=self._follow, name="tracker", daemon=True)
        self._thread.start()

    def log(self, row: Row) -> None:
        """Tells the thread that there is something new in the files. Returns at once."""
        self._changed.set()

    def finish(self, exit_code: int, seconds: float = FINISH_SECONDS) -> None:
        """Sends the rest and ends the run there, for at most so many seconds."""
        self._exit_code = exit_code
        self._finishing.set()
        self._changed.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._report(TimeoutError(f"no answer for {seconds:.0f} s"))

    def _follow(self) -> None:
        try:
            # Not before the first row: until then a resumed run may still truncate its metrics.
            self._changed.wait()
            self._synced = self._sink.sync_state()
            while not self._finishing.is_set():
                self._changed.clear()
                self._send()
                if not self._finishing.wait(PAUSE_SECONDS):
                    self._changed.wait()
            self._send(last=True)
        except Exception as error:
            self._report(error)
            self._finishing.wait()
            with contextlib.suppress(Exception):
                self._sink.end(self._exit_code)
            return
        try:
            self._sink.end(self._exit_code)
            self.complete = True
        except Exception as error:
            self._report(error)

    def _report(self, error: Exception) -> None:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        print(f"{self._directory.name}: {self._sink.name}: {reason}; {self._sink.missing_message}", flush=True)

    def _send(self, last: bool = False) -> None:
        """Steps and scores in order. A checkpoint's scores are whole when training has gone on, or ended."""
        scored = self._synced.scored
        missing = {
            step: count for step, count in Run(self._directory).scored_steps.items() if scored.get(step) != count
        }
        for row in self._rows():
            for step in [step for step in missing if step < row["step"]]:
                self._score(step, missing.pop(step))
            self._sink.add(row)
            self._synced.step = row["step"]
        for step in [step for step in missing if last or step < self._synced.step]:
            self._score(step, missing.pop(step))

    def _score(self, step: int, count: int) -> None:
        scores = scores_in(layout.results_directory(self._directory, step))
        self._sink.score({"tokens": step * self._batch_tokens, SCORED: step, **scores})
        self._synced.scored[step] = count

    def _rows(self) -> Iterator[Row]:
        """The whole lines that were not read yet, of steps that the sink lacks."""
        for row in self._metrics.follow():
            if row["step"] > self._synced.step:
                yield row
