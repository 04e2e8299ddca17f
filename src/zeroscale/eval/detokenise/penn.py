"""Undoing the Penn Treebank's tokenisation: of the language-modelling benchmark, and of the Children's Book Test."""

import re
from collections.abc import Sequence
from itertools import pairwise

from zeroscale.eval.detokenise.rules import Rules

_CLITICS = frozenset(["n't", "'s", "'re", "'ve", "'ll", "'d", "'m"])
# Words that the treebank takes apart without an apostrophe. Source: the treebank's tokenizer.sed.
_TWO_IN_ONE = {
    "cannot": ("can", "not"),
    "gimme": ("gim", "me"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "lemme": ("lem", "me"),
    "wanna": ("wan", "na"),
}
_PAIRS = frozenset(_TWO_IN_ONE.values())
_CLITIC = re.compile(r"(.*[^\W_]|.*[>.])(n't|'(?:s|re|ve|ll|d|m))", re.DOTALL)
_CURRENCY = re.compile(r"((?:[a-z]+)?[$#])(.+)", re.DOTALL)
_CURRENCY_MARK = re.compile(r"(?:[a-z]+)?[$#]")
# The treebank's own marks need an escape: 1\/2, s&p 500\*.
_ESCAPED = re.compile(r"\\([/*])")
_UNESCAPED = re.compile(r"([/*])")


class Penn(Rules):
    """The Penn Treebank as language models know it: lower case, no punctuation, `<unk>`, `N` for numbers.

    Clitics go to their word (`do n't`, `company 's`), currency marks to their amount (`$ N`), `\\/` loses its escape.
    `<unk>` and `N` stay: what they stand for cannot be found again.
    Source: Mikolov et al. 2010, section 3 (the preprocessing); Marcus et al. 1993 (the tokenisation).
    """

    def problem(self, line: str) -> str | None:
        if not line.strip():
            return "is empty; it should hold a sentence"
        for token in line.split():
            if token != "N" and token != token.lower():
                return (
                    f"{token!r} is not in lower case, as the released form is (but for N): another form of the corpus?"
                )
        return None

    def split(self, chunk: str, last: bool) -> list[str]:
        if found := _CURRENCY.fullmatch(chunk):
            return [found[1], *self.split(found[2], last)]
        if chunk.endswith("s'") and len(chunk) > 2:
            return [*self.split(chunk[:-1], last), "'"]
        if found := _CLITIC.fullmatch(chunk):
            return [*self.split(found[1], last), found[2]]
        if chunk in _TWO_IN_ONE:
            return list(_TWO_IN_ONE[chunk])
        return [_UNESCAPED.sub(r"\\\1", chunk)]

    def joins(self, tokens: list[str]) -> list[bool]:
        return [
            token in _CLITICS
            or (token == "'" and previous.endswith("s"))
            or _CURRENCY_MARK.fullmatch(previous) is not None
            or (previous, token) in _PAIRS
            for previous, token in pairwise(tokens)
        ]

    def write(self, tokens: Sequence[str]) -> str:
        return _ESCAPED.sub(r"\1", "".join(tokens))


# What the treebank's tokeniser writes for these, in the Children's Book Test.
_TREEBANK = {"``": '"', "''": '"', "`": "'", "-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{"}
_TREEBANK["-RCB-"] = "}"
_TREEBANK_OPENING = frozenset(["``", "`", "-LRB-", "-LSB-", "-LCB-", "(", "[", "$"])
_TREEBANK_CLOSING = frozenset(["''", "'", "-RRB-", "-RSB-", "-RCB-", *",.;:!?)]%", "..."])


def detokenise_treebank(text: str) -> str:
    """A sentence in the Penn Treebank's tokens (`do n't`, `` `  '' ``) as plain text. Not invertible."""
    written = ""
    glue = True
    for token in text.split():
        suffix = token == "n't" or (token[0] == "'" and len(token) in (2, 3) and token[1:].isalpha())
        if not glue and token not in _TREEBANK_CLOSING and not suffix:
            written += " "
        written += _TREEBANK.get(token, token)
        glue = token in _TREEBANK_OPENING
    return written
