"""What Hydra's grammar or its composition would fail at, hang on or die of, found in the command line before."""

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override

MAX_JOBS = 5_000
"""Of one multirun: more are a slip, and composing them takes minutes and gigabytes."""
MAX_DEPTH = 20
"""Brackets in brackets: Hydra's parser descends into each."""
MAX_DIGITS = 300
"""Of a number: a double has 309 before its point."""
# Of Hydra's own settings those that mean something here: where a sweep's jobs start, where groups are looked for.
_OF_HYDRA = ("hydra/launcher", "hydra.launcher.", "hydra.searchpath")
_TOKENS = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|\\.|[\[\](){}]|[0-9_.]+", re.DOTALL)


def check_text(override: str) -> None:
    """Checks one override before it is parsed.

    Raises:
        ZeroscaleError: brackets nested too deeply, a number too long to be one, no key, or a setting of Hydra's own.
    """
    key, _, value = override.partition("=")
    bare = key.lstrip("+~")
    if not bare.strip():
        raise ZeroscaleError(f"{override[:80]!r} names no setting; write key=value")
    if bare.partition(".")[0].partition("/")[0].partition("@")[0] == "hydra" and not bare.startswith(_OF_HYDRA):
        raise ZeroscaleError(
            f"{bare}: of Hydra's own settings the command line takes hydra/launcher=NAME, "
            "hydra.launcher.KEY=VALUE and hydra.searchpath=[file://DIR]"
        )
    depth = 0
    for token in _TOKENS.findall(value):
        depth += (token in "[({") - (token in "])}")
        if depth > MAX_DEPTH:
            raise ZeroscaleError(f"{bare}: brackets in brackets, more than {MAX_DEPTH} deep; no setting is so")
        if token[0] in "0123456789_." and len(token) > MAX_DIGITS:
            raise ZeroscaleError(f"{bare}: a number of {len(token):,} digits; no setting takes one")


def check_choices(parsed: Sequence["Override"], loader: "ConfigLoader") -> None:
    """Checks that names stand where a group's choice is made.

    Raises:
        ZeroscaleError: a number, boolean, list, mapping or nothing stands there.
    """
    for override in parsed:
        key = override.key_or_group
        if not loader.get_group_options(key, results_filter=None) and key != "sweeps":
            continue
        given = override.value()
        if override.is_delete() and (given is None or isinstance(given, str)):
            continue
        values = getattr(given, "list", [given])
        wrong = next((value for value in values if not _is_choice(value, override)), None)
        if wrong is not None or None in values:
            known = ", ".join(loader.get_group_options(key))
            shown = override.input_line or key
            raise ZeroscaleError(f"{shown[:80]}: the name of a choice belongs here: {known}")


def _is_choice(value: object, override: "Override") -> bool:
    # A mapping changes settings inside the group that is chosen: model={n_layer: 2}.
    from hydra.core.override_parser.types import Glob, QuotedString

    if isinstance(value, dict):
        return not override.is_delete() and not override.is_force_add()
    if isinstance(value, QuotedString):
        value = value.text
    return isinstance(value, Glob) or (isinstance(value, str) and bool(value.strip()) and "${" not in value)


def check_number_of_jobs(parsed: Sequence["Override"]) -> None:
    """Checks how many jobs the values of a multirun make, before they are made.

    Raises:
        ZeroscaleError: more than `MAX_JOBS`, none, or a range without an end.
    """
    total = 1
    for override in parsed:
        total *= _number_of_values(override) if override.is_sweep_override() else 1
    if not total:
        raise ZeroscaleError("this multirun has no jobs: a range in it is empty")
    if total > MAX_JOBS:
        raise ZeroscaleError(
            f"this multirun has {total:,} jobs; at most {MAX_JOBS:,} are taken: sweep over fewer values"
        )


def _number_of_values(override: "Override") -> int:
    from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, RangeSweep

    swept = override._value
    if isinstance(swept, ChoiceSweep):
        return len(swept.list)
    if isinstance(swept, IntervalSweep):
        raise ZeroscaleError(
            f"{override.input_line}: an interval has no values to run; name them, or give range(a,b,step)"
        )
    if not isinstance(swept, RangeSweep):
        return 1
    start, stop, step = (0 if end is None else end for end in (swept.start, swept.stop, swept.step))
    if not all(map(math.isfinite, (start, stop, step))) or not step:
        raise ZeroscaleError(f"{override.input_line}: a range has a start, an end and a step other than 0")
    return max(0, -math.floor((start - stop) / step))
