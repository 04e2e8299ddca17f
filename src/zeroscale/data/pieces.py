"""Long texts cut into pieces of at most 64 KiB, so that a novel, too, is split by the hash of its parts."""

from collections.abc import Iterable, Iterator

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
