"""Detokenising that can be undone, by construction.

The paper scores through *invertible* detokenisers: they remove the artefacts of tokenisation, but only so that the
original tokens can be found again, or the perplexity per original word would be another data set's. Here two tokens
are joined only if the same rules take them apart again.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A detokenised line; `exact` is False where no inverse was found and the line was left as it is."""

    text: str
    exact: bool


class Rules(ABC):
    """How one data set was tokenised: which tokens may be written together, and how to tell them apart again."""

    @abstractmethod
    def split(self, chunk: str, last: bool) -> list[str]:
        """The tokens of a piece of text without spaces; `last`: nothing follows it on the line.

        Chunks do not influence each other.
        """

    @abstractmethod
    def joins(self, tokens: list[str]) -> list[bool]:
        """For each token but the first: whether good typography joins it to the one before."""

    def problem(self, line: str) -> str | None:
        """What shows that a line is not in the data set's released form, if anything does."""
        return None

    def write(self, tokens: Sequence[str]) -> str:
        """Tokens written without spaces."""
        return "".join(tokens)

    def retokenise(self, text: str) -> str:
        """The tokens of a detokenised line, with single spaces between them."""
        chunks = text.split(" ")
        return " ".join(
            token for number, chunk in enumerate(chunks, 1) for token in self.split(chunk, number == len(chunks))
        )

    def detokenise(self, line: str) -> Line:
        """One line (its tokens between single spaces) as plain text; `retokenise` gives the tokens back.

        A line whose tokens cannot be recovered (a word with a mark that is always split off, say) stays as it is.
        """
        line = line.strip(" ")
        if not line:
            return Line("", True)
        tokens = line.split(" ")
        if any(token.split() != [token] for token in tokens):
            return Line(line, False)  # two spaces in a row, or a space of another kind inside a token
        text = " ".join(self._pieces(tokens))
        return Line(text, True) if self.retokenise(text) == line else Line(line, False)

    def _pieces(self, tokens: list[str]) -> list[str]:
        """The line's text, piece by piece, spaces between them."""
        pieces: list[str] = []
        chunk = [tokens[0]]
        for token, joined in zip(tokens[1:], self.joins(tokens), strict=True):
            if not joined:
                pieces.extend(self._fewest(chunk, last=False))
                chunk = []
            chunk.append(token)
        return pieces + self._fewest(chunk, last=True)

    def _fewest(self, tokens: list[str], last: bool) -> list[str]:
        """Tokens that should be one piece, as few pieces as can be taken apart again."""
        pieces = []
        while tokens:
            for size in range(len(tokens), 0, -1):
                text = self.write(tokens[:size])
                if size == 1 or self.split(text, last and size == len(tokens)) == tokens[:size]:
                    pieces.append(text)
                    tokens = tokens[size:]
                    break
        return pieces
