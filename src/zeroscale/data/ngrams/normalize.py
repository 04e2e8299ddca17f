"""A text's letters in lower case, and a space for all that belongs to no word: millions of characters at a time.

The rule stands in `zeroscale.data.ngrams.ngrams`. ASCII goes by a table of 256 bytes; a text with few other characters
is mended at their places; one with many goes by a table of all of Unicode, four bytes a character.
"""

from functools import lru_cache

import numpy as np

SPACE = 32
# More other characters than one in so many bytes, and the whole text goes by the large table.
_FEW = 16


def _lower(character: str) -> int:
    return ord(character.lower()[0]) if character.isalnum() else SPACE


# NUL is none of a text's: it is taken out before. Bytes above 127 are parts of other characters.
_ASCII = bytes([*(_lower(chr(value)) for value in range(128)), *range(128, 256)])


@lru_cache(1)
def _unicode() -> np.ndarray:
    """uint32 [1,114,112]: what becomes of each code point."""
    table = np.full(0x110000, SPACE, dtype="<u4")
    for value in range(0x110000):
        if chr(value).isalnum():
            table[value] = _lower(chr(value))
    return table


def normalize(text: str) -> bytes:
    """UTF-8 of the text in lower case, with spaces for whatever belongs to no word."""
    if text.isascii():
        return text.encode("ascii").translate(_ASCII)
    content = text.encode("utf-8", "surrogatepass")
    if len(content) - len(text) < len(content) // _FEW and (mended := _mended(content)) is not None:
        return mended
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return _unicode()[codes].tobytes().decode("utf-32-le").encode("utf-8")


def _mended(content: bytes) -> bytes | None:
    """The same for UTF-8 with few characters of several bytes; None where one's lower case has another length."""
    letters = np.frombuffer(bytearray(content.translate(_ASCII)), dtype=np.uint8)
    begins = np.flatnonzero(letters >= 0xC0)
    first = letters[begins].astype(np.uint32)
    sizes = 2 + (first >= 0xE0) + (first >= 0xF0)
    codes = first & 0x7F >> sizes
    for offset in (1, 2, 3):
        more = sizes > offset
        codes[more] = codes[more] << 6 | letters[begins[more] + offset] & 0x3F
    lower = _unicode()[codes]
    blank = lower == SPACE
    if ((1 + (lower >= 0x80) + (lower >= 0x800) + (lower >= 0x10000) != sizes) & ~blank).any():
        return None
    for offset in range(4):
        some = np.flatnonzero(sizes > offset)
        shift = 6 * (sizes[some] - 1 - offset)
        mark, mask = (0xF00 >> sizes[some] & 0xFF, 0x7F >> sizes[some]) if offset == 0 else (0x80, 0x3F)
        letters[begins[some] + offset] = np.where(blank[some], SPACE, mark | lower[some] >> shift & mask)
    return letters.tobytes()
