"""JSON objects as frozen dataclasses or TypedDicts: checked where they are read, written with the keys they were read
with. `read` is how every file that this package wrote is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeGuard, TypeVar, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object
from zeroscale.core.parsing.plain_values import is_finite, shown

T = TypeVar("T")
# Integers beyond 64 bits are no count, step or seed of anything.
_INTEGERS = 1 << 63


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


def read(kind: type[T], path: Path, remedy: str = "") -> T:
    """The object that a JSON file holds, as a dataclass or a TypedDict, with the keys that the type does not know.

    Args:
        remedy: what to do about a bad file, at the end of the message.

    Raises:
        ZeroscaleError: the file is missing or damaged, a key is missing, or a value has another type than it should;
            the message names the file and the key.
    """
    content = read_object(path)
    try:
        return from_json(kind, content)
    except WrongType as error:
        raise ZeroscaleError(f"{path}: {error}{remedy and f'; {remedy}'}") from error


def from_json(kind: type[T], content: object, place: str = "") -> T:
    """A dataclass or TypedDict from a JSON object that stands at `place` of its file. Of a dataclass the keys that it
    does not know are passed over, of a TypedDict they are kept.

    Raises:
        WrongType: a value has another type than its field, or a key that must be there is missing.
    """
    if not isinstance(content, Mapping):
        raise WrongType(f"{place or 'the file'} is {shown(repr(content))}, not an object")
    if is_typeddict(kind):
        return cast(T, _typed_dict(kind, content, place))
    cls: Any = kind
    hints, attributes = _hints(cls), _attributes(cls)
    choices = {part.name: part.metadata.get("choose") for part in fields(cls)}
    keys = tuple(key for key in content if key in attributes)
    values = {}
    for key in keys:
        name = attributes[key]
        values[name] = _value(hints[name], content[key], _inner(place, key), choices[name])
    missing = [key for key, name in attributes.items() if name not in values and _has_no_default(cls, name)]
    if missing:
        raise WrongType(f"{place or 'the file'} has no {' and no '.join(missing)}")
    return cast(T, cls(**values, keys=keys) if issubclass(cls, Record) else cls(**values))


def _has_no_default(cls: Any, name: str) -> bool:
    part = cls.__dataclass_fields__[name]
    return part.default is MISSING and part.default_factory is MISSING


def _typed_dict(kind: Any, content: Mapping[str, object], place: str) -> dict[str, object]:
    missing = [key for key in kind.__required_keys__ if key not in content]
    if missing:
        raise WrongType(f"{place or 'the file'} has no {' and no '.join(sorted(missing))}")
    hints = _hints(kind)
    checked = {key: _value(hints[key], value, _inner(place, key)) for key, value in content.items() if key in hints}
    return {**content, **checked}


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _inner(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _attributes(cls: type) -> dict[str, str]:
    """Key of the file → attribute."""
    return {part.metadata.get("key", part.name): part.name for part in fields(cls) if part.name != "keys"}


def _value(hint: Any, content: object, place: str, choose: Callable[[str], type] | None = None) -> object:
    """The content by its type; null where a collection belongs is an empty one."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return _one_of(parts, content, place)
    if kind is Literal:
        return content if content in parts else _refuse(content, place, " or ".join(map(str, parts)))
    if kind in (tuple, list):
        items = [] if content is None else content
        if not isinstance(items, list | tuple):
            return _refuse(content, place, "a list")
        return kind(_value(parts[0], item, f"{place}[{i}]") for i, item in enumerate(items))
    if kind is dict:
        entries = {} if content is None else content
        if not isinstance(entries, Mapping):
            return _refuse(content, place, "an object")
        if parts[1] is str and not choose and all(type(item) is str for item in entries.values()):
            return dict(entries)
        return {
            name: _value(choose(name) if choose else parts[1], item, _inner(place, name))
            for name, item in entries.items()
        }
    if kind is Any or kind is object:
        return content
    if is_typeddict(kind):
        # What an older version left empty.
        return from_json(kind, {} if content is None and not kind.__required_keys__ else content, place)
    if isinstance(kind, type) and is_dataclass(kind):
        return from_json(kind, content, place)
    return _plain(kind, content, place)


def _one_of(kinds: tuple[Any, ...], content: object, place: str) -> object:
    if content is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    for kind in others[:-1]:
        try:
            return _value(kind, content, place)
        except WrongType:
            continue
    return _value(others[-1], content, place)


def _plain(kind: type, content: object, place: str) -> object:
    """A text, a truth value, a finite number, an integer of 64 bits: none of them stands for another."""
    if kind is float:
        return content if is_finite_number(content) else _refuse(content, place, "a finite number")
    if kind is int:
        whole = isinstance(content, int) and not isinstance(content, bool) and -_INTEGERS <= content < _INTEGERS
        return content if whole else _refuse(content, place, "an integer")
    names = {str: "a text", bool: "true or false"}
    return content if isinstance(content, kind) else _refuse(content, place, names.get(kind, kind.__name__))


def is_finite_number(content: object) -> TypeGuard[int | float]:
    """Whether a value of a JSON file is a number that a float can hold; true and false are none."""
    return isinstance(content, int | float) and not isinstance(content, bool) and is_finite(content)


def _refuse(content: object, place: str, expected: str) -> object:
    raise WrongType(f"{place} is {shown(repr(content))}, not {expected}")
