"""Runs chosen by their settings (`where.optimizer.lr=0.003`), or by a part of their name."""

import json
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs.axes import SIZE, Axes, Value, show
from zeroscale.runs.run import Run

Wanted = Value | Sequence[Value]
"""A setting's value, or several of which a run may have any."""
MOST_NAMES = 8
"""In a message."""


def matching(axes: Axes, filters: Mapping[str, Wanted]) -> list[Run]:
    """The runs that have all these settings, in the study's order; keys are dotted or what tables call an axis.

    Raises:
        ZeroscaleError: a key that no run has, or no run with these values; names what there is.
    """
    keys = {given: _key(axes, given) for given in filters}
    runs = [
        run
        for run in axes.runs
        if all(is_among(axes.value(run, keys[given]), wanted) for given, wanted in filters.items())
    ]
    if not runs and axes.runs:
        raise ZeroscaleError(_none_has(axes, {keys[given]: wanted for given, wanted in filters.items()}))
    return runs


def text(filters: Mapping[str, Wanted]) -> str:
    """As one types it: where.optimizer.lr=0.003 where.seed=0,1."""
    return " ".join(f"where.{key}={','.join(map(show, _several(wanted)))}" for key, wanted in filters.items())


def _several(wanted: Wanted) -> Sequence[Value]:
    return wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]


def one(axes: Axes, part: str) -> Run:
    """The run that a part of its name, or of what tables call it, belongs to alone: the whole name, the whole label,
    or words of which each is a part of either.

    Raises:
        ZeroscaleError: no run, or several; names them.
    """
    for run in axes.runs:
        if part in (run.name, axes.label(run)):
            return run
    words = part.lower().split()
    found = [
        run for run in axes.runs if words and all(word in f"{run.name} {axes.label(run)}".lower() for word in words)
    ]
    # "s" is a part of "seed", and "lr=0.003" of "lr=0.0035": what is a whole part of a name decides.
    whole = [run for run in found if set(words) <= _parts(f"{run.name} {axes.label(run)}".lower())]
    chosen = whole or found
    if len(chosen) == 1:
        return chosen[0]
    names = [axes.label(run) for run in (chosen or axes.runs)]
    shown = "; ".join(names[:MOST_NAMES]) + (f"; and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
    what = f"belongs to {len(chosen)} runs: {shown}" if chosen else f"is part of no run's name here: {shown}"
    raise ZeroscaleError(f"{part!r} {what}")


def _parts(text: str) -> set[str]:
    return {*text.split(), *text.replace("-", " ").split(), *text.replace("=", " ").split()}


def _key(axes: Axes, given: str) -> str:
    by_short = {axis.short: axis.key for axis in axes.varied}
    if given == "model":
        return SIZE
    key = by_short.get(given, given)
    if axes.has(key) or key in axes.columns:
        return key
    known = [*by_short, *axes.columns]
    near = get_close_matches(given, known, n=1, cutoff=0.5)
    hint = f" (did you mean where.{near[0]}?)" if near else ""
    varied = ", ".join(f"where.{axis.key}" for axis in axes.varied) or "none: all their settings are the same"
    raise ZeroscaleError(f"where.{given}: no run has this setting{hint}. Settings that differ here: {varied}")


def is_among(value: Value, wanted: Wanted) -> bool:
    """Whether a setting's value is the wanted one, or one of several; numbers to nine digits."""
    several = _several(wanted)
    if isinstance(value, str) and value.startswith("[") and value == json.dumps(list(several)):
        return True
    return any(_equal(value, one) for one in several)


def _equal(value: Value, wanted: Value) -> bool:
    numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in (value, wanted))
    if numbers and value is not None and wanted is not None:
        return math.isclose(float(value), float(wanted), rel_tol=1e-9)
    return value == wanted or show(value) == show(wanted)


def _none_has(axes: Axes, filters: Mapping[str, Wanted]) -> str:
    lines = []
    for key, wanted in filters.items():
        values = sorted({show(axes.value(run, key)) for run in axes.runs})
        lines.append(f"{text({key: wanted})}: the runs have {', '.join(values[:20])}")
    together = " (each alone is there, not together)" if len(filters) > 1 else ""
    return f"no run has these settings{together}. " + "; ".join(lines)
