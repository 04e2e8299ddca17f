"""Undoing the tokenisation of WikiText and the Children's Book Test.

The paper scores WikiText through *invertible* detokenisers: remove the artefacts of tokenisation, but only so that
the original tokens can be found again, or the perplexity per original word would be another data set's. Here that
holds by construction: two tokens are joined only if `retokenise` takes them apart again.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

# Names, titles and units whose full stop the Moses tokeniser keeps (its non-breaking prefixes), as WikiText has them.
_KEPT_STOPS = """
Adm. Ave. Bart. Brig. Bros. Capt. Cmdr. Co. Col. Comdr. Con. Corp. Cpl. Dr. Drs. Ens. Gen. Gov. Hon. Hosp. Inc. Insp.
Jr. Ltd. Lt. Maj. Messrs. Mlle. Mme. Mr. Mrs. Ms. Msgr. Mt. No. Nos. Nr. Op. Pfc. Ph. Pres. Prof. Pvt. Rep. Reps. Res.
Rev. Rt. Sen. Sens. Sfc. Sgt. Sr. St. Supt. Surg. Art. Fig. al. lit. p. pp. sp. ssp. v. var. vs. e.g. i.e. ....
"""
_ABBREVIATIONS = frozenset(_KEPT_STOPS.split())
_ALONE = re.compile(r'([,"()\[\]$£¥%;:!?“”#])')
_HYPHEN = re.compile(r"(?<=[\w>.])-(?=[\w<])")
_IN_NUMBER = re.compile(r"(?<=[\d>])([.,])(?=[\d<])")
_SUFFIX = re.compile(r"(?<=[\w>.])'(?=\w)")
_MADE_SUFFIX = "\0'"  # the apostrophe of 's, 't or 'Brien, found inside a word
_INITIALS = re.compile(r"[^\W\d_]\.|(?:[^\W\d_]+\.)+[^\W\d_]+\.")
_CLOSING = frozenset([*",.;:!?)]%”", "..."])
_OPENING = frozenset("([$£¥“#")
_INFIX = {"@-@": "-", "@,@": ",", "@.@": "."}


@dataclass(frozen=True)
class Line:
    """A detokenised line; `exact` is False where no inverse was found and the line was left as it is."""

    text: str
    exact: bool


def _retokenise_chunk(chunk: str) -> list[str]:
    """The tokens of one piece of text without spaces. Chunks do not influence each other."""
    if set(chunk) == {"="}:
        return list(chunk)
    text = _IN_NUMBER.sub(r" @\1@ ", chunk)
    text = re.sub(r"(?<!@),(?!@)", " , ", text)
    text = _ALONE.sub(lambda match: match[0] if match[0] == "," else f" {match[0]} ", text)
    text = _HYPHEN.sub(" @-@ ", text)
    text = _SUFFIX.sub(f" {_MADE_SUFFIX}", text)
    tokens: list[str] = []
    for piece in text.split():
        if piece.startswith(_MADE_SUFFIX):
            word, *ends = _split_ends(piece[len(_MADE_SUFFIX) :])
            tokens.extend(["'" + word, *ends])
        else:
            tokens.extend(_split_ends(piece))
    return tokens


def _split_ends(piece: str) -> list[str]:
    """Takes a lone quote mark, a full stop or an ellipsis off a word."""
    if len(piece) <= 1 or piece in _ABBREVIATIONS or piece in _INFIX or _INITIALS.fullmatch(piece):
        return [piece]
    if piece.startswith("'") and len(piece) > 1 and piece[1:].isalpha() and piece[1].islower():
        return [piece]  # a suffix that stands alone
    if piece[0] == "'":
        return ["'", *_split_ends(piece[1:])]
    for end in ("...", "'", "."):
        if piece.endswith(end) and piece != end and not (end == "." and piece.endswith("..")):
            return [*_split_ends(piece[: -len(end)]), end]
    return [piece]


def retokenise(text: str) -> str:
    """The tokens of a detokenised line, with single spaces between them."""
    return " ".join(token for chunk in text.split(" ") for token in _retokenise_chunk(chunk))


def _glued(tokens: list[str]) -> list[bool]:
    """For each token but the first: whether good typography joins it to the one before."""
    joins = []
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
        joins.append(
            closes
            or opens
            or suffix
            or token in _CLOSING
            or previous in _OPENING
            or token in _INFIX
            or previous in _INFIX
            or (token == "=" and previous == "=")
        )
    return joins


def _chunk_text(tokens: list[str]) -> str:
    """Tokens written without spaces; `@-@` and its kin lose their marks unless they stand alone."""
    return "".join(_INFIX.get(token, token) if len(tokens) > 1 else token for token in tokens)


def _detokenise_chunk(tokens: list[str]) -> list[str]:
    """Text pieces for tokens that should be one piece: as few pieces as can be taken apart again."""
    pieces = []
    while tokens:
        for size in range(len(tokens), 0, -1):
            text = _chunk_text(tokens[:size])
            if size == 1 or _retokenise_chunk(text) == tokens[:size]:
                pieces.append(text)
                tokens = tokens[size:]
                break
    return pieces


def detokenise_line(line: str) -> Line:
    """One WikiText line (its tokens between spaces) as plain text; `retokenise` gives the tokens back.

    A line whose tokens cannot be recovered (a word with a comma inside its number, say) stays as it is.
    """
    tokens = line.split()
    if not tokens:
        return Line("", True)
    pieces: list[str] = []
    chunk = [tokens[0]]
    for token, joined in zip(tokens[1:], _glued(tokens), strict=True):
        if not joined:
            pieces.extend(_detokenise_chunk(chunk))
            chunk = []
        chunk.append(token)
    text = " ".join(pieces + _detokenise_chunk(chunk))
    if retokenise(text) == " ".join(tokens):
        return Line(text, True)
    return Line(" ".join(tokens), False)


# What the Penn Treebank tokeniser, used for the Children's Book Test, writes for these.
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
