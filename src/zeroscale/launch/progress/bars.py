"""The bars of runs in training, fitted to the width of a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zeroscale.core.format import duration
from zeroscale.training.progress_events import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType

_GAP = "  "
_SHORTEST = 8
_LONGEST = 40
"""Characters of a bar."""
_WORDS, _WORDS_OF_ALL = 54, 70
"""Characters of all words about a run, and with those about the whole sweep."""


def single(width: int, head: str, label: str, progress: Progress | None, stage: str, whole: str) -> "RenderableType":
    """One run: "run 3 of 30  pocket-s lr=0.003  ━━━━━  48 %  loss 5.413  43.1k tokens/s  0:12 left  all 4:12 left"; on
    two lines where it is too long for one."""
    from rich.console import Group
    from rich.text import Text

    name = _GAP.join(part for part in (head, label) if part)
    words = [*_words(progress, stage), *([f"all {whole} left"] if whole else [])]
    used = sum(map(len, (name, *words))) + len(_GAP) * (len(words) + 1)
    # By the longest words there may be, so that a run stays on one line or on two.
    if width - len(name) - (_WORDS_OF_ALL if whole else _WORDS) >= _SHORTEST:
        return _line(name, progress, words, min(_LONGEST, width - used))
    room = width - sum(map(len, words)) - len(_GAP) * len(words)
    return Group(Text(name, no_wrap=True, overflow="ellipsis"), _line("", progress, words, min(_LONGEST, room)))


def row(width: int, label: str, progress: Progress | None, stage: str, labels: Sequence[str]) -> "RenderableType":
    """One of several runs at once; names and bars of all stand below each other."""
    name = label.ljust(max(map(len, labels)))
    words = _words(progress, stage)
    used = len(name) + sum(map(len, words)) + len(_GAP) * (len(words) + 1)
    if width - used < _SHORTEST and len(words) == 4:
        # The rate is what a narrow terminal can do without.
        del words[2]
        used = len(name) + sum(map(len, words)) + len(_GAP) * (len(words) + 1)
    return _line(name, progress, words, min(_LONGEST, width - used))


def total(width: int, done: int, failed: int, running: int, count: int, whole: str) -> "RenderableType":
    """How many of all runs are done, and the time until the last is."""
    from rich.text import Text

    words = [f"{done} of {count} runs done", *([f"{failed} failed"] if failed else [])]
    words += [*([f"{running} running"] if running else []), *([f"{whole} left"] if whole else [])]
    return Text(_GAP.join(words)[:width], no_wrap=True, overflow="ellipsis")


def _words(progress: Progress | None, stage: str) -> list[str]:
    """Share, loss, rate, time left; of a run that is not in its steps what it does."""
    stage = stage.partition(";")[0]
    if progress is None:
        return [stage]
    share = f"{progress.step / progress.steps:4.0%}".replace("%", " %")
    if stage:
        return [share, f"loss {progress.loss:.3f}", stage]
    return [share, f"loss {progress.loss:.3f}", progress.rate, f"{duration(progress.seconds_left, 'clock')} left"]


def _line(name: str, progress: Progress | None, words: Sequence[str], bar: int) -> "RenderableType":
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, len(_GAP), 0, 0))
    cells: list[RenderableType] = [Text(name, no_wrap=True, overflow="ellipsis")] if name else []
    if bar >= _SHORTEST:
        share = progress.step / progress.steps if progress else 0.0
        cells.append(ProgressBar(total=1.0, completed=share, width=bar))
    cells += [Text(word, no_wrap=True, overflow="ellipsis") for word in words]
    for _ in cells:
        line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_row(*cells)
    return line
