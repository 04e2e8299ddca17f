"""Compressed files as a stream of bytes: one or several streams in a row, with zero padding between and behind them."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from zeroscale.core.format import escaped
from zeroscale.data.sources.documents import Fault
from zeroscale.data.sources.formats import Packing

# Compressed bytes read at a time: what comes of them at once is a few thousand times as long at most (zstd: 2^15).
_BLOCK = 1 << 13
# zstd's --long=31, the largest window that its own program allows.
_ZSTD_WINDOW = 1 << 31
_MAGIC = 4
_MISNAMED = "give it the ending of what it is, .txt for plain text"


class _Decompressor(Protocol):
    """What the decompressors of zlib, zstandard, lzma and bz2 have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Method(NamedTuple):
    """A way of compression: its decompressor, what that raises, how a further stream begins, the program for it."""

    new: Callable[[], _Decompressor]
    faults: tuple[type[Exception], ...]
    begins: Callable[[bytes], bool]
    program: str


def unpacked(handle: BinaryIO, path: Path, packing: Packing) -> Iterator[bytes]:
    """The content of all streams of a file, in blocks.

    Raises:
        Fault: the data are damaged, break off, or something else stands behind them.
    """
    method = _method(packing)
    stream: _Decompressor | None = None
    begun, held, offset = False, b"", 0
    while block := handle.read(_BLOCK):
        offset += len(block)
        block = held + block
        held = b""
        while block:
            if stream is None:
                if begun:
                    block = block.lstrip(b"\0")
                    if len(block) < _MAGIC:
                        held = block
                        break
                    if not method.begins(block):
                        raise _trailing(path, packing, method, offset - len(block))
                stream, begun = method.new(), True
            try:
                content = stream.decompress(block)
            except method.faults as error:
                other = "" if offset > _BLOCK or method.begins(block) else f"; it is not {packing}: {_MISNAMED}"
                raise Fault(f"{escaped(path)}: cannot be decompressed: {error}{other}") from error
            if content:
                yield content
            block = b""
            if stream.eof:
                block, stream = stream.unused_data, None
    if held:
        raise _trailing(path, packing, method, offset - len(held))
    if stream is not None:
        raise Fault(f"{escaped(path)}: breaks off in the middle of its compressed data; fetch it again")


def _trailing(path: Path, packing: Packing, method: _Method, offset: int) -> Fault:
    return Fault(
        f"{escaped(path)}: what stands behind its compressed data, from byte {offset} on, is not {packing}: fetch it"
        f" again; if `{method.program}` gives all that belongs to it, use what that writes"
    )


def _method(packing: Packing) -> _Method:
    if packing == "gzip":
        return _Method(
            lambda: zlib.decompressobj(wbits=31), (zlib.error,), lambda data: data.startswith(b"\x1f\x8b"), "gzip -dc"
        )
    if packing == "xz":
        # Also LZMA's older format, which has one stream only.
        return _Method(
            lambda: lzma.LZMADecompressor(lzma.FORMAT_AUTO),
            (lzma.LZMAError, EOFError),
            lambda data: data.startswith(b"\xfd7zX"),
            "xz -dc",
        )
    if packing == "bzip2":
        return _Method(bz2.BZ2Decompressor, (OSError, ValueError), lambda data: data.startswith(b"BZh"), "bzip2 -dc")
    import zstandard

    return _Method(
        lambda: zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj(),
        (zstandard.ZstdError, MemoryError),
        _begins_zstd,
        "zstd -dc",
    )


def _begins_zstd(data: bytes) -> bool:
    """A frame, or one to be skipped (RFC 8878, sections 3.1.1 and 3.1.2)."""
    return data.startswith(b"\x28\xb5\x2f\xfd") or (data[1:4] == b"\x2a\x4d\x18" and data[0] & 0xF0 == 0x50)
