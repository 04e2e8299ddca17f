"""The progress of a run in training: a bar on a terminal, a line now and then in a log."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from zeroscale.core.format import duration
from zeroscale.core.machine import read_number

_LINE_SECONDS = 5.0


class ProgressLine:
    """Progress of one run: step, loss, tokens per second and time left.

    The launcher sets ZEROSCALE_TERMINAL to the width of its terminal; 0 or unset: lines instead of a bar.
    """

    def __init__(self, name: str, total: int, quiet: bool = False) -> None:
        self._name = name
        self._total = total
        self._quiet = quiet
        self._last_line = 0.0
        self._rate = 0.0
        self._bar: Progress | None = None
        width = read_number("ZEROSCALE_TERMINAL", 0)
        if width and not quiet:
            console = Console(file=sys.stdout, force_terminal=True, width=width)
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.completed}/{task.total} {task.fields[words]}"),
                TimeElapsedColumn(),
                console=console,
            )
            self._bar.start()
            self._task = self._bar.add_task(name, total=total, words="")

    def update(
        self, step: int, loss: float, tokens_per_s: float, seconds_per_step: float, val_loss: float | None
    ) -> None:
        """Shows one more step."""
        self._rate = seconds_per_step if not self._rate else 0.95 * self._rate + 0.05 * seconds_per_step
        line_due = time.monotonic() - self._last_line > _LINE_SECONDS or step == self._total
        if self._quiet or not (self._bar or line_due):
            return
        left = duration((self._total - step) * self._rate, "clock")
        words = f"loss {loss:.3f}" + (f"  val {val_loss:.3f}" if val_loss is not None else "")
        words += f"  {tokens_per_s / 1000:.1f}k tokens/s  {left} left"
        if self._bar:
            self._bar.update(self._task, completed=step, words=words)
        else:
            self._last_line = time.monotonic()
            print(f"{self._name}  step {step}/{self._total}  {words}", flush=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False)
        elif not self._quiet:
            print(text, flush=True)

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self._bar:
            self._bar.stop()
