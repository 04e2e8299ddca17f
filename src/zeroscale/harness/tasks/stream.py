"""The probability of a whole text, per original word, per token and per byte (WikiText)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from zeroscale.harness.detokenise import detokenise_line
from zeroscale.harness.requests import Rolled, Rolling
from zeroscale.harness.sources import Row
from zeroscale.harness.tasks.task import Outcome, Task, TaskOptions

if TYPE_CHECKING:
    from zeroscale.harness.metrics import Measured

# ` = Title = `, not ` = = Section = = `.
_TITLE = re.compile(r" ?= (?!=)[^\n]*[^=\s] = ?")


@dataclass(frozen=True)
class Article:
    """A block of the stream: its lines as they were released."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """The stream, in its blocks."""

    articles: tuple[Article, ...]


class Options(TaskOptions):
    detokenise: Literal["wikitext", "none"]
    count_eos: bool
    """Whether each line's end counts as a word, as WikiText's own <eos> does."""
    window: Annotated[int, Field(gt=0)]
    stride: Annotated[int, Field(gt=0)]
    start_token: bool


class Stream(Task[Text]):
    """One rolling request over all articles. Units of the bootstrap are the articles."""

    Options = Options
    ROWS_ARE_UNITS = True
    METRICS = ("word_perplexity", "token_perplexity", "bits_per_byte")

    def __init__(self, options: Any, tokenizer: Any, n_positions: int, seed: int = 0) -> None:
        super().__init__(options, tokenizer, n_positions, seed)
        if n_positions < options.window:
            self.notes.append(f"window {n_positions} instead of {options.window}: the model has no more positions")

    @staticmethod
    def parse(paths: list[Path]) -> Iterator[Row]:
        for path in paths:
            for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], 1):
                yield Row(f"{path}, line {number}", {"text": line})

    def examples(self, rows: Sequence[Row]) -> list[Text]:
        """All rows are lines of one stream; an article begins at its title."""
        articles: list[tuple[str, list[str]]] = []
        for row in rows:
            text = row.content.get("text")
            if not isinstance(text, str):
                raise row.fault(f"field 'text' should be a text, but is {text!r}"[:300])
            for line in text.removesuffix("\n").split("\n"):
                if _TITLE.fullmatch(line) or not articles:
                    articles.append((line.strip(" ="), []))
                articles[-1][1].append(line)
        if len(articles) > 1 and not articles[0][0]:
            _, blank = articles.pop(0)  # the line before the first title
            articles[0][1][:0] = blank
        return [Text(tuple(Article(title, tuple(lines)) for title, lines in articles))]

    def select(self, examples: list[Text], limit: int | None) -> list[Text]:
        return [Text(text.articles[:limit]) for text in examples]

    def _plain(self, article: Article) -> tuple[str, int]:
        """An article's text as the model reads it, and how many lines had no inverse."""
        if self.options.detokenise == "none":
            return "".join(f"{line}\n" for line in article.lines), 0
        lines = [detokenise_line(line) for line in article.lines]
        return "".join(f"{line.text}\n" for line in lines), sum(not line.exact for line in lines)

    def requests(self, example: Text) -> list[Rolling]:
        text = "".join(self._plain(article)[0] for article in example.articles)
        start = self.tokenizer.eos if self.options.start_token else None
        return [Rolling(tuple(self.tokenizer.encode(text)), self.options.window, self.options.stride, start)]

    def outcome(self, example: Text, answers: Sequence[Rolled]) -> list[Outcome]:
        (answer,) = answers
        (request,) = self.requests(example)
        lengths = self.tokenizer.token_byte_lengths()[np.array(request.tokens)]
        begins = np.cumsum(lengths) - lengths  # the byte at which each token begins
        plain = [self._plain(article) for article in example.articles]
        sizes = np.array([len(text.encode()) for text, _ in plain])
        owner = np.searchsorted(np.cumsum(sizes), begins, side="right")
        scored = owner[len(owner) - len(answer.logprobs) :]  # without a start token the first has no score
        logprobs = np.bincount(scored, weights=answer.logprobs, minlength=len(plain))
        tokens = np.bincount(scored, minlength=len(plain))
        return [
            {
                "title": article.title,
                "logprob": float(logprobs[number]),
                "words": sum(len(line.split()) + self.options.count_eos for line in article.lines),
                "tokens": int(tokens[number]),
                "bytes": int(sizes[number]),
                "lines": len(article.lines),
                "lines_not_detokenised": plain[number][1],
                "truncated": 0,
            }
            for number, article in enumerate(example.articles)
        ]

    @staticmethod
    def measure(outcomes: Sequence[Outcome], options: Options) -> "list[Measured]":
        from zeroscale.harness.metrics import BitsPerByte, Perplexity

        logprobs = [row["logprob"] for row in outcomes]
        return [
            Perplexity("word_perplexity").measure(logprobs, [row["words"] for row in outcomes]),
            Perplexity("token_perplexity").measure(logprobs, [row["tokens"] for row in outcomes]),
            BitsPerByte("bits_per_byte").measure(logprobs, [row["bytes"] for row in outcomes]),
        ]
