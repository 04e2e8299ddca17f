"""A benchmark's examples as they come from a source: rows of named fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.parsing import json_text

Source = Literal["files", "hub", "sample"]


class MissingData(ZeroscaleError):
    """A card's data are not where they were looked for."""


@dataclass(frozen=True)
class Row:
    """One raw row and where it stands (`file, line 3`), for messages."""

    where: str
    content: dict[str, Any]

    def fault(self, problem: str) -> ZeroscaleError:
        """An error that names the row."""
        return ZeroscaleError(f"{self.where}: {problem}")

    def text(self, field: str) -> str:
        """A field that must hold text with something in it."""
        value = self.content.get(field)
        if not isinstance(value, str) or not value.strip():
            raise self.fault(f"field {field!r} should be a text that is not empty, but is {value!r}"[:300])
        return value

    def items(self, field: str) -> list[Any]:
        """A field that must hold a list with something in it."""
        value = self.content.get(field)
        if not isinstance(value, list) or not value:
            raise self.fault(f"field {field!r} should be a list that is not empty, but is {value!r}"[:300])
        return value


@dataclass(frozen=True)
class Rows:
    """All rows of a source, and the names of what was read."""

    source: Source
    origin: list[str]
    rows: list[Row]
    excerpt: str | None = None
    """What the card calls these files, where they are known not to be the whole benchmark."""


def jsonl(paths: list[Path]) -> Iterator[Row]:
    """A row per line of JSON; blank lines are passed over."""
    for path in paths:
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                where = f"{path}, line {number}"
                content = json_text.parse(line, where)
                if not isinstance(content, dict):
                    raise ZeroscaleError(f"{where}: should hold a JSON object")
                yield Row(where, content)
