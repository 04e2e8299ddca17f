"""One local file as texts: plain text, JSON lines, Parquet; the first two also compressed (.gz, .zst).

Every reader takes `skip`, the place behind which to go on (pieces, lines or rows of the file), and counts `done` in
bytes of the file as it lies on the disk.
"""

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from zeroscale.config.data import FilesData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.sources import documents
from zeroscale.data.sources.documents import Document, Fault, Item, Row, pieces

COMPRESSED = (".gz", ".zst")
JSON_LINES = (".jsonl", ".ndjson", ".json")
PARQUET = ".parquet"
_BLOCK = 1 << 20
# Of compressed data: a block may hold a thousand times as much.
_COMPRESSED_BLOCK = 1 << 16
_PARQUET_ROWS = 1000


class _Decompressor(Protocol):
    """What zlib's and zstandard's decompressors have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns an error of the system while reading a file into one message that names it."""
    try:
        yield
    except OSError as error:
        raise ZeroscaleError(f"{path} cannot be read: {error.strerror or error}") from error


def read(path: Path, name: str, data: FilesData, skip: int) -> Iterator[Item]:
    """The texts of one file from the place `skip` on; an Item's place is the one behind it.

    Raises:
        Fault: naming the file and the line, row or byte, with what is wrong; also for a file without any text.
    """
    kind = path.with_suffix("").suffix if path.suffix in COMPRESSED else path.suffix
    empty = skip == 0
    with reading(path), open(path, "rb") as handle:
        if path.suffix == PARQUET:
            items = documents.texts(_parquet_rows(handle, path, name, data, skip), data.document_start)
        elif kind in JSON_LINES:
            items = documents.texts(_json_rows(handle, path, name, data, skip), data.document_start)
        else:
            items = _text_pieces(handle, path, name, skip)
        for item in items:
            empty = empty and not any(document.text.strip() for document in item.documents)
            yield item
    if empty:
        raise Fault(f"{path} is empty: no text in it; take it out, or narrow data.path to leave it out")


def _text_pieces(handle: BinaryIO, path: Path, name: str, skip: int) -> Iterator[Item]:
    offset = 0
    for number, piece in enumerate(pieces(_blocks(handle, path)), start=1):
        if number > skip:
            text = _decoded(piece, f"{path}", offset)
            if offset == 0:
                text = text.removeprefix("\ufeff")
            if text:
                document = Document(text, f"{name}#{number}")
                done = handle.tell() if path.suffix in COMPRESSED else offset + len(piece)
                yield Item((document,), None, number, done, texts=int(number == 1))
        offset += len(piece)


def _json_rows(handle: BinaryIO, path: Path, name: str, data: FilesData, skip: int) -> Iterator[Row]:
    offset = 0
    lines = handle if path.suffix not in COMPRESSED else _lines(_blocks(handle, path))
    for number, line in enumerate(lines, start=1):
        start, offset = offset, offset + len(line)
        if number <= skip:
            continue
        where = f"{path}, line {number}"
        text = _decoded(line, where, start)
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise Fault(f"{where}: not valid JSON ({error}); a .jsonl file holds one object a line") from error
        done = handle.tell() if path.suffix in COMPRESSED else offset
        yield documents.row(value, data, where, f"{name}:{number}", number, done)


def _parquet_rows(handle: BinaryIO, path: Path, name: str, data: FilesData, skip: int) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    size = path.stat().st_size
    try:
        file = parquet.ParquetFile(handle)
        total, fields = file.metadata.num_rows, [data.text_field, *([data.url_field] if data.leave_out_sites else [])]
        columns = [field for field in fields if field in file.schema_arrow.names]
        if not columns:
            # Read as it is, so that the message can name what it has instead.
            columns = file.schema_arrow.names
        number = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if number + rows <= skip:
                number += rows
                continue
            for batch in file.iter_batches(_PARQUET_ROWS, row_groups=[group], columns=columns):
                for value in batch.to_pylist():
                    number += 1
                    if number > skip:
                        where = f"{path}, row {number}"
                        yield documents.row(value, data, where, f"{name}:{number}", number, size * number // total)
    except pyarrow.ArrowException as error:
        raise Fault(f"{path}: not a Parquet file that can be read: {str(error).splitlines()[0]}") from error


def _blocks(handle: BinaryIO, path: Path) -> Iterator[bytes]:
    if path.suffix not in COMPRESSED:
        return iter(lambda: handle.read(_BLOCK), b"")
    if path.suffix == ".gz":
        return _decompressed(handle, path, lambda: zlib.decompressobj(wbits=31), zlib.error)
    import zstandard

    return _decompressed(handle, path, lambda: zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError)


def _decompressed(
    handle: BinaryIO, path: Path, new_decompressor: Callable[[], _Decompressor], fault: type[Exception]
) -> Iterator[bytes]:
    """The content of one or several compressed streams in a row; a stream that breaks off is an error."""
    stream: _Decompressor | None = None
    try:
        while block := handle.read(_COMPRESSED_BLOCK):
            while block:
                stream = stream or new_decompressor()
                content = stream.decompress(block)
                if content:
                    yield content
                block = b""
                if stream.eof:
                    block, stream = stream.unused_data, None
    except fault as error:
        raise Fault(f"{path}: cannot be decompressed: {error}") from error
    if stream is not None:
        raise Fault(f"{path}: breaks off in the middle of its compressed data; fetch it again")


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    for block in blocks:
        *whole, rest = block.split(b"\n")
        for part in whole:
            held.append(part)
            yield b"".join(held) + b"\n"
            held = []
        if rest:
            held.append(rest)
    if held:
        yield b"".join(held)


def _decoded(content: bytes, where: str, offset: int) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = offset + error.start
        raise Fault(
            f"{where}: not UTF-8 at byte {byte} (0x{content[error.start]:02x}); convert the file, or leave it out"
        ) from error
