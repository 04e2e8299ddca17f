"""YAML read by one rule: a mapping of plain values, of bounded depth and size, each key once."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.parsing import plain_values, regular_file, yaml_lines

# Bytes of a file of settings or of a card; values in it, those that aliases repeat counted each time.
LIMIT = 4 << 20
VALUES = 100_000
# The C loader, where PyYAML has it, is ten times as fast: a study has hundreds of these.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        ZeroscaleError: it is missing, no regular file, too large, not UTF-8, no YAML, no mapping, nested or repeated
            without end, or holds a number that is not finite; the message names the file and, if any, the key.
    """
    return parse(regular_file.read(path, LIMIT), path)


def parse(content: bytes, where: str | Path) -> dict[str, Any]:
    """The mapping in a YAML text; errors as `read`."""
    text = regular_file.decode(content, where)
    plain = yaml_lines.parse(text)
    if plain is not None:
        return plain
    try:
        _check_structure(text, where)
        value = yaml.load(text, Loader=_Loader)
    except ZeroscaleError:
        raise
    except yaml.YAMLError as error:
        raise ZeroscaleError(f"{where} is not valid YAML: {error}") from error
    except (ValueError, OverflowError) as error:
        # A date or a number that is none: 2026-13-01, an integer of thousands of digits.
        raise ZeroscaleError(f"{where} is not valid YAML here: {plain_values.shown(str(error))}") from error
    if not isinstance(value, dict):
        raise ZeroscaleError(f"{where} should hold a mapping (name: …), not {type(value).__name__}")
    plain_values.check(value, where)
    return value


@dataclass
class _Node:
    """A list or mapping that is being read."""

    anchor: str | None
    is_mapping: bool
    values: int = 1
    """In it, itself included; those of an alias are counted where it stands."""
    children: int = 0
    keys: set[str] = field(default_factory=set)


def _check_structure(text: str, where: str | Path) -> None:
    """Refuses what would be too deep or too large, refers to itself, or says a key twice, before anything is built."""
    open_nodes: list[_Node] = []
    values_of: dict[str, int] = {}
    for event in _events(text):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(open_nodes) == plain_values.DEPTH:
                raise ZeroscaleError(f"{_at(where, event)}: nested more than {plain_values.DEPTH} levels deep")
            _refuse_tag(event, where)
            open_nodes.append(_Node(event.anchor, isinstance(event, yaml.MappingStartEvent)))
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in values_of:
                raise ZeroscaleError(f"{_at(where, event)}: *{event.anchor} stands for what it is part of, or nothing")
            values = values_of[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            _refuse_tag(event, where)
            values = 1
            if event.anchor:
                values_of[event.anchor] = values
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            node = open_nodes.pop()
            values = node.values
            if node.anchor:
                values_of[node.anchor] = values
        else:
            continue
        if open_nodes:
            _add(open_nodes[-1], values, event, where)


def _add(node: _Node, values: int, event: Any, where: str | Path) -> None:
    """Counts a value as part of the list or mapping that it stands in."""
    if node.is_mapping and node.children % 2 == 0 and isinstance(event, yaml.ScalarEvent):
        if event.value in node.keys:
            raise ZeroscaleError(f"{_at(where, event)}: the key {plain_values.shown(event.value)!r} stands there twice")
        node.keys.add(event.value)
    node.children += 1
    node.values += values
    if node.values > VALUES:
        raise ZeroscaleError(f"{_at(where, event)}: more than {VALUES:,} values, those that aliases repeat included")


def _events(text: str) -> Iterator[Any]:
    yield from yaml.parse(text, Loader=_Loader)


def _refuse_tag(event: Any, where: str | Path) -> None:
    if event.tag is not None and event.tag != "!":
        raise ZeroscaleError(
            f"{_at(where, event)}: the tag {plain_values.shown(event.tag)} is not taken here: plain YAML"
        )


def _at(where: str | Path, event: Any) -> str:
    return f"{where}, line {event.start_mark.line + 1}"
