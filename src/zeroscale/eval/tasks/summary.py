"""A summary after `TL;DR:` (CNN/Daily Mail), beside what the same model writes without that hint, and beside
sentences of the article itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zeroscale.eval.cards.rows import Row
from zeroscale.eval.engine.requests import GenerateResult, GenerateUntil, Side, Stop
from zeroscale.eval.metrics import sentences
from zeroscale.eval.tasks.base import Record, Task, TaskOptions, truncated

if TYPE_CHECKING:
    from zeroscale.eval.metrics.metrics import Measured


@dataclass(frozen=True)
class Article:
    """A news text and its highlights, one a line."""

    id: str
    article: str
    highlights: str


class SummaryOptions(TaskOptions):
    hint: str
    max_new_tokens: Annotated[int, Field(gt=0)]
    top_k: Annotated[int, Field(gt=0)]
    sentences: Annotated[int, Field(gt=0)]
    rouge_l: Literal["summary", "sentence"]
    stemmer: bool
    truncate: Side


_SCORES = ("rouge1", "rouge2", "rougeL", "rouge_mean")
# Before a score's name, and the field of a record that is scored: the summary, and what it is compared with.
_SCORED = {
    "": "prediction",
    "no_hint_": "prediction_no_hint",
    "lede_3_": "lede_3",
    "random_3_": "random_3",
}
_BASELINE_SENTENCES = 3


class Summary(Task[Article, SummaryOptions, GenerateResult]):
    """Two drawn generations for each article, with the hint and without."""

    Options = SummaryOptions
    METRICS = tuple(before + name for before in _SCORED for name in _SCORES)
    COLUMNS = ("article", "highlights")

    def examples(self, rows: Sequence[Row]) -> list[Article]:
        return [
            Article(str(row.content.get("id", number)), row.text("article").strip(), row.text("highlights"))
            for number, row in enumerate(rows)
        ]

    def _seed(self, example: Article, use: str = "") -> int:
        """Its own seed for each article and use, whatever else is scored."""
        return int.from_bytes(sha256(f"{self.seed}/{example.id}{use}".encode()).digest()[:8])

    def requests(self, example: Article) -> list[GenerateUntil]:
        """The summary after the hint, then what follows the article alone."""
        options = self.options
        stop = Stop("sentences", options.sentences)
        length, k = options.max_new_tokens, options.top_k
        hinted, protected = self.prompt(example.article, options.hint)
        plain, _ = self.prompt(example.article, "")
        return [
            GenerateUntil(hinted, length, stop, options.truncate, protected, k, self._seed(example)),
            GenerateUntil(plain, length, stop, options.truncate, 0, k, self._seed(example, "/no hint")),
        ]

    def record(self, example: Article, answers: Sequence[GenerateResult]) -> list[Record]:
        hinted, plain = answers
        article = sentences.split(example.article)
        draw = Random(self._seed(example, "/random"))
        drawn = sorted(draw.sample(range(len(article)), min(_BASELINE_SENTENCES, len(article))))
        return [
            {
                "name": example.id,
                "article": example.article,
                "generation": hinted.text,
                "prediction": self._summary(hinted),
                "generation_no_hint": plain.text,
                "prediction_no_hint": self._summary(plain),
                "lede_3": "\n".join(article[:_BASELINE_SENTENCES]),
                "random_3": "\n".join(article[place] for place in drawn),
                "reference": example.highlights,
                "truncated": truncated([hinted]),
            }
        ]

    def _summary(self, answer: GenerateResult) -> str:
        return "\n".join(sentences.split(answer.text)[: self.options.sentences])

    @staticmethod
    def measure(records: Sequence[Record], options: SummaryOptions) -> "list[Measured]":
        from zeroscale.eval.metrics.metrics import Rouge

        references = [row["reference"] for row in records]
        level = options.rouge_l == "summary"
        return [
            Rouge(level, options.stemmer, before).measure([row[field] for row in records], references)
            for before, field in _SCORED.items()
        ]
