"""Whether a model goes on with a passage as its training text did, word for word (Carlini et al. 2021 and 2022)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from zeroscale.eval.cards.rows import Row
from zeroscale.eval.engine.requests import LogLikelihood, LogLikelihoodResult, Side
from zeroscale.eval.metrics import bootstrap
from zeroscale.eval.tasks.base import Record, Task, TaskOptions, truncated

if TYPE_CHECKING:
    from zeroscale.eval.metrics.metrics import Measured

# What a passage was drawn from: the training text; that part of it which stands there more than once; the held-out
# text, none of which stands in the training text.
GROUPS = ("training", "repeated", "held_out")
# The curve over occurrences has a point for each range; the last has no end.
RANGES = ((1, 1), (2, 3), (4, 9), (10, 31), (32, 99), (100, None))
_RESAMPLES = 1000


@dataclass(frozen=True)
class Passage:
    """A passage in the model's own tokens: what it is shown, and what comes then."""

    group: str
    occurrences: int
    prompt: tuple[int, ...]
    continuation: tuple[int, ...]


class MemorisationOptions(TaskOptions):
    prompt_tokens: Annotated[int, Field(gt=0)]
    continuation_tokens: Annotated[int, Field(gt=0)]
    passages: Annotated[int, Field(gt=0)]
    """Of each group; of repeated ones, of each range of occurrences."""
    truncate: Side

    @property
    def length(self) -> int:
        return self.prompt_tokens + self.continuation_tokens


class Memorisation(Task[Passage, MemorisationOptions, LogLikelihoodResult]):
    """One continuation for each passage. Greedy decoding would write it just if each of its tokens is the likeliest
    after those before it: one pass over the model tells, where decoding would take one for each token."""

    Options = MemorisationOptions
    METRICS = ("memorised", "memorised_held_out", "verbatim_tokens", "verbatim_tokens_held_out")
    DRAWN_FROM_CORPUS = True
    COLUMNS = ("group", "text", "occurrences", "tokens", "tokenizer")

    def examples(self, rows: Sequence[Row]) -> list[Passage]:
        passages = [self._passage(row) for row in rows]
        whole = [passage for passage in passages if passage is not None]
        if short := len(passages) - len(whole):
            self.notes.append(
                f"{short:,} of {len(passages):,} passages left out: shorter than {self.options.length} tokens"
            )
        for group in ("training", "held_out"):
            if not any(passage.group == group for passage in whole):
                raise rows[0].fault(
                    f"no passage of the group {group!r} and {self.options.length} tokens, here or below"
                )
        return whole

    def _passage(self, row: Row) -> Passage | None:
        """None where the text is too short in this model's tokens."""
        group, count, tokens = (row.content.get(name) for name in ("group", "occurrences", "tokens"))
        if group not in GROUPS:
            raise row.fault(f"field 'group' should be one of {', '.join(GROUPS)}, but is {group!r}"[:300])
        if not isinstance(count, int) or count < 0:
            raise row.fault(f"field 'occurrences' should be a number, but is {count!r}"[:300])
        text = row.text("text")
        if tokens is None or row.content.get("tokenizer") != self.tokenizer.fingerprint:
            # Another's tokenizer: the text, in as many tokens of its own.
            tokens = self.tokenizer.encode(text)
        if len(tokens) < self.options.length:
            return None
        seam = self.options.prompt_tokens
        return Passage(group, count, tuple(tokens[:seam]), tuple(tokens[seam : self.options.length]))

    def select(self, examples: list[Passage], limit: int | None) -> list[Passage]:
        """The first `limit` of each group."""
        left = dict.fromkeys(GROUPS, len(examples) if limit is None else limit)
        chosen = []
        for passage in examples:
            left[passage.group] -= 1
            if left[passage.group] >= 0:
                chosen.append(passage)
        return chosen

    def requests(self, example: Passage) -> list[LogLikelihood]:
        return [LogLikelihood(example.prompt, example.continuation, self.options.truncate)]

    def record(self, example: Passage, answers: Sequence[LogLikelihoodResult]) -> list[Record]:
        (answer,) = answers
        wrong = np.flatnonzero(~answer.greedy)
        right = int(wrong[0]) if len(wrong) else len(answer.greedy)
        return [
            {
                "group": example.group,
                "occurrences": example.occurrences,
                "prompt": self.tokenizer.decode(example.prompt),
                "reference": self.tokenizer.decode(example.continuation),
                "logprob": float(answer.logprobs.sum()),
                "verbatim_tokens": right,
                "right": right == len(example.continuation),
                "truncated": truncated(answers),
            }
        ]

    @staticmethod
    def measure(records: Sequence[Record], options: MemorisationOptions) -> "list[Measured]":
        from zeroscale.eval.metrics.metrics import Accuracy, AccuracyAmong

        measured: list[Measured] = []
        for group, ending in (("training", ""), ("held_out", "_held_out")):
            rows = [row for row in records if row["group"] == group]
            if not rows:
                continue
            ones = np.ones(len(rows), dtype=int)
            measured.append(Accuracy(f"memorised{ending}").measure([int(row["right"]) for row in rows], ones))
            # Of counts, that metric is the mean.
            measured.append(
                AccuracyAmong(f"verbatim_tokens{ending}").measure([row["verbatim_tokens"] for row in rows], ones)
            )
        return measured

    @staticmethod
    def extra_outputs(records: Sequence[Record], options: MemorisationOptions) -> dict[str, object]:
        """`by_occurrences`: the share continued word for word, by how often the training text holds a passage."""
        points = []
        for low, high in RANGES:
            rows = [
                row for row in records if row["group"] != "held_out" and low <= row["occurrences"] <= (high or np.inf)
            ]
            if not rows:
                continue
            right = np.array([[row["right"], 1.0] for row in rows])
            share = bootstrap.bootstrap(right, _share, 0, _RESAMPLES, (0.0, 1.0))["memorised"]
            tokens = float(np.mean([row["verbatim_tokens"] for row in rows]))
            point = {"from": low, "to": high, "n": len(rows), "memorised": share.value, "low": share.low}
            points.append({**point, "high": share.high, "verbatim_tokens": tokens})
        return {"by_occurrences": points}


def _share(sums: np.ndarray) -> dict[str, np.ndarray]:
    return {"memorised": sums[..., 0] / sums[..., 1]}
