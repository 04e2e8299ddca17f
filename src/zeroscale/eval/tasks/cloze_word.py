"""The last word of a passage, given the rest (LAMBADA)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from zeroscale.eval.cards.rows import Row
from zeroscale.eval.engine.requests import LogLikelihood, LogLikelihoodResult, Side
from zeroscale.eval.tasks.base import Record, Task, TaskOptions, truncated

if TYPE_CHECKING:
    from zeroscale.eval.metrics.metrics import Measured

_STRAIGHT = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'"})


@dataclass(frozen=True)
class Passage:
    """Text before the last word, and that word without its space."""

    context: str
    word: str


class ClozeWordOptions(TaskOptions):
    strip: bool
    """Whether white space at both ends of the passage, and before the last word, is dropped."""
    straight_quotes: bool
    leading_newline: bool
    stop_words: Literal["nltk-english"] | None
    """None: no acc_stop_words."""
    truncate: Side


class ClozeWord(Task[Passage, ClozeWordOptions, LogLikelihoodResult]):
    """One continuation for each passage."""

    Options = ClozeWordOptions
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

    def requests(self, example: Passage) -> list[LogLikelihood]:
        context, target = self.pair(example.context, " " + example.word)
        return [LogLikelihood(context, target, self.options.truncate, self._stop_tokens)]

    @cached_property
    def _stop_tokens(self) -> tuple[int, ...]:
        """Ids that spell a space and a whole stop word, as they come inside a text."""
        if self.options.stop_words is None:
            return ()
        words = [form for word in NLTK_ENGLISH for form in (f" {word}", f" {word.capitalize()}")]
        encoded = self.pairs(".", words)
        return tuple(sorted({ids[0] for _, ids in encoded if len(ids) == 1}))

    def record(self, example: Passage, answers: Sequence[LogLikelihoodResult]) -> list[Record]:
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

    def texts(self, example: Passage) -> list[str]:
        return [f"{example.context} {example.word}"]

    @staticmethod
    def measure(records: Sequence[Record], options: ClozeWordOptions) -> "list[Measured]":
        from zeroscale.eval.metrics.metrics import Accuracy, Perplexity

        ones = np.ones(len(records), dtype=int)
        flags = {"acc": "right", "acc_stop_words": "right_stop_words", "acc_last_token": "right_last_token"}
        if options.stop_words is None:
            del flags["acc_stop_words"]
        return [
            Perplexity("perplexity").measure([row["logprob"] for row in records], ones),
            *(Accuracy(name).measure([int(row[flag]) for row in records], ones) for name, flag in flags.items()),
        ]


_WORDS = """
i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself yourselves
he him his himself she she's her hers herself it it's its itself they them their theirs themselves
what which who whom this that that'll these those am is are was were be been being have has had having
do does did doing a an the and but if or because as until while of at by for with about against between into
through during before after above below to from up down in out on off over under again further then once
here there when where why how all any both each few more most other some such no nor not only own same so
than too very s t can will just don don't should should've now d ll m o re ve y ain aren aren't couldn couldn't
didn didn't doesn doesn't hadn hadn't hasn hasn't haven haven't isn isn't ma mightn mightn't mustn mustn't
needn needn't shan shan't shouldn shouldn't wasn wasn't weren weren't won won't wouldn wouldn't
"""
NLTK_ENGLISH = tuple(_WORDS.split())
