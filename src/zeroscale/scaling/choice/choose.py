"""One rule of choice: of a size's runs those of one setting count, by default that with the best mean over seeds."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, variance

from zeroscale.core import best_mean
from zeroscale.core.best_mean import Seed
from zeroscale.core.format import compact
from zeroscale.runs.axes import show
from zeroscale.scaling.choice.record import Choice, SettingMean, SizeChoice, Value
from zeroscale.scaling.choice.settings import RunSettings, refuse_incomparable
from zeroscale.scaling.choice.words import notes, summary
from zeroscale.scaling.run_selection import NOT_CHOSEN, LeftOutRun, SelectedRun

# Lengths this close are one: whole batches of another size make a slightly other number of tokens.
SAME_LENGTH = 1.01
BEST_MEAN, ALL = "best-mean", "all"
Setting = tuple[Value, ...]
Runs = list[SelectedRun]
Losses = list[dict[Seed, float]]
"""Of each setting of a size, the chosen one first: its losses by seed."""


def choose(
    runs: Sequence[SelectedRun],
    settings: RunSettings,
    left_out: list[LeftOutRun],
    *,
    select: str = BEST_MEAN,
    source: str = "",
) -> tuple[Runs, Choice | None, list[Losses]]:
    """(the runs that count, what was chosen, losses of each of its sizes).

    Nothing is chosen where every size has one setting; then all runs count.

    A size is a count of parameters together with the tokens at the end of the run: among runs of several lengths the
    choice is made for each length. Of a run with several checkpoints the last decides, and all of them follow.

    Args:
        left_out: gets an entry for each run that is not chosen.
        select: "best-mean", or "all" for no choice: then runs of all settings are repeats of one another.
        source: what `runs=` was given, for a message.

    Raises:
        ZeroscaleError: runs of a size differ in their text, tokenizer or context.
    """
    if select == ALL:
        return list(runs), None, []
    groups = _groups(runs, settings)
    if all(len(found) == 1 for found in groups.values()):
        return list(runs), None, []
    refuse_incomparable(
        settings, [[run.cell for own in found.values() for run in own] for found in groups.values()], source
    )
    kept: set[str] = set()
    sizes, losses = [], []
    several = len({tokens for _, tokens in groups}) > 1
    for (params, _), found in groups.items():
        size, own = _size(params, found, settings, several)
        sizes.append(size)
        losses.append(own)
        assert size.chosen is not None
        kept |= set(size.chosen.cells)
    dropped = list(dict.fromkeys(run.cell for run in runs if run.cell not in kept))
    left_out += [LeftOutRun(cell, NOT_CHOSEN) for cell in dropped]
    differing = tuple(key for key in settings.keys if any(_differ(size, key) for size in sizes))
    choice = Choice(
        select=select,
        axes=differing,
        summary=summary(sizes, [settings.short[key] for key in differing], len(dropped)),
        notes=tuple(notes(sizes)),
        sizes=tuple(sizes),
    )
    return [run for run in runs if run.cell in kept], choice, losses


def _differ(size: SizeChoice, key: str) -> bool:
    assert size.chosen is not None
    return len({show(one.settings.get(key)) for one in (size.chosen, *size.others)}) > 1


def _groups(runs: Sequence[SelectedRun], settings: RunSettings) -> dict[tuple[float, float], dict[Setting, Runs]]:
    """The last checkpoint of each run, by (params, tokens) and setting; smallest size first."""
    last: dict[str, SelectedRun] = {}
    for run in runs:
        if run.cell not in last or run.tokens > last[run.cell].tokens:
            last[run.cell] = run
    groups: dict[tuple[float, float], dict[Setting, Runs]] = {}
    params, tokens = 0.0, 0.0
    for run in sorted(last.values(), key=lambda run: (run.params, run.tokens, run.cell)):
        if run.params != params or run.tokens > SAME_LENGTH * tokens:
            params, tokens = run.params, run.tokens
        # Two models of one size are two settings of it.
        key = (run.model, *settings.of(run.cell))
        groups.setdefault((params, tokens), {}).setdefault(key, []).append(run)
    return groups


def _size(
    params: float, found: Mapping[Setting, Runs], settings: RunSettings, several_lengths: bool
) -> tuple[SizeChoice, Losses]:
    candidates = list(found.items())
    losses = [by_seed(own) for _, own in candidates]
    order, common = best_mean.rank(losses)
    models = {setting[0] for setting in found}
    keys = [key for i, key in enumerate(settings.keys, 1) if len({show(setting[i]) for setting in found}) > 1]

    def label(setting: Setting) -> str:
        parts = [settings.text(key, setting[1 + settings.keys.index(key)]) for key in keys]
        return " ".join([str(setting[0]), *parts] if len(models) > 1 else parts)

    means = []
    for index in order:
        setting, own = candidates[index]
        apart = None if index == order[0] else best_mean.difference(losses[index], losses[order[0]])
        means.append(
            SettingMean(
                label=label(setting),
                settings=dict(zip(settings.keys, setting[1:], strict=True)),
                cells=tuple(run.cell for run in own),
                seeds=tuple(run.seed for run in own),
                loss=fmean(run.loss for run in own),
                loss_sd=_sd([run.loss for run in own]),
                difference=None if apart is None else apart.value,
                low=None if apart is None else apart.low,
                high=None if apart is None else apart.high,
                within_noise=None if apart is None else apart.within_noise,
            )
        )
    tokens = candidates[order[0]][1][0].tokens
    model = str(candidates[order[0]][0][0]) if len(models) == 1 and None not in models else None
    edges, further = _edges(means, keys, model)
    name = model or f"N = {compact(params)}"
    size = SizeChoice(
        name=f"{name} on {compact(tokens)} tokens" if several_lengths else name,
        model=model,
        params=params,
        tokens=tokens,
        chosen=means[0],
        others=tuple(means[1:]),
        same_seeds=common is not None,
        edges=edges,
        further=further,
    )
    return size, [losses[index] for index in order]


def by_seed(runs: Sequence[SelectedRun]) -> dict[Seed, float]:
    """Losses by seed; of a repeated or unknown seed by the run's name, which no other setting has."""
    losses: dict[Seed, float] = {}
    for run in runs:
        losses[run.cell if run.seed is None or run.seed in losses else run.seed] = run.loss
    return losses


def _sd(losses: Sequence[float]) -> float | None:
    """Of the mean."""
    return math.sqrt(variance(losses) / len(losses)) if len(losses) > 1 else None


def _edges(
    means: Sequence[SettingMean], keys: Sequence[str], model: str | None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """At which end of what was tried the best lies, of each axis that has numbers, and what to type to go further."""
    best = means[0]
    edges: dict[str, str] = {}
    further = []
    for key in keys:
        same = _elsewhere(best, key)
        tried = [one.settings[key] for one in means if same(one)]
        numbers = [value for value in tried if isinstance(value, int | float) and not isinstance(value, bool)]
        value = best.settings[key]
        if len(numbers) != len(tried) or len(set(numbers)) < 2 or not isinstance(value, int | float):
            continue
        if value in (min(numbers), max(numbers)):
            edges[key] = "smallest" if value == min(numbers) else "largest"
            next_value = best_mean.beyond(numbers, value)
            if next_value is not None:
                others = [f"{other}={show(best.settings[other])}" for other in keys if other != key]
                further.append(" ".join([*([f"model={model}"] if model else []), f"{key}={next_value:g}", *others]))
    return edges, tuple(further)


def _elsewhere(best: SettingMean, key: str) -> Callable[[SettingMean], bool]:
    """Whether a setting has the best one's value of every axis but this."""
    return lambda one: all(show(one.settings[k]) == show(v) for k, v in best.settings.items() if k != key)
