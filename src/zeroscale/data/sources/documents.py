"""Texts on their way from a source: a row becomes a text, a text becomes documents of at most 64 KiB."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import well_formed

# Rows are joined to one text up to here; then it is cut whether the next text begins or not, so that a pattern that
# fits no row cannot gather the whole corpus in memory.
MAX_JOINED_CHARACTERS = 8 << 20


class Fault(ZeroscaleError):
    """The corpus' own content, or a setting that says how to read it, is at fault: what was made of it is no use."""


class Document(NamedTuple):
    """A text that stands for itself, and where it is from (a file's relative name, a row's number, a piece's)."""

    text: str
    name: str


class Row(NamedTuple):
    """A row of a file or dataset.

    Attributes:
        place: where to go on behind it: plain JSON that its reader understands.
        done: bytes of the source read up to its end, None where the reader cannot tell.
    """

    text: str
    url: str | None
    name: str
    place: Any
    done: int | None


class Item(NamedTuple):
    """What a source gives at a time: a whole text as its pieces, or one piece of a long file.

    Attributes:
        place: where to go on behind it: plain JSON that the source understands.
        done, of: bytes of the source read up to its end, and in all; None where they are not known.
        texts: 1 for a text, or for its first piece; 0 for a later piece.
    """

    documents: tuple[Document, ...]
    url: str | None
    place: Any
    done: int | None = None
    of: int | None = None
    texts: int = 1


def row(value: Any, data: Any, where: str, name: str, place: Any, done: int | None) -> Row:
    """The text and URL of a row by the settings' `text_field` and `url_field`.

    Raises:
        Fault: naming the row, when it has no such field or the field is no text.
    """
    text = _field(value, data.text_field, "text", where)
    url = None
    if data.leave_out_sites:
        if data.url_field is None:
            raise Fault("data.leave_out_sites needs data.url_field, the field that holds a row's address")
        url = _field(value, data.url_field, "url", where, may_be_null=True)
    return Row(text, url, name, place, done)


def _field(value: Any, field: str, kind: str, where: str, may_be_null: bool = False) -> Any:
    if not isinstance(value, dict) or field not in value:
        found = f"it has {', '.join(map(str, value))}" if isinstance(value, dict) else f"it is a {type(value).__name__}"
        raise Fault(f"{where}: no field {field!r} ({found}); name the {kind}'s field with data.{kind}_field=…")
    if not isinstance(value[field], str) and not (may_be_null and value[field] is None):
        raise Fault(f"{where}: the field {field!r} should be text, not {type(value[field]).__name__}")
    return value[field]


def texts(rows: Iterable[Row], document_start: str | None) -> Iterator[Item]:
    """Rows as texts: each its own, or with `document_start` (a regular expression) all from one row that it fits to
    the next, joined as they are. Rows without text are usual (WikiText's empty lines) and hold nothing to learn.
    """
    whole = rows if document_start is None else _joined(rows, re.compile(document_start))
    for one in whole:
        if one.text.strip():
            yield Item(tuple(cut(one.text, one.name)), one.url, one.place, one.done)


def _joined(rows: Iterable[Row], start: re.Pattern[str]) -> Iterator[Row]:
    held: list[str] = []
    size = 0
    first = last = None
    for one in rows:
        if last is not None and (start.search(one.text) or size > MAX_JOINED_CHARACTERS):
            yield Row("".join(held), first.url, first.name, last.place, last.done)
            held, size, last = [], 0, None
        if last is None:
            first = one
        held.append(one.text)
        size += len(one.text)
        last = one
    if last is not None:
        yield Row("".join(held), first.url, first.name, last.place, last.done)


def cut(text: str, name: str) -> Iterator[Document]:
    """A text as documents: whole, or in pieces named NAME#1, NAME#2, …"""
    content = well_formed(text).encode("utf-8")
    if len(content) <= MAX_DOCUMENT_BYTES:
        yield Document(content.decode("utf-8"), name)
        return
    for number, piece in enumerate(pieces([content]), start=1):
        yield Document(piece.decode("utf-8"), f"{name}#{number}")


MAX_DOCUMENT_BYTES = 64 * 1024


def pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cuts a stream of UTF-8 into pieces of at most `MAX_DOCUMENT_BYTES`; joined they are the stream again."""
    held = b""
    for block in blocks:
        held += block
        start = 0
        while len(held) - start > MAX_DOCUMENT_BYTES:
            end = start + cut_at(held[start : start + MAX_DOCUMENT_BYTES + 1], MAX_DOCUMENT_BYTES)
            yield held[start:end]
            start = end
        held = held[start:]
    if held:
        yield held


def cut_at(content: bytes, limit: int) -> int:
    """Where to cut `content`, longer than `limit`: after a line, else before a word, else before a character.

    A line's or a word's edge counts in the second half only, so that pieces are not needlessly short.
    """
    half = limit // 2
    line = content.rfind(b"\n", half, limit)
    if line >= 0:
        return line + 1
    word = content.rfind(b" ", half, limit)
    if word > 0:
        return word
    end = limit
    # UTF-8's continuation bytes are 0b10xxxxxx; a character has three of them at most.
    while end > limit - 3 and end > 0 and content[end] & 0xC0 == 0x80:
        end -= 1
    return end
