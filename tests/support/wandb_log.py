"""A reader of W&B's offline runs: a LevelDB-style log of protobuf records, as wandb-core writes it.

7 bytes of file header (":W&B", a 16-bit number, a version), then blocks of 32 KiB. A record, or a part of one, has a
header of 7 bytes: a CRC, its length, and whether it is whole (1), the first (2), a middle (3) or the last part (4).
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32 * 1024
HEADER = struct.Struct("<IHB")


def chunks(content: bytes) -> Iterator[bytes]:
    """The whole records of a file."""
    assert content[:4] == b":W&B"
    at, parts = 7, b""
    while at + HEADER.size <= len(content):
        left = BLOCK - at % BLOCK
        if left < HEADER.size:
            at += left
            continue
        _, length, kind = HEADER.unpack_from(content, at)
        at += HEADER.size
        part = content[at : at + length]
        at += length
        parts = part if kind in (1, 2) else parts + part
        if kind in (1, 4):
            yield parts


def records(path: Path) -> list[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    found = []
    for chunk in chunks(path.read_bytes()):
        record = Record()
        record.ParseFromString(chunk)
        found.append(record)
    return found


def only(folder: Path) -> Path:
    """The one offline run in a folder."""
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    return path


def _items(items: Any) -> dict[str, Any]:
    """Values by name; what stands under a nested key becomes a dictionary again."""
    found: dict[str, Any] = {}
    for item in items:
        first, *rest = item.nested_key or [item.key]
        if rest:
            found.setdefault(first, {})["/".join(rest)] = json.loads(item.value_json)
        else:
            found[first] = json.loads(item.value_json)
    return found


class Log:
    """What an offline run holds: `history` rows, the `run` record, `config`, `summary`, `artifacts`."""

    def __init__(self, path: Path) -> None:
        self.history: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {}
        self.nested: dict[tuple[str, ...], Any] = {}
        self.summary: dict[str, Any] = {}
        self.artifacts: list[Any] = []
        self.metrics: list[Any] = []
        self.run: Any = None
        self.exit_code: int | None = None
        self.kinds: list[str] = []
        for record in records(path):
            kind = record.WhichOneof("record_type")
            self.kinds.append(kind)
            if kind == "history":
                self.history.append(_items(record.history.item))
            elif kind == "run":
                self.run = record.run
                self.config |= _items(record.run.config.update)
            elif kind == "config":
                for item in record.config.update:
                    value = json.loads(item.value_json)
                    if item.nested_key:
                        self.nested[tuple(item.nested_key)] = value
                    else:
                        self.config[item.key] = value
            elif kind == "summary":
                self.summary |= _items(record.summary.update)
            elif kind == "artifact":
                self.artifacts.append(record.artifact)
            elif kind == "metric":
                self.metrics.append(record.metric)
            elif kind == "exit":
                self.exit_code = record.exit.exit_code

    def steps(self) -> list[int]:
        """Training steps, in the order in which they stand."""
        return [int(row["step"]) for row in self.history if "step" in row]

    def tables(self) -> dict[str, dict[str, Any]]:
        return {
            key: value
            for row in self.history
            for key, value in row.items()
            if isinstance(value, dict) and value.get("_type") == "table-file"
        }
