"""What JSON and YAML hold, checked: finite numbers, text that can be written again, no deep nesting."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError

# Levels of lists and mappings within each other. Settings and records have some eight.
DEPTH = 64
SHOWN = 60


def check(value: object, where: str | Path, finite: bool = True) -> None:
    """
    Args:
        finite: whether numbers must be.

    Raises:
        ZeroscaleError: a number is NaN or infinite, a text holds half of a surrogate pair, a key is no text, or
            something is nested too deeply; the message says under which key.
    """
    waiting: list[tuple[object, str, int]] = [(value, "", 0)]
    while waiting:
        item, place, depth = waiting.pop()
        if isinstance(item, float):
            if finite and not math.isfinite(item):
                raise ZeroscaleError(f"{where}: {place or 'the value'} is {item}, which is no finite number")
        elif isinstance(item, str):
            check_text(item, f"{where}: {place or 'the value'}")
        elif isinstance(item, list | Mapping):
            if depth == DEPTH:
                raise ZeroscaleError(f"{where}: {shown(place)} is nested more than {DEPTH} levels deep")
            for name, part in _parts(item, where, place):
                waiting.append((part, name, depth + 1))


def _parts(item: object, where: str | Path, place: str) -> Iterator[tuple[str, object]]:
    if isinstance(item, list):
        for number, part in enumerate(item):
            yield f"{place}[{number}]", part
        return
    assert isinstance(item, Mapping)
    for key, part in item.items():
        if not isinstance(key, str):
            raise ZeroscaleError(f"{where}: {place or 'the whole'} has the key {key!r}, which is no text: quote it")
        check_text(key, f"{where}: a key of {place or 'the whole'}")
        yield (f"{place}.{key}" if place else key), part


def is_finite(number: float) -> bool:
    """Whether a number is finite as a float: neither NaN nor infinite, nor an integer beyond all floats."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def check_text(text: str, where: str | Path) -> None:
    """
    Raises:
        ZeroscaleError: the text holds half of a surrogate pair (`\\ud83d` without its other half), which is no
            character.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = f"\\u{ord(text[error.start]):04x}"
        raise ZeroscaleError(
            f"{where} holds {code} (character {error.start}), half of a surrogate pair, which is no character: remove "
            "it, or give both halves"
        ) from error


def shown(value: object) -> str:
    """A value for a message: its beginning."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
