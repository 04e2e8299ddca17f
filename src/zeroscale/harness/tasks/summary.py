"""A summary after `TL;DR:` (CNN/Daily Mail)."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zeroscale.harness import sentences
from zeroscale.harness.requests import Generated, Generation, Side, Stop
from zeroscale.harness.sources import Row
from zeroscale.harness.tasks.task import Outcome, Task, TaskOptions, truncated

if TYPE_CHECKING:
    from zeroscale.harness.metrics import Measured


@dataclass(frozen=True)
class Article:
    """A news text and its highlights, one a line."""

    id: str
    article: str
    highlights: str


class Options(TaskOptions):
    hint: str
    max_new_tokens: Annotated[int, Field(gt=0)]
    top_k: Annotated[int, Field(gt=0)]
    sentences: Annotated[int, Field(gt=0)]
    rouge_l: Literal["summary", "sentence"]
    stemmer: bool
    truncate: Side


class Summary(Task[Article]):
    """One drawn generation for each article."""

    Options = Options
    METRICS = ("rouge1", "rouge2", "rougeL", "rouge_mean")

    def examples(self, rows: Sequence[Row]) -> list[Article]:
        return [
            Article(str(row.content.get("id", number)), row.text("article").strip(), row.text("highlights"))
            for number, row in enumerate(rows)
        ]

    def requests(self, example: Article) -> list[Generation]:
        options = self.options
        prompt, protected = self.prompt(example.article, options.hint)
        stop = Stop("sentences", options.sentences)
        # Its own seed for each article, whatever else is scored.
        seed = int.from_bytes(sha256(f"{self.seed}/{example.id}".encode()).digest()[:8])
        return [Generation(prompt, options.max_new_tokens, stop, options.truncate, protected, options.top_k, seed)]

    def outcome(self, example: Article, answers: Sequence[Generated]) -> list[Outcome]:
        (answer,) = answers
        return [
            {
                "name": example.id,
                "article": example.article,
                "generation": answer.text,
                "prediction": "\n".join(sentences.split(answer.text)[: self.options.sentences]),
                "reference": example.highlights,
                "truncated": truncated(answers),
            }
        ]

    @staticmethod
    def measure(outcomes: Sequence[Outcome], options: Options) -> "list[Measured]":
        from zeroscale.harness.metrics import Rouge

        metric = Rouge(summary_level=options.rouge_l == "summary", stemmer=options.stemmer)
        return [metric.measure([row["prediction"] for row in outcomes], [row["reference"] for row in outcomes])]
