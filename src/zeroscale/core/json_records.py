"""JSON objects as frozen dataclasses: checked where they are read, written with the keys they were read with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from zeroscale.core.errors import ZeroscaleError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Record:
    """An object of a JSON file. A field is called as its key, or as its metadata says ({"key": "L(N)"}).

    Every field needs a default: an older file may lack it. Where the values of a dictionary are of several types,
    metadata {"choose": function} gives the type by the value's name.
    """

    keys: tuple[str, ...] = ()
    """The keys that the object has in the file, in order; empty for all fields, as they are declared."""


class WrongType(ZeroscaleError):
    """A value of the file has another type than its field; the message says where it stands."""


def to_json(value: Any) -> Any:
    """A record, or anything made of them, as JSON holds it."""
    if is_dataclass(value):
        attributes = _attributes(type(value))
        keys = getattr(value, "keys", ()) or tuple(attributes)
        return {key: to_json(getattr(value, attributes[key])) for key in keys}
    if isinstance(value, Mapping):
        return {name: to_json(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [to_json(item) for item in value]
    return value


def from_json(cls: type[T], content: object, place: str = "") -> T:
    """A dataclass from a JSON object that stands at `place` of its file; keys that it does not know are passed over.

    Raises:
        WrongType: a value has another type than its field.
    """
    if not isinstance(content, Mapping):
        raise WrongType(f"{place or 'the file'} is {content!r}, not an object")
    hints, attributes = get_type_hints(cls), _attributes(cls)
    choices = {part.name: part.metadata.get("choose") for part in fields(cls)}  # type: ignore[arg-type]
    keys = tuple(key for key in content if key in attributes)
    values = {}
    for key in keys:
        name = attributes[key]
        values[name] = _value(hints[name], content[key], f"{place}.{key}" if place else key, choices[name])
    return cls(**values, keys=keys) if issubclass(cls, Record) else cls(**values)


def _attributes(cls: type) -> dict[str, str]:
    """Key of the file → attribute."""
    return {part.metadata.get("key", part.name): part.name for part in fields(cls) if part.name != "keys"}


def _value(hint: Any, content: object, place: str, choose: Callable[[str], type] | None = None) -> object:
    """The content by its type; null where a collection belongs is an empty one."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        if content is None and type(None) in parts:
            return None
        return _value(next(part for part in parts if part is not type(None)), content, place)
    if kind is Literal:
        return content if content in parts else _refuse(content, place, " or ".join(map(str, parts)))
    if kind is tuple:
        items = [] if content is None else content
        if not isinstance(items, list | tuple):
            return _refuse(content, place, "a list")
        return tuple(_value(parts[0], item, f"{place}[{i}]") for i, item in enumerate(items))
    if kind is dict:
        entries = {} if content is None else content
        if not isinstance(entries, Mapping):
            return _refuse(content, place, "an object")
        return {
            name: _value(choose(name) if choose else parts[1], item, f"{place}.{name}")
            for name, item in entries.items()
        }
    if kind is Any:
        return content
    if is_typeddict(kind):
        return content if isinstance(content, Mapping) else _refuse(content, place, "an object")
    if isinstance(kind, type) and is_dataclass(kind):
        return from_json(kind, content, place)
    expected = (int, float) if kind is float else kind
    return content if isinstance(content, expected) else _refuse(content, place, kind.__name__)


def _refuse(content: object, place: str, expected: str) -> object:
    raise WrongType(f"{place} is {content!r}, not {expected}")
