"""A file's whole content, where it is a file and of a size that such a file may have."""

import stat
from pathlib import Path
from typing import BinaryIO

from zeroscale.core.errors import ZeroscaleError

# JSON and YAML are held in memory whole, several times their size: nothing that is read so is larger.
LIMIT = 256 << 20
_PIECE = 1 << 20
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a directory",
}


def read(path: Path, limit: int = LIMIT) -> bytes:
    """The content of a file of at most `limit` bytes.

    Raises:
        ZeroscaleError: it does not exist, is no regular file (a pipe, a device: nothing is read), is larger, or cannot
            be read.
    """
    try:
        found = path.stat()
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        if kind is not None:
            raise ZeroscaleError(f"{path} is {kind}, not a file")
        if found.st_size > limit:
            raise ZeroscaleError(f"{path} has {found.st_size:,} bytes, more than the {limit:,} that it may have")
        with open(path, "rb") as file:
            content = _up_to(file, limit + 1)
    except FileNotFoundError as error:
        raise ZeroscaleError(f"{path} does not exist") from error
    except OSError as error:
        raise ZeroscaleError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise ZeroscaleError(f"{path} has more than the {limit:,} bytes that it may have")
    return content


def _up_to(file: BinaryIO, size: int) -> bytes:
    """At most `size` bytes, in pieces: Python's `read(size)` takes so much memory at once, whatever the file holds."""
    pieces = []
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def decode(content: bytes, where: str | Path) -> str:
    """UTF-8 text; `where` stands before the message.

    Raises:
        ZeroscaleError: it is not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ZeroscaleError(f"{where} is not UTF-8 text (byte {error.start}: {error.reason})") from error
