"""Undoing the Moses tokeniser, as WikiText and the One Billion Word Benchmark were made with it."""

import re
from collections.abc import Sequence
from itertools import pairwise

from zeroscale.eval.detokenise.rules import Rules

# Names, titles and units whose full stop the tokeniser keeps (its non-breaking prefixes), as WikiText has them.
_KEPT_STOPS = """
Adm. Ave. Bart. Brig. Bros. Capt. Cmdr. Co. Col. Comdr. Con. Corp. Cpl. Dr. Drs. Ens. Gen. Gov. Hon. Hosp. Inc. Insp.
Jr. Ltd. Lt. Maj. Messrs. Mlle. Mme. Mr. Mrs. Ms. Msgr. Mt. No. Nos. Nr. Op. Pfc. Ph. Pres. Prof. Pvt. Rep. Reps. Res.
Rev. Rt. Sen. Sens. Sfc. Sgt. Sr. St. Supt. Surg. Art. Fig. al. lit. p. pp. sp. ssp. v. var. vs. e.g. i.e. ....
"""
_ABBREVIATIONS = frozenset(_KEPT_STOPS.split())
_SUFFIX = re.compile(r"(?<=[\w>.])'(?=\w)")
_MADE_SUFFIX = "\0'"  # the apostrophe of 's, 't or 'Brien, found inside a word
_INITIALS = re.compile(r"[^\W\d_]\.|(?:[^\W\d_]+\.)+[^\W\d_]+\.")
_CLOSING = frozenset([*",.;:!?)]%”", "..."])
_OPENING = frozenset("([$£¥“#")
_INFIX = {"@-@": "-", "@,@": ",", "@.@": "."}


class Moses(Rules):
    """What both have in common: apostrophes, quotation marks, brackets, full stops after abbreviations.

    `closing` tokens are written to the word before, `opening` ones to the word after, `between` ones to both.
    """

    closing: frozenset[str] = _CLOSING
    opening: frozenset[str] = _OPENING
    between: frozenset[str] = frozenset()
    always_kept: frozenset[str] = frozenset()
    """Tokens that nothing is taken off."""

    def joins(self, tokens: list[str]) -> list[bool]:
        joined = []
        double = single = False
        for previous, token in pairwise(tokens):
            if previous == '"':
                double = not double
            if previous == "'":
                single = not single
            closes = (token == '"' and double) or (token == "'" and (single or previous.endswith("s")))
            opens = (previous == '"' and double) or (previous == "'" and single)
            if token == "'" and not single and previous.endswith("s"):
                single = True  # a possessive, not a quotation: cancels the toggle above
            suffix = len(token) > 1 and token[0] == "'" and (previous[-1].isalnum() or previous[-1] in ">.")
            joined.append(
                closes
                or opens
                or suffix
                or token in self.closing
                or previous in self.opening
                or token in self.between
                or previous in self.between
                or (token == "=" and previous == "=")
            )
        return joined

    def _words(self, text: str, full_stops: bool) -> list[str]:
        """Tokens of a text in which all marks but apostrophes and full stops stand alone already."""
        tokens: list[str] = []
        for piece in _SUFFIX.sub(f" {_MADE_SUFFIX}", text).split(" "):
            if piece.startswith(_MADE_SUFFIX):
                word, *ends = self._ends(piece[len(_MADE_SUFFIX) :], full_stops)
                tokens.extend(["'" + word, *ends])
            elif piece:
                tokens.extend(self._ends(piece, full_stops))
        return tokens

    def _ends(self, piece: str, full_stops: bool) -> list[str]:
        """Takes a lone quote mark, a full stop or an ellipsis off a word."""
        if len(piece) <= 1 or piece in _ABBREVIATIONS or piece in self.always_kept or _INITIALS.fullmatch(piece):
            return [piece]
        if piece[0] == "'" and piece[1:].isalpha() and piece[1].islower():
            return [piece]  # a suffix that stands alone
        if piece[0] == "'":
            return ["'", *self._ends(piece[1:], full_stops)]
        for end in ("...", "'", ".") if full_stops else ("...", "'"):
            if piece.endswith(end) and piece != end and not (end == "." and piece.endswith("..")):
                return [*self._ends(piece[: -len(end)], full_stops), end]
        return [piece]


class WikiText(Moses):
    """WikiText: `@-@`, `@,@` and `@.@` inside words and numbers, `= =` around headings.

    Source: Merity et al. 2016, section 4.3.
    """

    _alone = re.compile(r'([,"()\[\]$£¥%;:!?“”#])')
    _hyphen = re.compile(r"(?<=[\w>.])-(?=[\w<])")
    _in_number = re.compile(r"(?<=[\d>])([.,])(?=[\d<])")
    _comma = re.compile(r"(?<!@),(?!@)")
    between = always_kept = frozenset(_INFIX)

    def write(self, tokens: Sequence[str]) -> str:
        """`@-@` and its kin lose their marks unless they stand alone."""
        return "".join(_INFIX.get(token, token) if len(tokens) > 1 else token for token in tokens)

    def split(self, chunk: str, last: bool) -> list[str]:
        if set(chunk) == {"="}:
            return list(chunk)
        text = self._in_number.sub(r" @\1@ ", chunk)
        text = self._comma.sub(" , ", text)
        text = self._alone.sub(lambda match: match[0] if match[0] == "," else f" {match[0]} ", text)
        return self._words(self._hyphen.sub(" @-@ ", text), full_stops=True)


class BillionWords(Moses):
    """The One Billion Word Benchmark: a sentence a line, every mark but `. ' - ` and a number's comma alone.

    A full stop is taken off a word at the end of the line only: elsewhere it is an abbreviation's.
    Source: Chelba et al. 2013, section 2; its tokenizer.perl.
    """

    _alone = re.compile(r"([^\w\s.'`,-]|_)")
    _comma = re.compile(r"(?<!\d),|,(?!\d)")
    closing = _CLOSING
    opening = _OPENING | {"€"}
    between = frozenset("/")

    def problem(self, line: str) -> str | None:
        return None if line.strip() else "is empty; it should hold a sentence"

    def split(self, chunk: str, last: bool) -> list[str]:
        text = self._alone.sub(r" \1 ", self._comma.sub(" , ", chunk))
        return self._words(text, full_stops=last)
