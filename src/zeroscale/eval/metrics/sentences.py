"""Splitting text into sentences by one plain rule, without downloads.

The rule only looks back, so the first n sentences of a text stay the same however it goes on. That lets a
generation stop early without changing its result.
"""

import re

# A full stop, question or exclamation mark (with closing quotes or brackets) before white space; or a line's end.
_BOUNDARY = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|\s*\n\s*")


def _boundaries(text: str) -> list[tuple[int, int]]:
    """(end of a sentence, begin of the next) for each boundary that has text on both sides."""
    return [
        (match.start() + len(match.group().rstrip()), match.end())
        for match in _BOUNDARY.finditer(text)
        if match.end() < len(text)
    ]


def split(text: str) -> list[str]:
    """The sentences of a text, stripped, none empty."""
    text = text.strip()
    begin = 0
    sentences = []
    for end, following in [*_boundaries(text), (len(text), len(text))]:
        sentences.append(text[begin:end].strip())
        begin = following
    return [sentence for sentence in sentences if sentence]


def more_than(text: str, n: int) -> bool:
    """Whether a sentence after the first `n` has begun."""
    return len(split(text)) > n
