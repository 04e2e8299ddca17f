"""The end of a W&B run: an offline run's file is whole before anybody is told that it is written.

`wandb.Run.finish` asks W&B's own process to close the run and does not wait for it: on a busy machine an offline run's
file then holds a few bytes still. It is a log like LevelDB's: 7 bytes of header (`:W&B`, …), then blocks of 32 KiB.
A record, or a part of one, has a header of 7 bytes: a CRC, its length, and whether it is whole (1), the first (2), a
middle (3) or the last part (4); a part never lies in two blocks. The last record of a run that has ended is its exit.
"""

import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import wandb

# How long W&B's process may take to write what it holds. It writes as fast as the disk.
WRITE_SECONDS = 20.0
_POLL_SECONDS = 0.02
_MAGIC = b":W&B"
_BLOCK = 32 * 1024
_PART = struct.Struct("<IHB")
_WHOLE, _FIRST, _LAST = 1, 2, 4


def finish(run: "wandb.Run", mode: str, exit_code: int) -> None:
    """Ends a run; an offline one is then whole on the disk.

    Raises:
        TimeoutError: W&B does not write it.
    """
    path = Path(run.dir).parent / f"run-{run.id}.wandb"
    run.finish(exit_code=exit_code)
    if mode != "offline":
        return
    deadline = time.monotonic() + WRITE_SECONDS
    while not has_ended(path):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} is not written to its end after {WRITE_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


def has_ended(path: Path) -> bool:
    """Whether an offline run's file ends with the record of the run's exit; True of a file in another form."""
    from wandb.proto.wandb_internal_pb2 import Record

    size = path.stat().st_size if path.is_file() else 0
    start = max(0, (size // _BLOCK - 1) * _BLOCK)
    content = b""
    if size:
        with open(path, "rb") as file:
            if file.read(len(_MAGIC)) not in (_MAGIC, _MAGIC[: min(size, len(_MAGIC))]):
                return True
            file.seek(start)
            content = file.read()
    last = _last_record(content, _PART.size if start == 0 else 0)
    if last is None:
        return False
    record = Record()
    try:
        record.ParseFromString(last)
    except ValueError:  # protobuf's DecodeError
        return False
    return record.WhichOneof("record_type") == "exit"


def _last_record(content: bytes, at: int) -> bytes | None:
    """The record that ends the content, which begins with a block; None where none ends with it. `at`: where the first
    part begins."""
    parts: bytes | None = None
    ends = False
    while at + _PART.size <= len(content):
        if (left := _BLOCK - at % _BLOCK) < _PART.size:
            at += left
            continue
        _, length, kind = _PART.unpack_from(content, at)
        part = content[at + _PART.size : at + _PART.size + length]
        if len(part) < length:
            return None
        at += _PART.size + length
        if kind in (_WHOLE, _FIRST):
            parts = part
        elif parts is not None:
            parts += part
        ends = kind in (_WHOLE, _LAST)
    return parts if ends else None
