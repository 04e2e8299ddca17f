"""A study of several settings: what each size reached with each of them, over its seeds, and which is the best.

The rule is that of `fit`: of a size's settings the one with the best mean over seeds (`zeroscale.core.best_mean`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance

from zeroscale.core import best_mean
from zeroscale.core.best_mean import Difference, Seed
from zeroscale.core.format import number
from zeroscale.report.views.study import RunView, StudyView
from zeroscale.runs.axes import TOKENS, Axis, Value, show

LOSS = "val/loss"


@dataclass(frozen=True)
class Tried:
    """A setting of a size: the final losses of its runs in nats per token, by seed."""

    settings: Mapping[str, Value]
    text: str
    """ "lr=0.003"; "" where only seeds vary."""
    losses: Mapping[Seed, float]
    runs: tuple[str, ...]
    """Names, in the order of the losses."""

    @property
    def mean(self) -> float:
        return fmean(self.losses.values())

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """Of the mean over seeds: 95 %, Student's t; none with one seed."""
        values = list(self.losses.values())
        if len(values) < 2:
            return None, None
        half = best_mean.student(len(values) - 1) * stdev(values) / math.sqrt(len(values))
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class SizeView:
    """The runs of one size (and of one training length), by setting, the best mean first."""

    name: str
    params: float
    tried: tuple[Tried, ...]
    behind: tuple[Difference, ...]
    """How much worse each is than the first; of the first itself, zero."""

    @property
    def chosen(self) -> Tried:
        return self.tried[0]

    @property
    def tied(self) -> list[Tried]:
        """Those that the seeds do not tell from the best."""
        return [one for one, apart in zip(self.tried[1:], self.behind[1:], strict=True) if apart.within_noise]

    def at_best(self, key: str) -> dict[Value, Tried]:
        """Of each value of an axis the best of what was tried with it."""
        best: dict[Value, Tried] = {}
        for one in self.tried:
            best.setdefault(one.settings[key], one)
        return best

    def edge(self, axis: Axis) -> str | None:
        """ "smallest" or "largest" where the best lies at an end of three values or of two."""
        values = numbers(self.at_best(axis.key))
        value = self.chosen.settings[axis.key]
        if values is None or len(values) < 2 or not isinstance(value, int | float):
            return None
        return {min(values): "smallest", max(values): "largest"}.get(value)


@dataclass(frozen=True)
class Sweep:
    """`axes` are the settings that vary, apart from size and seed; `sizes` the finished runs, the smallest first."""

    axes: tuple[Axis, ...]
    sizes: tuple[SizeView, ...]
    seed_sd: float | None
    """Of a single run's loss about the mean of its setting, in nats, over all settings with two seeds or more."""
    seed_freedom: int
    """Degrees of freedom of `seed_sd`."""

    @property
    def seeds(self) -> int:
        """Of a setting, as most of them have it."""
        counts = sorted(len(one.losses) for size in self.sizes for one in size.tried)
        return counts[len(counts) // 2]

    @property
    def smallest_difference(self) -> float | None:
        """Between two means of so many seeds, in nats, that is beyond 95 % of chance; None without repeated seeds."""
        if self.seed_sd is None:
            return None
        return best_mean.student(self.seed_freedom) * self.seed_sd * math.sqrt(2 / self.seeds)


def read(study: StudyView) -> Sweep | None:
    """What was varied beside the size; None where nothing was, or no run is done."""
    axes = study.axes
    chosen_among = (*axes.settings, *([axes.tokens] if axes.tokens else []))
    if not chosen_among and not axes.seeds:
        return None
    groups: dict[tuple[float, str, Value], dict[tuple[Value, ...], list[RunView]]] = {}
    for run in study.runs:
        if run.done and run.params and number(run.row.get(LOSS)) is not None:
            length = axes.value(run.run, TOKENS) if axes.tokens else None
            setting = tuple(axes.value(run.run, axis.key) for axis in axes.settings)
            size = groups.setdefault((run.params, run.run.model or run.name, length), {})
            size.setdefault(setting, []).append(run)
    if not groups:
        return None
    sizes = [_size(study, key, settings) for key, settings in sorted(groups.items(), key=lambda item: _order(item[0]))]
    spread = [list(one.losses.values()) for size in sizes for one in size.tried if len(one.losses) > 1]
    freedom = sum(len(values) - 1 for values in spread)
    squares = math.fsum(variance(values) * (len(values) - 1) for values in spread)
    return Sweep(axes.settings, tuple(sizes), math.sqrt(squares / freedom) if freedom else None, freedom)


def chosen_runs(study: StudyView) -> set[str] | None:
    """Names of the finished runs whose setting is the best of its size; None where no size has several settings."""
    sweep = read(study)
    if sweep is None or all(len(size.tried) == 1 for size in sweep.sizes):
        return None
    return {name for size in sweep.sizes for name in size.chosen.runs}


def _order(key: tuple[float, str, Value]) -> tuple[float, float, str]:
    params, name, length = key
    return params, length if isinstance(length, int | float) else 0.0, name


def _size(
    study: StudyView, key: tuple[float, str, Value], settings: Mapping[tuple[Value, ...], list[RunView]]
) -> SizeView:
    params, model, length = key
    tried = []
    for setting, runs in settings.items():
        losses: dict[Seed, float] = {}
        for run in runs:
            seed = run.run.seed
            losses[run.name if seed is None or seed in losses else seed] = number(run.row.get(LOSS)) or 0.0
        values = {axis.key: value for axis, value in zip(study.axes.settings, setting, strict=True)}
        text = " ".join(study.axes.text(name, value) for name, value in values.items())
        tried.append(Tried(values, text, losses, tuple(run.name for run in runs)))
    order, _ = best_mean.rank([one.losses for one in tried])
    ranked = [tried[index] for index in order]
    behind = [best_mean.difference(one.losses, ranked[0].losses) for one in ranked[1:]]
    name = model if length is None else f"{model} {study.axes.text(TOKENS, length)}"
    return SizeView(name, params, tuple(ranked), (Difference(0.0, 0.0, 0.0), *behind))


def numbers(values: Sequence[Value] | Mapping[Value, object]) -> list[float] | None:
    """The values as numbers; None where one is none."""
    found = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return [float(value) for value in found] if len(found) == len(values) else None


def further(size: SizeView, axis: Axis) -> str | None:
    """What to add to a command to look beyond the best, where that lies at an end of the values: an override."""
    value = size.chosen.settings[axis.key]
    tried = [one for one in size.at_best(axis.key) if isinstance(one, int | float)]
    if size.edge(axis) is None or not isinstance(value, int | float):
        return None
    beyond = best_mean.beyond(tried, value)
    return None if beyond is None else f"{axis.key}={show(beyond)}"
