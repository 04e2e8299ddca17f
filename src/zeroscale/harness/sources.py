"""Where a benchmark's rows come from: its own files, the hub, or the embedded sample. Never another than asked for."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zeroscale.errors import ZeroscaleError
from zeroscale.files import sha256_json
from zeroscale.harness.card import Card, Hub

Source = Literal["files", "hub", "sample"]
# Each row of a sample says so: nobody can mistake one for a benchmark.
SAMPLE_MARK = "hand-written sample, not the benchmark"


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

    @property
    def hash(self) -> str:
        """sha256 over the rows' content, in order."""
        return sha256_json([row.content for row in self.rows])


def read(
    card: Card,
    source: Source,
    data_dir: Path | None,
    parse: Callable[[list[Path]], Iterator[Row]],
) -> Rows:
    """All rows of a card's data; `parse` reads the family's released files.

    Raises:
        ZeroscaleError: when the source is not there, says what was looked for, or a row is broken, or there is none.
    """
    if source == "files":
        paths = find_files(card, data_dir)
        found = Rows(source, [path.name for path in paths], _read_text(paths, parse))
    elif source == "hub":
        if card.sources.hub is None:
            raise ZeroscaleError(f"card {card.name}: is not on the hub; give its files with data_dir=DIR")
        found = Rows(source, [f"{card.sources.hub.id}/{card.sources.hub.config}"], _read_hub(card.sources.hub))
    elif source == "sample":
        found = Rows(source, [card.sources.sample], _read_sample(card.sample_path))
    else:
        raise ZeroscaleError(f"cards_from={source!r}: a source is files, hub or sample")
    if not found.rows:
        raise ZeroscaleError(f"card {card.name}: {', '.join(found.origin)} holds no examples")
    return found


def find_files(card: Card, data_dir: Path | None) -> list[Path]:
    """The files of the card's first alternative that is whole, in data_dir/<directory> or in data_dir itself."""
    files = card.sources.files
    if files is None:
        raise ZeroscaleError(f"card {card.name}: reads no files; use cards_from=hub")
    if data_dir is None:
        raise ZeroscaleError(f"card {card.name}: cards_from=files needs data_dir=DIR, the folder of benchmark files")
    folders = [data_dir / files.directory, data_dir]
    for folder in folders:
        for alternative in files.names:
            paths = [folder / name for name in alternative]
            if all(path.is_file() for path in paths):
                return paths
    wanted = "; or ".join(" and ".join(alternative) for alternative in files.names)
    raise ZeroscaleError(
        f"card {card.name}: its files are not in {data_dir}. Looked in {files.directory}/ and in the folder itself "
        f"for: {wanted}. Put them there, or use cards_from=hub (or cards_from=sample for a few hand-written examples)."
    )


def _read_text(paths: list[Path], parse: Callable[[list[Path]], Iterator[Row]]) -> list[Row]:
    try:
        return list(parse(paths))
    except UnicodeDecodeError as error:
        names = ", ".join(str(path) for path in paths)
        raise ZeroscaleError(f"{names}: not UTF-8 text (byte {error.start}: {error.reason})") from error
    except OSError as error:
        raise ZeroscaleError(f"{error.filename} cannot be read: {error.strerror}") from error


def jsonl(paths: list[Path]) -> Iterator[Row]:
    """A row per line of JSON; blank lines are passed over."""
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                where = f"{path}, line {number}"
                try:
                    content = json.loads(line)
                except json.JSONDecodeError as error:
                    raise ZeroscaleError(f"{where}: not valid JSON: {error}") from error
                if not isinstance(content, dict):
                    raise ZeroscaleError(f"{where}: should hold a JSON object")
                yield Row(where, content)


def _read_sample(path: Path) -> list[Row]:
    if not path.is_file():
        raise ZeroscaleError(f"{path}: the card's sample does not exist")
    rows = _read_text([path], jsonl)
    for row in rows:
        if row.content.get("note") != SAMPLE_MARK:
            raise row.fault(f"a sample's row must carry `note: {SAMPLE_MARK}`")
    return [Row(row.where, {key: value for key, value in row.content.items() if key != "note"}) for row in rows]


def _read_hub(hub: Hub) -> list[Row]:
    from zeroscale.harness.hub import load

    name = f"{hub.id} ({hub.config}, {hub.split})"
    return [Row(f"{name}, row {number}", content) for number, content in enumerate(load(hub), 1)]
