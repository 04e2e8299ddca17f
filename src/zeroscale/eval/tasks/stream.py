"""The probability of a whole text, per original word, token and byte: WikiText, Penn Treebank, One Billion Words."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval.cards.rows import Row
from zeroscale.eval.detokenise import RULES, lm_eval
from zeroscale.eval.engine.requests import RollingResult
from zeroscale.eval.tasks.base import Record
from zeroscale.eval.tasks.rolling import Part, RollingOptions, RollingTask

if TYPE_CHECKING:
    from zeroscale.eval.metrics.metrics import Measured

# ` = Title = `, not ` = = Section = = `.
_TITLE = re.compile(r" ?= (?!=)[^\n]*[^=\s] = ?")


@dataclass(frozen=True)
class Block:
    """A part of the text, what the bootstrap draws: its lines as they were released."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """The text, in its parts."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class _Plain(Part):
    """A block as the model reads it, and what its score is divided by."""

    words: int
    bytes: int
    lines_not_detokenised: int = 0


class StreamOptions(RollingOptions):
    unk_at_most: Annotated[float, Field(ge=0, le=1)] | None
    """The largest share of words that may be <unk>; null: any. Files of one name differ in it."""
    blocks: Literal["articles", "pages"] | Annotated[int, Field(gt=0)]
    """What the bootstrap draws: articles by their titles, lm-evaluation-harness's pages, or so many lines."""
    context: Literal["text", "block"]
    """Whether the model reads the blocks as one text, or each on its own."""
    detokenise: Literal["wikitext", "penn", "billion_words", "lm-eval", "none"]
    line_end: str
    """What stands between two lines, and after the last."""
    count_eos: bool
    """Whether a perplexity per word counts each line's end as a word, as WikiText's own <eos> does."""


class Stream(RollingTask[Text, StreamOptions, _Plain]):
    """One rolling request over all blocks, or one for each."""

    Options = StreamOptions
    METRICS = ("word_perplexity", "token_perplexity", "byte_perplexity", "bits_per_byte")

    @staticmethod
    def parse(paths: list[Path]) -> Iterator[Row]:
        """A row per line."""
        for path in paths:
            yield from _lines(path)

    def examples(self, rows: Sequence[Row]) -> list[Text]:
        """All rows are lines of one text, one line in a row or several."""
        if self.options.blocks == "pages" and "page" in rows[0].content:
            return [Text(tuple(_page(row.text("page")) for row in rows))]
        lines = [line for row in rows for line in self._checked(row)]
        self._check_words(rows[0], [word for line in lines for word in line.split()])
        if self.options.blocks == "pages":
            return [Text(tuple(_page(page) for page in lm_eval.pages([*lines, ""])))]
        if self.options.blocks == "articles":
            return [Text(_articles(lines))]
        size = self.options.blocks
        parts = [(begin, lines[begin : begin + size]) for begin in range(0, len(lines), size)]
        return [Text(tuple(Block(f"lines {begin + 1} to {begin + len(part)}", tuple(part)) for begin, part in parts))]

    def _check_words(self, first: Row, words: list[str]) -> None:
        if not words:
            raise first.fault("there is no text in it, nor in what follows")
        share, most = words.count("<unk>") / len(words), self.options.unk_at_most
        if most is not None and share > most:
            raise first.fault(
                f"{share:.2%} of the words here and below are <unk>, and this protocol's text has {most:.0%} at most: "
                "another vocabulary's file, or another form of it"
            )

    def _checked(self, row: Row) -> list[str]:
        text = row.content.get("text", row.content.get("sentence"))
        if not isinstance(text, str):
            raise row.fault(f"field 'text' should be a text, but is {text!r}"[:300])
        lines = text.removesuffix("\n").split("\n")
        if rules := RULES.get(self.options.detokenise):
            for line in lines:
                if problem := rules.problem(line):
                    raise row.fault(problem)
        return lines

    def select(self, examples: list[Text], limit: int | None) -> list[Text]:
        return [Text(text.blocks[:limit]) for text in examples]

    def draw(self, examples: list[Text], n: int, seed: int) -> list[Text]:
        return [Text(tuple(self.subsample(text.blocks, n, seed))) for text in examples]

    def has_separate_parts(self) -> bool:
        return self.options.context == "block"

    def parts(self, example: Text) -> list[_Plain]:
        return [self._plain(block) for block in example.blocks]

    def _plain(self, block: Block) -> _Plain:
        end = self.options.line_end
        if self.options.detokenise == "lm-eval":
            page = end.join(block.lines)
            return _Plain(lm_eval.plain_page(page), *lm_eval.page_counts(page))
        words = sum(len(line.split()) + self.options.count_eos for line in block.lines)
        if self.options.detokenise == "none":
            text = "".join(line + end for line in block.lines)
            return _Plain(text, words, len(text.encode()))
        lines = [RULES[self.options.detokenise].detokenise(line) for line in block.lines]
        text = "".join(line.text + end for line in lines)
        return _Plain(text, words, len(text.encode()), sum(not line.exact for line in lines))

    def record(self, example: Text, answers: Sequence[RollingResult]) -> list[Record]:
        logprobs, tokens = self.part_scores(example, answers)
        plain, _ = self.prepare(example)
        return [
            {
                "title": block.title,
                "logprob": float(logprobs[number]),
                "words": part.words,
                "tokens": int(tokens[number]),
                "bytes": part.bytes,
                "lines": len(block.lines),
                "lines_not_detokenised": part.lines_not_detokenised,
                "truncated": 0,
            }
            for number, (block, part) in enumerate(zip(example.blocks, plain, strict=True))
        ]

    @staticmethod
    def measure(records: Sequence[Record], options: StreamOptions) -> "list[Measured]":
        from zeroscale.eval.metrics.metrics import BitsPerByte, Perplexity

        logprobs = [row["logprob"] for row in records]
        words, tokens, sizes = ([row[name] for row in records] for name in ("words", "tokens", "bytes"))
        return [
            Perplexity("word_perplexity").measure(logprobs, words),
            Perplexity("token_perplexity").measure(logprobs, tokens),
            Perplexity("byte_perplexity").measure(logprobs, sizes),
            BitsPerByte("bits_per_byte").measure(logprobs, sizes),
        ]


def _lines(path: Path) -> Iterator[Row]:
    """A row per line. Only `\\n` ends a line; other characters that may do so stand in these texts."""
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        last = f"{path}, line {len(lines) + 1}"
        raise ZeroscaleError(
            f"{last}: the file ends in the middle of this line, without a line break; it was cut short"
        )
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        if line.endswith(b"\r"):
            raise ZeroscaleError(f"{where}: ends in \\r\\n; the released files have \\n alone")
        try:
            yield Row(where, {"text": line.decode("utf-8")})
        except UnicodeDecodeError as error:
            raise ZeroscaleError(f"{where}: not UTF-8 text (byte {error.start} of the line: {error.reason})") from error


def _articles(lines: list[str]) -> tuple[Block, ...]:
    """Blocks that begin at a title: a line of its form after an empty one. (A formula's line can have that form.)"""
    begins = [
        number
        for number, line in enumerate(lines)
        if _TITLE.fullmatch(line) and (number == 0 or not lines[number - 1].strip())
    ]
    begins = [0, *begins[1:]]  # what stands before the first title belongs to the first article
    parts = [lines[begin:end] for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True)]
    return tuple(Block(_title(part), tuple(part)) for part in parts)


def _title(lines: Sequence[str]) -> str:
    return next((line for line in lines if line.strip()), "").strip(" =")


def _page(page: str) -> Block:
    lines = tuple(page.split("\n"))
    return Block(_title(lines), lines)
