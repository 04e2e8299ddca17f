"""Questions answered from memory, after a few pairs of question and answer (Natural Questions)."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from zeroscale.eval.cards.rows import Row
from zeroscale.eval.engine.requests import GenerateResult, GenerateUntil, Side, Stop
from zeroscale.eval.metrics.statistics import normalise_answer
from zeroscale.eval.tasks.base import Record, Task, TaskOptions, truncated

if TYPE_CHECKING:
    from zeroscale.eval.metrics.metrics import Measured

# Accuracy against confidence: so many groups of questions, equally large, from the least confident to the most.
GROUPS = 10
_QUESTION = "{question}"
_LM_EVAL_ARTICLES = re.compile(r"\b(?:The |the |An |A |The |a |an )")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class Question:
    """A question and all answers that count as right."""

    question: str
    answers: tuple[str, ...]


def _holds_question(template: str) -> str:
    if template.count(_QUESTION) != 1:
        raise ValueError(f"should hold {_QUESTION} once")
    return template


class QuestionAnswerOptions(TaskOptions):
    description: str
    """Before everything else."""
    template: Annotated[str, AfterValidator(_holds_question)]
    """The prompt of one question; a space and the answer follow it."""
    between: str
    """After each answer of the examples."""
    shots: Annotated[int, Field(ge=0)]
    stop_at: Annotated[str, Field(min_length=1)]
    """Characters each of which ends an answer."""
    max_new_tokens: Annotated[int, Field(gt=0)]
    normalise: Literal["squad", "as lm-eval"]
    confidence: Literal["total", "mean"]
    """Probability of the generated answer: of all its tokens together, or the geometric mean of each."""
    most_confident: Annotated[float, Field(gt=0, le=1)]
    """Share of the questions, those with the greatest confidence, whose accuracy is a score of its own."""
    new_first: bool
    """Whether new tokens get all their room, and the prompt what is left (else at most half of the context)."""
    truncate: Side


class QuestionAnswer(Task[Question, QuestionAnswerOptions, GenerateResult]):
    """One greedy generation for each question."""

    Options = QuestionAnswerOptions
    METRICS = ("acc", "acc_most_confident")
    COLUMNS = ("question", "answer")

    def examples(self, rows: Sequence[Row]) -> list[Question]:
        return [_question(row) for row in rows]

    def _asked(self, example: Question) -> str:
        return self.options.template.replace(_QUESTION, example.question)

    def _prompt(self, example: Question) -> tuple[str, str]:
        options = self.options
        shown = self.fewshot_prefix(lambda shot: f"{self._asked(shot)} {shot.answers[0]}{options.between}")
        return options.description + shown, self._asked(example)

    def requests(self, example: Question) -> list[GenerateUntil]:
        options = self.options
        prompt, protected = self.prompt(*self._prompt(example))
        stop = Stop("newline") if options.stop_at == "\n" else Stop("texts", texts=tuple(options.stop_at))
        limit, side = options.max_new_tokens, options.truncate
        return [GenerateUntil(prompt, limit, stop, side, protected, logprobs=True, new_first=options.new_first)]

    def record(self, example: Question, answers: Sequence[GenerateResult]) -> list[Record]:
        (answer,) = answers
        assert answer.logprobs is not None
        prediction = re.split(f"[{re.escape(self.options.stop_at)}]", answer.text)[0]
        # Nothing generated (the text ended at once) is no answer to be sure of.
        total = float(answer.logprobs.sum()) if len(answer.logprobs) else float("-inf")
        mean = total / max(1, len(answer.logprobs))
        same = _NORMALISE[self.options.normalise]
        return [
            {
                "prompt": "".join(self._prompt(example)),
                "question": example.question,
                "generation": answer.text,
                "prediction": prediction.strip(),
                "references": list(example.answers),
                "token_logprobs": answer.logprobs.tolist(),
                "confidence": float(np.exp(total if self.options.confidence == "total" else mean)),
                "right": any(same(prediction.lstrip()) == same(reference) for reference in example.answers),
                "truncated": truncated(answers),
            }
        ]

    @staticmethod
    def measure(records: Sequence[Record], options: QuestionAnswerOptions) -> "list[Measured]":
        from zeroscale.eval.metrics.metrics import Accuracy, AccuracyAmong

        right = [int(row["right"]) for row in records]
        surest = set(most_confident([row["confidence"] for row in records], options.most_confident))
        return [
            Accuracy().measure(right, [1] * len(right)),
            AccuracyAmong("acc_most_confident").measure(right, [int(place in surest) for place in range(len(right))]),
        ]

    @staticmethod
    def extra_outputs(records: Sequence[Record], options: QuestionAnswerOptions) -> dict[str, object]:
        surest = most_confident([row["confidence"] for row in records], options.most_confident)
        return {"most_confident": len(surest), "accuracy_by_confidence": by_confidence(records)}


def most_confident(confidence: Sequence[float], share: float) -> list[int]:
    """The places of the `share` with the greatest confidence, at least one, the surest first; ties in their order."""
    order = np.argsort(-np.asarray(confidence, dtype=np.float64), kind="stable")
    return order[: max(1, round(share * len(order)))].tolist()


def by_confidence(records: Sequence[Record], groups: int = GROUPS) -> list[dict[str, float]]:
    """Accuracy against confidence: for each of equally large groups, from the least confident on, its number of
    questions, mean confidence and accuracy."""
    confidence = np.array([row["confidence"] for row in records], dtype=np.float64)
    right = np.array([row["right"] for row in records], dtype=np.float64)
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, min(groups, len(order))) if len(part)]
    return [
        {"n": len(part), "confidence": float(confidence[part].mean()), "acc": float(right[part].mean())}
        for part in parts
    ]


def _lm_eval_normalise(text: str) -> str:
    """lm-evaluation-harness's exact_match as its nq_open asks for it: articles out, small letters, no punctuation."""
    return _LM_EVAL_ARTICLES.sub("", text).lower().translate(_NO_PUNCTUATION)


_NORMALISE = {"squad": normalise_answer, "as lm-eval": _lm_eval_normalise}


def _question(row: Row) -> Question:
    question = row.text("question").strip()
    answers = row.content.get("answer")
    answers = [answers] if isinstance(answers, str) else row.items("answer")
    for answer in answers:
        if not isinstance(answer, str) or not answer.strip():
            raise row.fault(f"field 'answer' should hold texts that are not empty, but holds {answer!r}"[:300])
    return Question(question, tuple(answers))
