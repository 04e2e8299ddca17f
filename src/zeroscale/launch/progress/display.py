"""What a person sees of runs in training: on a terminal one bar, or a line for each of several at once; else lines."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from zeroscale.config.train import TrainConfig
from zeroscale.core.format import duration
from zeroscale.launch.progress.labels import labels
from zeroscale.launch.progress.time_left import Cost, TimeLeft
from zeroscale.training.progress_events import Event, Pace, Progress

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_REFRESH = 5.0
"""Frames a second."""


@dataclass
class _Active:
    """A run that is being trained."""

    label: str
    number: int | None
    """Its place among the runs, from 1; None of a trunk that they wait for."""
    progress: Progress | None = None
    stage: str = "starting"
    began: float = field(default_factory=time.monotonic)
    pace: Pace = field(default_factory=Pace)


class Display:
    """Shows the progress of runs while it is entered. Its methods may be called from several threads."""

    def __init__(self, names: Mapping[str, str], costs: Mapping[str, Cost] | None = None, at_once: int = 1) -> None:
        """`names`: what to call each run, by its name, in the order of the sweep."""
        self._labels = dict(names)
        self._numbers = {name: number for number, name in enumerate(names, 1)}
        self._at_once = at_once
        self._left = TimeLeft(costs or {}, at_once)
        self._active: dict[str, _Active] = {}
        self._done = self._failed = 0
        self._skipped: dict[str, int] = {}
        self._lines: list[str] = []
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self._live: Live | None = None

    @classmethod
    def of(cls, configs: Sequence[TrainConfig], at_once: int = 1) -> Self:
        """For the runs with these settings."""
        costs = {
            config.cell: Cost(
                (config.model, config.vocab_size, config.context, config.trainer, config.cards),
                float(config.flops_per_token) * config.trainer.tokens,
            )
            for config in configs
        }
        return cls(labels(configs), costs, at_once)

    def __enter__(self) -> Self:
        from rich.console import Console

        self._console = console = Console()
        if console.is_terminal and not console.is_dumb_terminal:
            from rich.live import Live

            self._live = Live(get_renderable=self.render, console=console, refresh_per_second=_REFRESH, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changing():
            self._say_skipped()
        if self._live is not None:
            # Its last frame is drawn as it stops.
            self._live.stop()
            self._live = None

    @property
    def several(self) -> bool:
        """Whether it shows more than one run."""
        return len(self._labels) > 1

    def label(self, name: str) -> str:
        """What a run is called, with its place in the sweep."""
        number = self._numbers.get(name)
        place = f"run {number} of {len(self._labels)}  " if self.several and number is not None else ""
        return place + self._labels.get(name, name)

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._changing():
            self._say_skipped()
            self._lines.append(text)

    def say_once(self, text: str) -> None:
        """A line that the runs of a sweep share: its first saying stays."""
        with self._lock:
            known = text in self._said
            self._said.add(text)
        if not known:
            self.say(text)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Prints the lines that came in it once the lock is free: a frame is drawn under Rich's own lock, and then asks
        for ours."""
        with self._lock:
            yield
            lines, self._lines = self._lines, []
        for line in lines:
            if self._live is not None:
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                print(line, flush=True)

    def skip(self, name: str, note: str) -> None:
        """A run was done already. Of a sweep, the runs that follow each other are counted in one line."""
        with self._changing():
            self._left.end(name, done=False)
            self._done += 1
            if self.several:
                self._skipped[note] = self._skipped.get(note, 0) + 1
            else:
                self._lines.append(f"{self.label(name)}: done already, nothing to run{note}")

    def _say_skipped(self) -> None:
        for note, number in self._skipped.items():
            self._lines.append(f"{number} {'run' if number == 1 else 'runs'}: done already, nothing to run{note}")
        self._skipped.clear()

    def begin(self, name: str) -> None:
        """A run is being trained from now on."""
        with self._changing():
            self._say_skipped()
            self._active[name] = _Active(self._labels.get(name, name), self._numbers.get(name))
            self._left.begin(name)

    def event(self, name: str, event: Event) -> None:
        """What a run's worker tells."""
        with self._changing():
            run = self._active[name]
            if event.kind == "progress" and event.progress is not None:
                run.progress, run.stage = event.progress, ""
                self._left.progress(name, event.progress.seconds_left)
                if event.progress.step == event.progress.steps:
                    run.stage = "trained"
                elif self._live is None and run.pace.is_due():
                    whole = self._whole()
                    self._lines.append(f"{self.label(name)}  {event.progress.line}{f', all {whole}' if whole else ''}")
            elif event.kind == "stage":
                run.stage = event.text
                if self._live is None and run.pace.is_due():
                    self._lines.append(f"{self.label(name)}  {event.text}")
            elif event.kind == "detail" and not self.several:
                self._lines.append(event.text)

    def _whole(self) -> str:
        """The time until all runs are done; "" of a single run, or where it is not known."""
        left = self._left.whole() if self.several else None
        return "" if left is None else duration(left, "clock")

    def end(self, name: str, state: str, reason: str) -> None:
        """A run has ended: a line that stays says how."""
        with self._changing():
            run = self._active.pop(name, None)
            self._left.end(name, done=state == "done")
            if state == "busy":
                return
            self._done += state == "done" and name in self._numbers
            self._failed += state == "failed" and name in self._numbers
            took = duration(time.monotonic() - run.began, "clock") if run else ""
            if state == "done":
                progress = run.progress if run else None
                how = f"step {progress.step}/{progress.steps}  {progress.losses}  {progress.rate}  " if progress else ""
                self._lines.append(f"{self.label(name)}  {how}done in {took}")
            elif self.several or name not in self._numbers:
                self._lines.append(f"{self.label(name)}: {state}: {reason}")

    def render(self) -> "RenderableType":
        """The lines at the foot of the terminal."""
        from rich.console import Group
        from rich.text import Text

        from zeroscale.launch.progress import bars

        with self._lock:
            width = self._console.width
            active = list(self._active.values())
            whole = self._whole()
            total = len(self._labels)
            if not active:
                return bars.total(width, self._done, self._failed, 0, total, whole) if self.several else Text("")
            if self._at_once == 1:
                run = active[-1]
                head = f"run {run.number} of {total}" if self.several and run.number is not None else ""
                return bars.single(width, head, run.label, run.progress, run.stage, whole)
            names = [run.label for run in active]
            rows = [bars.row(width, run.label, run.progress, run.stage, names) for run in active]
            return Group(*rows, bars.total(width, self._done, self._failed, len(active), total, whole))
