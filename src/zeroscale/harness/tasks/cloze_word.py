"""The last word of a passage, given the rest (LAMBADA)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from zeroscale.harness.requests import Continuation, Scored, Side
from zeroscale.harness.sources import Row
from zeroscale.harness.tasks.stop_words import NLTK_ENGLISH
from zeroscale.harness.tasks.task import Outcome, Task, TaskOptions, truncated

if TYPE_CHECKING:
    from zeroscale.harness.metrics import Measured

_STRAIGHT = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'"})


@dataclass(frozen=True)
class Passage:
    """Text before the last word, and that word without its space."""

    context: str
    word: str


class Options(TaskOptions):
    strip: bool
    """Whether white space at both ends of the passage, and before the last word, is dropped."""
    straight_quotes: bool
    leading_newline: bool
    stop_words: Literal["nltk-english"] | None
    """None: no acc_stop_words."""
    truncate: Side


class ClozeWord(Task[Passage]):
    """One continuation for each passage."""

    Options = Options
    METRICS = ("perplexity", "acc", "acc_stop_words", "acc_last_token")
    COLUMNS = ("text",)

    def examples(self, rows: Sequence[Row]) -> list[Passage]:
        return [self._passage(row) for row in rows]

    def _passage(self, row: Row) -> Passage:
        text = row.text("text")
        if self.options.strip:
            text = text.strip()
        if self.options.straight_quotes:
            text = text.translate(_STRAIGHT).replace("``", '"').replace("''", '"')
        context, _, word = text.rpartition(" ")
        if not context.strip() or not word:
            raise row.fault(f"a passage needs at least two words, but is {text[:60]!r}")
        if self.options.strip:
            context = context.rstrip()
        return Passage(("\n" if self.options.leading_newline else "") + context, word)

    def requests(self, example: Passage) -> list[Continuation]:
        # White space at the seam goes to the word's side, where the tokenizer puts it and lm-evaluation-harness too.
        text = example.context.rstrip()
        context, target = self.pair(text, example.context[len(text) :] + " " + example.word)
        return [Continuation(context, target, self.options.truncate, self._stop_tokens)]

    @cached_property
    def _stop_tokens(self) -> tuple[int, ...]:
        """Ids that spell a space and a whole stop word."""
        if self.options.stop_words is None:
            return ()
        words = [form for word in NLTK_ENGLISH for form in (f" {word}", f" {word.capitalize()}")]
        encoded = self.tokenizer.encode_batch(words)
        return tuple(sorted({ids[0] for ids in encoded if len(ids) == 1}))

    def outcome(self, example: Passage, answers: Sequence[Scored]) -> list[Outcome]:
        (answer,) = answers
        greedy = answer.greedy
        row = {
            "context": example.context,
            "target": example.word,
            "logprob": float(answer.logprobs.sum()),
            "token_logprobs": [float(value) for value in answer.logprobs],
            "right": bool(greedy.all()),
            "right_last_token": bool(greedy[-1]),
            "truncated": truncated(answers),
        }
        if self.options.stop_words:
            row["right_stop_words"] = bool(answer.first_filtered and greedy[1:].all())
        return [row]

    @staticmethod
    def measure(outcomes: Sequence[Outcome], options: Options) -> "list[Measured]":
        from zeroscale.harness.metrics import Accuracy, Perplexity

        ones = np.ones(len(outcomes), dtype=int)
        flags = {"acc": "right", "acc_stop_words": "right_stop_words", "acc_last_token": "right_last_token"}
        if options.stop_words is None:
            del flags["acc_stop_words"]
        return [
            Perplexity("perplexity").measure([row["logprob"] for row in outcomes], ones),
            *(Accuracy(name).measure([int(row[flag]) for row in outcomes], ones) for name, flag in flags.items()),
        ]
