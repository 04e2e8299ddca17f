"""From rows to documents: a row becomes a text, a text becomes documents of at most 64 KiB."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from zeroscale.config.data import FilesData, HubData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import escaped
from zeroscale.data.sources import marks
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
    place: object
    done: int | None


class Item(NamedTuple):
    """What a source gives at a time: a whole text as its pieces, or one piece of a long file.

    Attributes:
        place: where to go on behind it: plain JSON that the source understands.
        done, of: bytes of the source read up to its end, and in all; None where they are not known.
        texts: 1 for a text, or for its first piece; 0 for a later piece; of a row that is split, its texts.
        marks: how many of `data.split_on` stand in it, or before it and behind the item before.
        replaced: lone surrogates of a row's text, which no UTF-8 can hold: each has become U+FFFD.
    """

    documents: tuple[Document, ...]
    url: str | None
    place: object
    done: int | None = None
    of: int | None = None
    texts: int = 1
    replaced: int = 0
    marks: int = 0


def row(value: object, data: FilesData | HubData, where: str, name: str, place: object, done: int | None) -> Row:
    """The text and URL of a row by the settings' `text_field` and `url_field`.

    Raises:
        Fault: naming the row, when it has no such field or the field is no text.
    """
    other = ", or leave the file out: data.path may be a glob" if data.kind == "files" else ""
    text = _field(value, data.text_field, "text", where, other)
    if text is None:
        raise _not_text(data.text_field, text, where)
    url = None
    if data.leave_out_sites:
        if data.url_field is None:
            raise Fault("data.leave_out_sites needs data.url_field, the field that holds a row's address")
        url = _field(value, data.url_field, "url", where, other)
    return Row(text, url, name, place, done)


def _field(value: object, field: str, kind: str, where: str, other: str) -> str | None:
    if not isinstance(value, dict) or field not in value:
        actual = (
            f"it has {escaped(', '.join(map(str, value)))}"
            if isinstance(value, dict)
            else f"it is a {type(value).__name__}"
        )
        raise Fault(f"{where}: no field {field!r} ({actual}); name the {kind}'s field with data.{kind}_field=…{other}")
    content = value[field]
    if content is None or isinstance(content, str):
        return content
    raise _not_text(field, content, where)


def _not_text(field: str, content: object, where: str) -> Fault:
    return Fault(f"{where}: the field {field!r} should be text, not {type(content).__name__}")


def texts(rows: Iterable[Row], document_start: str | None, split_on: str | None = None) -> Iterator[Item]:
    """Rows as texts: each its own, or with `document_start` (a regular expression) all from one row that it fits to
    the next, joined as they are. Rows without text are usual (WikiText's empty lines) and hold nothing to learn.

    Args:
        split_on: a mark at which a row's text is split into several (`zeroscale.data.sources.marks`).
    """
    whole_texts = rows if document_start is None else _joined(rows, re.compile(document_start))
    for text in whole_texts:
        if not text.text.strip():
            continue
        whole = well_formed(text.text)
        replaced = 0 if whole is text.text else whole.count("\ufffd") - text.text.count("\ufffd")
        if split_on is None or split_on not in whole:
            yield Item(tuple(cut(whole, text.name)), text.url, text.place, text.done, replaced=replaced)
        elif parts := [part for part in _split(whole, split_on) if part.strip()]:
            cut_parts = [piece for part in parts for piece in pieces([part])]
            documents = [Document(piece.decode("utf-8"), f"{text.name}#{n}") for n, piece in enumerate(cut_parts, 1)]
            counts = {"texts": len(parts), "replaced": replaced, "marks": whole.count(split_on)}
            yield Item(tuple(documents), text.url, text.place, text.done, **counts)


def _split(text: str, mark: str) -> list[bytes]:
    return [b"".join(part) for part in marks.split([text.encode("utf-8")], mark)]


def _joined(rows: Iterable[Row], start: re.Pattern[str]) -> Iterator[Row]:
    """Joins the rows from one that `start` matches to the next; a joined row has its first row's name and URL."""
    group: list[Row] = []
    size = 0
    for part in rows:
        if group and (start.search(part.text) or size > MAX_JOINED_CHARACTERS):
            yield _join(group)
            group, size = [], 0
        group.append(part)
        size += len(part.text)
    if group:
        yield _join(group)


def _join(group: list[Row]) -> Row:
    first, last = group[0], group[-1]
    return Row("".join(part.text for part in group), first.url, first.name, last.place, last.done)


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
