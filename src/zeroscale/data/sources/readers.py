"""One local file as texts: plain text, JSON lines, Parquet; the first two also compressed.

Every reader takes `skip`, the place behind which to go on (pieces, lines or rows of the file), and counts `done` in
bytes of the file as it lies on the disk.
"""

import codecs
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from zeroscale.config.data import FilesData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import escaped
from zeroscale.data.sources import documents, marks
from zeroscale.data.sources.documents import Document, Fault, Item, Row, pieces
from zeroscale.data.sources.formats import JSON_LINES, Format, format_of
from zeroscale.data.sources.parquet import parquet_rows
from zeroscale.data.sources.unpacking import unpacked

_BLOCK = 1 << 20
# A line is held in memory; a text of a gigabyte is no row.
MAX_LINE_BYTES = 1 << 30
# What is looked at to tell JSON lines from one JSON value, and text from other content.
_HEAD = 1 << 12
# Of its first bytes: text holds none, UTF-16 without a byte order mark every other one.
_NUL_SHARE = 0.1
# How files begin that are no UTF-8, with what they are and what to do with them.
_OTHER_CONTENT = (
    (b"\x1f\x8b", "compressed by gzip: give its name the ending .gz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: give its name the ending .zst"),
    (b"\xfd7zXZ\x00", "compressed by xz: give its name the ending .xz"),
    (b"BZh", "compressed by bzip2: give its name the ending .bz2"),
    (b"\x04\x22\x4d\x18", "compressed by lz4: unpack it"),
    (b"\x1f\x9d", "compressed by compress: unpack it"),
    (b"PK\x03\x04", "a zip archive: unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"PAR1", "Parquet: give its name the ending .parquet"),
    (b"\xff\xfe\x00\x00", "UTF-32: convert it with iconv -f UTF-32 -t UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32: convert it with iconv -f UTF-32 -t UTF-8"),
    (b"\xff\xfe", "UTF-16: convert it with iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "UTF-16: convert it with iconv -f UTF-16 -t UTF-8"),
)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns an error of the system while reading a file into one message that names it."""
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> ZeroscaleError:
    """The message for a file that the system does not open."""
    link = "; it is a link to nothing: take it away, or restore what it names"
    broken = link if os.path.islink(path) and not os.path.exists(path) else ""
    return ZeroscaleError(f"{escaped(path)} cannot be read: {error.strerror or error}{broken}")


def read(path: Path, name: str, data: FilesData, skip: int) -> Iterator[Item]:
    """The texts of one file from the place `skip` on; an Item's place is the one behind it. A file may hold none.

    Raises:
        Fault: naming the file and the line, row or byte, with what is wrong.
    """
    file_format = format_of(path.name)
    if isinstance(file_format, str):
        raise Fault(f"{escaped(path)}: {file_format}")
    with reading(path), open(path, "rb") as handle:
        if file_format.kind == "text":
            yield from _text_pieces(handle, path, name, file_format, data.split_on, skip)
            return
        if file_format.kind == "parquet":
            rows = parquet_rows(handle, path, name, data, skip)
        else:
            rows = _json_rows(handle, path, name, file_format, data, skip)
        yield from documents.texts(rows, data.document_start, data.split_on)


def holds_json_lines(path: Path) -> bool:
    """Whether a file begins as JSON lines do, with a whole object in its first line, or is empty; if not it may hold a
    JSON array, or one object over several lines.

    Raises:
        Fault: it cannot be unpacked.
    """
    file_format = format_of(path.name)
    assert isinstance(file_format, Format)
    with reading(path), open(path, "rb") as handle:
        head = _head(handle, path, file_format)
    whole = len(head) < _HEAD
    head = head.removeprefix(codecs.BOM_UTF8).lstrip()
    line, end, _ = head.partition(b"\n")
    if not head or (head[:1] == b"{" and not end and not whole):
        return True
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _head(handle: BinaryIO, path: Path, file_format: Format) -> bytes:
    """The first bytes of the content. The file is left as it was."""
    head = b""
    for block in _blocks(handle, path, file_format, _HEAD):
        head += block
        if len(head) >= _HEAD:
            break
    handle.seek(0)
    return head[:_HEAD]


def _is_blank(handle: BinaryIO, path: Path, file_format: Format) -> bool:
    """Whether the content is white space only; what is not UTF-8 is none. The file is left as it was."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    begin = True
    for block in _blocks(handle, path, file_format, _HEAD):
        text = decode(block)
        if (text.removeprefix("\ufeff") if begin else text).strip():
            break
        begin = begin and not text
    else:
        return not decode(b"", final=True)
    handle.seek(0)
    return False


def _refuse_no_lines(handle: BinaryIO, path: Path, file_format: Format) -> None:
    """Refuses what may be one line without end, before it is read into memory."""
    head = _head(handle, path, file_format)
    if not any(head.startswith(magic) for magic, _ in _OTHER_CONTENT):  # their first line tells what they are
        _refuse_nuls(head, path)
    if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
        raise Fault(f"{escaped(path)}, line 1: not valid JSON lines: it begins a list; {_json_advice(path)}")


def _text_pieces(
    handle: BinaryIO, path: Path, name: str, file_format: Format, split_on: str | None, skip: int
) -> Iterator[Item]:
    """Without `split_on` a file is one text, of which a piece may be blank; blank texts are left out."""
    if skip == 0 and _is_blank(handle, path, file_format):
        return
    if skip == 0 and not file_format.known:
        _refuse_rows(handle, path, file_format)
    offset = number = passed = counted = 0
    for passed, text in enumerate(marks.split(_utf8(_blocks(handle, path, file_format), path), split_on)):
        begins = 1
        for piece in pieces(text):
            number += 1
            offset += len(piece)
            content = piece.decode("utf-8")
            if number == 1:
                content = content.removeprefix("\ufeff")
            if not content or (split_on is not None and not content.strip()):
                continue
            if number > skip:
                done = offset if file_format.packing is None and split_on is None else handle.tell()
                document = Document(content, f"{name}#{number}")
                yield Item((document,), None, number, done, texts=begins, marks=passed - counted)
            begins, counted = 0, passed
    if passed > counted and number + 1 > skip:
        # The marks behind the last text, which belong to no document.
        yield Item((), None, number + 1, handle.tell(), texts=0, marks=passed - counted)


def _refuse_rows(handle: BinaryIO, path: Path, file_format: Format) -> None:
    """Refuses JSON lines whose name does not say so, which a model would learn to write."""
    line = _head(handle, path, file_format).removeprefix(codecs.BOM_UTF8).partition(b"\n")[0]
    value = None
    with suppress(ValueError, RecursionError):
        value = json.loads(line)
    if isinstance(value, dict):
        raise Fault(
            f"{escaped(path)}: its first line is a JSON object: give its name the ending .jsonl to read its rows, or"
            " .txt to read it as plain text"
        )


def _json_rows(
    handle: BinaryIO, path: Path, name: str, file_format: Format, data: FilesData, skip: int
) -> Iterator[Row]:
    offset = 0
    if skip == 0:
        _refuse_no_lines(handle, path, file_format)
    # What is longer than a line may be comes in parts, of which the first is refused.
    plain = iter(lambda: handle.readline(MAX_LINE_BYTES + 1), b"")
    lines = plain if file_format.packing is None else _lines(_blocks(handle, path, file_format))
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE_BYTES:
            raise Fault(f"{escaped(path)}, line {number}: longer than {MAX_LINE_BYTES:,} bytes; {_json_advice(path)}")
        start, offset = offset, offset + len(line)
        if number <= skip:
            continue
        where = f"{escaped(path)}, line {number}"
        text = _decoded(line, where, start, first=number == 1).removeprefix("\ufeff")
        if not text.strip():
            continue
        value = _json_value(text, where, path)
        if isinstance(value, list):
            raise Fault(f"{where}: it is a list, not an object; {_json_advice(path)}")
        done = handle.tell() if file_format.packing is not None else offset
        yield documents.row(value, data, where, f"{name}:{number}", number, done)


def _json_value(text: str, where: str, path: Path) -> object:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise Fault(f"{where}: not valid JSON ({error}); {_json_advice(path)}") from error
    except ValueError:
        # An integer of more digits than Python turns into a number: in no field that is asked for.
        return json.loads(text, parse_int=str)


def _json_advice(path: Path) -> str:
    kind = path.suffix.lower() if path.suffix.lower() in JSON_LINES else ".jsonl"
    advice = "jq -c '.[]' makes such lines of a list, jq -c . of objects over several lines"
    return f"a {kind} file holds one object a line here: {advice}"


def _blocks(handle: BinaryIO, path: Path, file_format: Format, size: int = _BLOCK) -> Iterator[bytes]:
    if file_format.packing is None:
        return iter(lambda: handle.read(size), b"")
    return unpacked(handle, path, file_format.packing)


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    length = 0
    for block in blocks:
        *whole, rest = block.split(b"\n")
        for part in whole:
            held.append(part)
            yield b"".join(held) + b"\n"
            held, length = [], 0
        if rest:
            held.append(rest)
            length += len(rest)
            if length > MAX_LINE_BYTES:
                break  # the caller refuses it
    if held:
        yield b"".join(held)


def _utf8(blocks: Iterator[bytes], path: Path) -> Iterator[bytes]:
    """The blocks, each of which ends at the end of a character, refused at the first byte that is not UTF-8."""
    held, offset = b"", 0
    for block in blocks:
        content = held + block
        # At most three bytes of a character can lie before the end; what is longer, or no beginning of one, is an error
        # that `_decoded` finds.
        end = len(content)
        for back in range(1, min(4, len(content) + 1)):
            byte = content[-back]
            if byte >= 0xC0:
                end -= back if _length(byte) > back else 0
                break
            if byte < 0x80:
                break
        held, content = content[end:], content[:end]
        _decoded(content, escaped(path), offset, first=offset == 0)
        if offset == 0:
            _refuse_nuls(content, path)
        offset += len(content)
        if content:
            yield content
    if held:
        _decoded(held, escaped(path), offset, first=offset == 0)


def _length(byte: int) -> int:
    """Bytes of a character that begins so."""
    return 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4


def _decoded(content: bytes, where: str, offset: int, first: bool = False) -> str:
    """Text of UTF-8. `first`: the content stands at the file's beginning, which may tell what it is instead."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = offset + error.start
        kinds = [words for magic, words in _OTHER_CONTENT if first and content.startswith(magic)]
        advice = f"it is {kinds[0]}" if kinds else "convert the file, or leave it out"
        raise Fault(f"{where}: not UTF-8 at byte {byte} (0x{content[error.start]:02x}); {advice}") from error


def _refuse_nuls(content: bytes, path: Path) -> None:
    head = content[:_HEAD]
    if (nuls := head.count(0)) > _NUL_SHARE * len(head):
        raise Fault(
            f"{escaped(path)}: no text: {nuls:,} of its first {len(head):,} bytes are 0, as in UTF-16 or a tar archive;"
            " convert or unpack it, or leave it out"
        )
