"""Figures of a study of several settings: the loss over each of them, and the training curves by group."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from zeroscale.core import format
from zeroscale.core.format import number
from zeroscale.report.figures import plot
from zeroscale.report.figures.plot import Layer, Plot, linear_reach, log_reach
from zeroscale.report.sweep.view import LOSS, SizeView, Sweep, Tried, numbers
from zeroscale.report.views.study import RunView, StudyView
from zeroscale.runs.axes import SIZE, Axis, Value, show

LOG_FROM = 3.0
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""
MAX_GROUPS = 60
MAX_TICKS = 8
Y_TITLE = "validation loss (nats per token)"


def over_settings(sweep: Sweep) -> list[Plot]:
    """A figure for each axis that was varied."""
    return [made for axis in sweep.axes if (made := _over(sweep, axis)) is not None]


def _over(sweep: Sweep, axis: Axis) -> Plot | None:
    """Loss over one setting, a curve a size: means over seeds; where others vary too, each at its best."""
    places = _places(axis)
    sizes = [size for size in sweep.sizes if len(size.at_best(axis.key)) > 1]
    if not sizes:
        return None
    layers: list[Layer] = []
    heights: list[float] = []
    for index, size in enumerate(sizes):
        points = sorted(size.at_best(axis.key).items(), key=lambda item: places[item[0]])
        x, y = [places[value] for value, _ in points], [one.mean for _, one in points]
        low, high = [one.ends[0] for _, one in points], [one.ends[1] for _, one in points]
        place = (index, len(sizes))
        layers.append(Layer("line", x, y, ink="ramp", place=place))
        hover = [_words(size, one) for _, one in points]
        runs = [one.runs[0] for _, one in points]
        bars = any(end is not None for end in low)
        layers.append(
            Layer(
                "points",
                x,
                y,
                ink="ramp",
                place=place,
                low=low if bars else [],
                high=high if bars else [],
                hover=hover,
                runs=runs,
                name=size.name,
            )
        )
        best = places[size.chosen.settings[axis.key]]
        layers.append(Layer("points", [best], [size.chosen.mean], ink="ramp", place=place, symbol="star"))
        heights += [*y, *(end for end in [*low, *high] if end is not None)]
    return Plot(
        f"loss_over_{axis.short.replace('.', '_')}",
        f"Loss over {axis.short}",
        _caption(sweep, axis, sizes),
        "; ".join(f"{size.name}: lowest at {axis.short} {show(size.chosen.settings[axis.key])}" for size in sizes),
        _axis(axis, places),
        plot.Axis(Y_TITLE, linear_reach(heights), log=False),
        layers,
    )


def _caption(sweep: Sweep, axis: Axis, sizes: Sequence[SizeView]) -> str:
    seeds = "Means over seeds with their 95 % intervals. " if sweep.seeds > 1 else "One seed each. "
    others = "Other settings at their best. " if len(sweep.axes) > 1 else ""
    ends = [f"{size.name} ({size.edge(axis)})" for size in sizes if size.edge(axis)]
    at_end = f" At an end of what was tried: {', '.join(ends)}." if ends else ""
    return f"{seeds}{others}Star: the best of each size.{at_end}"


def _words(size: SizeView, one: Tried) -> str:
    interval = format.interval(*one.ends, 4)
    losses = ", ".join(f"{loss:.3f}" for loss in list(one.losses.values())[:10])
    count = f"{len(one.losses)} seeds: {losses}" if len(one.losses) > 1 else "one seed"
    return f"{size.name} {one.text}\n{one.mean:.4f}" + (f" ({interval})" if interval else "") + f"\n{count}"


def _places(axis: Axis) -> dict[Value, float]:
    """Where each value stands: at its number, or one after the other."""
    values = numbers(axis.values)
    return {value: float(i) if values is None else values[i] for i, value in enumerate(axis.values)}


def _axis(axis: Axis, places: Mapping[Value, float]) -> plot.Axis:
    at = sorted(places.values())
    texts = {place: show(value) for value, place in places.items()}
    few = len(at) <= MAX_TICKS
    axis_at, shown = (tuple(at), lambda place: texts[place]) if few else ((), None)
    if at[0] > 0 and at[-1] / at[0] >= LOG_FROM:
        return plot.Axis(axis.key, log_reach(at, 0.1), show=shown, at=axis_at)
    return plot.Axis(axis.key, linear_reach(at), log=False, show=shown, at=axis_at)


def curves(study: StudyView) -> list[Plot]:
    """Validation loss over tokens, a line for each size and setting: the mean over seeds, in a band from the lowest to
    the highest of them; once coloured by size, and once by each setting that was varied."""
    groups = _groups(study)
    if not groups or len(groups) > MAX_GROUPS:
        return []
    by = [axis for axis in study.axes.varied if axis.kind in ("size", "setting")]
    return [_curves(study, axis, groups) for axis in by]


def _groups(study: StudyView) -> dict[tuple[Value, ...], list[RunView]]:
    keys = [axis.key for axis in study.axes.varied if axis.kind != "seed"]
    groups: dict[tuple[Value, ...], list[RunView]] = {}
    for run in study.runs:
        groups.setdefault(tuple(study.axes.value(run.run, key) for key in keys), []).append(run)
    return groups


def _curves(study: StudyView, axis: Axis, groups: Mapping[tuple[Value, ...], list[RunView]]) -> Plot:
    layers: list[Layer] = []
    xs: list[float] = []
    ys: list[float] = []
    order = _by_size(study) if axis.key == SIZE else list(axis.values)
    named: set[Value] = set()
    for runs in groups.values():
        value = study.axes.value(runs[0].run, axis.key)
        points = _validations(runs)
        if not points:
            continue
        x, losses = [tokens for tokens, _ in points], [found for _, found in points]
        y = [fmean(found) for found in losses]
        place = (order.index(value), len(order))
        if len(runs) > 1:
            low, high = [min(found) for found in losses], [max(found) for found in losses]
            layers.append(Layer("band", x, ink="ramp", place=place, low=list(low), high=list(high)))
            ys += [*low, *high]
        label = _group_label(study, runs)
        name = "" if value in named else show(value) if axis.key == SIZE else study.axes.text(axis.key, value)
        named.add(value)
        hover = [f"{label}\n{format.scaled(t)} tokens: {loss:.4f}" for t, loss in zip(x, y, strict=True)]
        layers.append(
            Layer("line", x, y, ink="ramp", place=place, hover=hover, name=name, runs=[runs[0].name] * len(x))
        )
        xs += x
        ys += y
    by = "size" if axis.key == SIZE else axis.short
    return Plot(
        f"curves_by_{by.replace('.', '_')}",
        f"Validation loss, coloured by {by}",
        f"A line for each size and setting: the mean over its seeds; shaded: from the lowest to the highest of them. "
        f"Coloured by {by}.",
        f"{len(groups)} groups of runs, coloured by {by}",
        plot.Axis("training tokens, D", log_reach(xs or [1.0, 10.0]), show=format.scaled),
        plot.Axis(Y_TITLE, linear_reach(ys or [0.0, 1.0]), log=False),
        layers,
    )


def _by_size(study: StudyView) -> list[Value]:
    """Models from the smallest to the largest."""
    return list(dict.fromkeys(run.run.model for run in study.runs))


def _group_label(study: StudyView, runs: Sequence[RunView]) -> str:
    keys = [axis.key for axis in study.axes.varied if axis.kind not in ("seed", "size")]
    texts = [study.axes.text(key, study.axes.value(runs[0].run, key)) for key in keys]
    return " ".join([runs[0].run.model or runs[0].name, *texts])


def _validations(runs: Sequence[RunView]) -> list[tuple[float, list[float]]]:
    """(tokens, the loss of each run), where all runs that got so far have one."""
    found: dict[float, list[float]] = {}
    for run in runs:
        for row in run.metrics:
            if LOSS not in row:
                continue
            tokens, loss = number(row.get("tokens")), number(row[LOSS])
            if tokens is not None and loss is not None:
                found.setdefault(tokens, []).append(loss)
    most = max(map(len, found.values()), default=0)
    return sorted((tokens, losses) for tokens, losses in found.items() if len(losses) == most)
