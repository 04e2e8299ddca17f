"""The plain kind of YAML that our own settings are written in, read line by line: much faster than by a YAML parser.

Whatever is not of this kind is left to that parser (`yaml_text`): both give the same of what both read. Of this kind
are mappings, nested by their indentation, of words, numbers, truth values, null, `[]`, `{}`, texts in single quotes,
and lists of these with a line for each item.
"""

import re
from functools import lru_cache
from typing import NamedTuple

_LINE = re.compile(r"( *)(?:([A-Za-z_][A-Za-z0-9_]*):|-)(?: (\S(?:.*\S)?))?")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./+-]*")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?[0-9]{1,30}\.[0-9]{1,30}(?:e[-+][0-9]{1,2})?")
_QUOTED = re.compile(r"'[ -&(-~]*'")
# YAML 1.1 reads more words than these as truth values.
_PLAIN = {"true": True, "false": False, "null": None}
_SPECIAL = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_LONGEST = 1 << 16


class _Line(NamedTuple):
    """`key` is None of an item of a list; `open` says that the value stands on the lines below."""

    indent: int
    key: str | None
    value: object
    open: bool


def parse(text: str) -> dict[str, object] | None:
    """The mapping in a text of this kind; None where it is not."""
    if len(text) > _LONGEST:
        return None
    root: dict[str, object] = {}
    levels: list[tuple[int, dict[str, object]]] = [(0, root)]
    above: tuple[int, dict[str, object], str] | None = None  # the key whose value stands on the lines below
    for raw in text.split("\n"):
        if not raw or raw[0] == "#":
            continue
        line = _read(raw)
        if line is None:
            return None
        if line.key is None:
            if above is None or line.indent != above[0]:
                return None
            items = above[1][above[2]]
            if items is None:
                items = above[1][above[2]] = []
            assert isinstance(items, list)
            items.append(_fresh(line.value))
            continue
        if above is not None and above[1][above[2]] is None:
            if line.indent <= above[0]:
                return None
            child: dict[str, object] = {}
            above[1][above[2]] = child
            levels.append((line.indent, child))
        while levels[-1][0] > line.indent:
            levels.pop()
        indent, mapping = levels[-1]
        if indent != line.indent or line.key in mapping:
            return None
        mapping[line.key] = None if line.open else _fresh(line.value)
        above = (indent, mapping, line.key) if line.open else None
    unfinished = above is not None and above[1][above[2]] is None
    return None if unfinished or not root else root


def _fresh(value: object) -> object:
    """An empty list or mapping of its own."""
    return type(value)() if isinstance(value, list | dict) else value


@lru_cache(4096)
def _read(raw: str) -> _Line | None:
    """A line; the runs of a study have most of theirs in common. None where it is not of this kind."""
    match = _LINE.fullmatch(raw)
    if match is None or not raw.isascii() or not raw.isprintable():
        return None
    indent, key, text = len(match[1]), match[2], match[3]
    if (key is not None and key.lower() in _SPECIAL) or indent > 16:
        return None
    if text is None:
        return _Line(indent, key, None, True) if key is not None else None
    found = _scalar(text)
    return None if found is None else _Line(indent, key, found[0], False)


def _scalar(text: str) -> tuple[object] | None:
    if text in _PLAIN:
        return (_PLAIN[text],)
    if text in ("[]", "{}"):
        return ([] if text == "[]" else {},)
    if _INTEGER.fullmatch(text):
        return (int(text),)
    if _FLOAT.fullmatch(text):
        return (float(text),)
    if _QUOTED.fullmatch(text):
        return (text[1:-1],)
    if _WORD.fullmatch(text) and text.lower() not in _SPECIAL:
        return (text,)
    return None
