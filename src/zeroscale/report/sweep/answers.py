"""What a study of several settings answers in words: which size, which setting, how noisy, what next."""

import shlex
import string
from collections.abc import Sequence
from typing import NamedTuple

from zeroscale.core import format
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.report.sweep.view import SizeView, Sweep, Tried, further
from zeroscale.report.views.study import StudyView
from zeroscale.runs import layout
from zeroscale.runs.axes import show

MAX_COMMANDS = 2
PLAIN = {*string.ascii_letters, *string.digits, *"=,._-+/:@"}
MAX_NAMED = 6
"""Sizes in one sentence."""


class Answer(NamedTuple):
    """A question of the first screen, and its answer in a sentence or two."""

    question: str
    answer: str
    commands: tuple[str, ...] = ()
    """To type, one after the other."""


def answers(study: StudyView, sweep: Sweep) -> list[Answer]:
    """The four answers; without settings to choose among, or without repeated seeds, fewer."""
    found = [Answer("Which size", _which_size(sweep))]
    if sweep.axes:
        found.append(Answer("Which setting", _which_setting(sweep)))
    found.append(Answer("How noisy", _how_noisy(sweep)))
    return [*found, _what_next(study, sweep)]


def _which_size(sweep: Sweep) -> str:
    ranked = sorted(sweep.sizes, key=lambda size: size.chosen.mean)
    best = ranked[0]
    text = f"{_named(best, best.chosen)} has the lowest loss, {_mean(best.chosen)}"
    if len(ranked) > 1:
        other = ranked[1]
        apart = other.chosen.mean - best.chosen.mean
        text += f"; {_named(other, other.chosen)} is {apart:.3f} nats behind"
        least = sweep.smallest_difference
        if least is not None and apart < least:
            text += ", which is within what seeds do"
    return f"{text}."


def _which_setting(sweep: Sweep) -> str:
    several = [size for size in sweep.sizes if len(size.tried) > 1]
    if not several:
        return "One setting was tried for each size."
    by = f"best mean over {sweep.seeds} seeds" if sweep.seeds > 1 else "lowest loss of one seed each"
    settings = {size.chosen.text for size in several}
    if len(settings) == 1 and len(several) > 1:
        text = f"{next(iter(settings))} for every size, by the {by}."
    else:
        text = f"By the {by}: {_listed([_named(size, size.chosen) for size in several])}."
    tied = [f"{size.name}: {', '.join(one.text for one in size.tied)}" for size in several if size.tied]
    if tied:
        text += f" Not told from the best by the seeds: {_listed(tied, '; ')}."
    return text


def _how_noisy(sweep: Sweep) -> str:
    if sweep.seed_sd is None or sweep.smallest_difference is None:
        return "Not known: no setting was trained with two seeds. Add seeds with -m seed=0,1,2."
    return (
        f"Seeds of one setting scatter by {sweep.seed_sd:.3f} nats (standard deviation, {sweep.seed_freedom} degrees "
        f"of freedom): between two means over {sweep.seeds} seeds, differences from "
        f"{sweep.smallest_difference:.3f} nats on mean something."
    )


def _what_next(study: StudyView, sweep: Sweep) -> Answer:
    steps: list[str] = []
    commands: list[str] = []
    unfinished = study.total - sum(run.done for run in study.runs)
    if unfinished:
        steps.append(f"{unfinished} of {study.total} runs are not done.")
        commands.append(f"zeroscale status study={_path(study)}")
    beyond = []
    for size in sweep.sizes:
        for axis in sweep.axes:
            override = further(size, axis)
            if override:
                value = show(size.chosen.settings[axis.key])
                end = size.edge(axis)
                beyond.append((f"{size.name} is best at the {end} {axis.short} tried ({value})", size, override))
    if beyond:
        steps.append(f"{_listed([text for text, _, _ in beyond], '; ')}: a better one may lie beyond.")
        tried, advice = _commands(study, [(size, override) for _, size, override in beyond])
        commands += tried
        steps += advice
    if sweep.seed_sd is None or any(size.tied for size in sweep.sizes):
        steps.append("More seeds would tell the tied settings apart.")
    if study.fit is None and len(sweep.sizes) > 1:
        steps.append("No law of the chosen settings is fitted yet.")
        commands.append(f"zeroscale fit runs={_path(study)}")
    text = " ".join(steps) or "The best settings lie within what was tried: train a larger size with them."
    return Answer("What next", text, tuple(commands))


def _commands(study: StudyView, beyond: Sequence[tuple[SizeView, str]]) -> tuple[list[str], list[str]]:
    """(Commands, sentences): for each override that looks beyond the study's last command with it, of those sizes; or
    what to add, where that command is not known."""
    sizes: dict[str, list[str]] = {}
    for size, override in beyond:
        sizes.setdefault(override, []).append(size.name.split()[0])
    words = _words_of_study(study)
    found: list[str] = []
    advice: list[str] = []
    for override, models in list(sizes.items())[:MAX_COMMANDS]:
        changed = {word.partition("=")[0]: word for word in (f"model={','.join(dict.fromkeys(models))}", override)}
        if words is None:
            advice.append(f"Add to the study's command: {' '.join(changed.values())}.")
            continue
        kept = [changed.pop(word.partition("=")[0], word) for word in words]
        found.append(" ".join(_quoted(word) for word in [*kept, *changed.values()]))
    return found, advice


def _words_of_study(study: StudyView) -> list[str] | None:
    """The words of the command that made it, a sweep's file aside, which would set the values again."""
    try:
        recorded = read_object(study.directory / layout.SWEEP) if (study.directory / layout.SWEEP).exists() else {}
    except ZeroscaleError:
        return None
    command = recorded.get("command")
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        return None
    return words if "-m" in words and not any(word.startswith("+sweeps=") for word in words) else None


def _quoted(word: str) -> str:
    """For a shell; a list of plain values needs no quotes."""
    return word if set(word) <= PLAIN else shlex.quote(word)


def _path(study: StudyView) -> str:
    return shlex.quote(study.shown_path)


def _named(size: SizeView, one: Tried) -> str:
    return f"{size.name} {one.text}".rstrip()


def _mean(one: Tried) -> str:
    interval = format.interval(*one.ends, 3)
    seeds = f"{len(one.losses)} seeds" if len(one.losses) > 1 else "one seed"
    return f"{one.mean:.3f} ({interval}; {seeds})" if interval else f"{one.mean:.3f} ({seeds})"


def _listed(texts: Sequence[str], separator: str = ", ") -> str:
    more = f" and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    return separator.join(texts[:MAX_NAMED]) + more


def chosen(sweep: Sweep) -> Table | None:
    """A row for each size: its best setting, the mean with its interval, and how far the next is behind."""
    if not any(len(size.tried) > 1 for size in sweep.sizes):
        return None
    columns = [
        Column("size"),
        *(Column(axis.short, number=True) for axis in sweep.axes),
        Column("mean loss", number=True, note="nats per token, 95 % over seeds"),
        Column("seeds", number=True),
        Column("next best"),
        Column("behind by", number=True, note="nats, 95 %"),
        Column("verdict"),
    ]
    return Table(columns, [_row(sweep, size) for size in sweep.sizes], "The setting with the best mean, size by size")


def _row(sweep: Sweep, size: SizeView) -> list[Cell]:
    low, high = size.chosen.ends
    cells = [Cell(size.name, size.params)]
    for axis in sweep.axes:
        value = size.chosen.settings[axis.key]
        cells.append(Cell(show(value), float(value) if isinstance(value, int | float) else None))
    cells.append(
        Cell(f"{size.chosen.mean:.4f}", size.chosen.mean, note=format.interval(low, high, 4), low=low, high=high)
    )
    cells.append(Cell(str(len(size.chosen.losses)), len(size.chosen.losses)))
    if len(size.tried) < 2:
        return [*cells, Cell(format.NOTHING), Cell(format.NOTHING), Cell("one setting tried")]
    second, apart = size.tried[1], size.behind[1]
    said = {True: "within noise", False: "clear", None: "one seed: not known"}[apart.within_noise]
    ends = [f"{axis.short} at its {end}" for axis in sweep.axes if (end := size.edge(axis))]
    interval = format.interval(apart.low, apart.high, 4)
    gap = Cell(f"{apart.value:.4f}", apart.value, note=interval, low=apart.low, high=apart.high)
    return [*cells, Cell(second.text), gap, Cell("; ".join([said, *ends]))]
