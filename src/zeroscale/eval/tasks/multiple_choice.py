"""Which of several candidates fills the blank (the Children's Book Test)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from zeroscale.core.files import read_lines
from zeroscale.eval.cards.rows import Row, jsonl
from zeroscale.eval.detokenise.penn import detokenise_treebank
from zeroscale.eval.engine.requests import LogLikelihood, LogLikelihoodResult, Side, fit
from zeroscale.eval.tasks.base import Record, Task, TaskOptions

if TYPE_CHECKING:
    from zeroscale.eval.metrics.metrics import Measured

BLANK = "XXXXX"
# The released form has so many lines before a question.
SENTENCES = 20
_NUMBERED = re.compile(r"(\d+) (.*)", re.DOTALL)


@dataclass(frozen=True)
class Question:
    """Story and question in the released tokens."""

    sentences: tuple[str, ...]
    question: str
    candidates: tuple[str, ...]
    answer: str


class MultipleChoiceOptions(TaskOptions):
    detokenise: bool
    separator: str
    """Between the sentences of the story, and before the question."""
    sentences: Annotated[int, Field(gt=0)] | None
    """How many each story has; null: any number, none too."""
    candidates: Annotated[int, Field(gt=1)] | None
    """How many each question has; null: two or more."""
    shots: Annotated[int, Field(ge=0)]
    truncate: Side


class MultipleChoice(Task[Question, MultipleChoiceOptions, LogLikelihoodResult]):
    """A continuation for each candidate: itself and the rest of the sentence."""

    Options = MultipleChoiceOptions
    METRICS = ("acc",)
    COLUMNS = ("sentences", "question", "answer", "options")

    @staticmethod
    def parse(paths: list[Path]) -> Iterator[Row]:
        """The released form: 20 numbered lines, then `21 question<TAB>answer<TAB><TAB>a|b|…`, then a blank line; or
        JSON lines with the hub's columns."""
        for path in paths:
            if path.suffix == ".jsonl":
                yield from jsonl([path])
                continue
            sentences: list[str] = []
            for number, line in enumerate(read_lines(path), 1):
                if not line.strip():
                    continue
                row = Row(f"{path}, line {number}", {})
                match = _NUMBERED.match(line)
                if match is None or match[1] != str(len(sentences) + 1):
                    raise row.fault(f"should begin with the number {len(sentences) + 1}, but is {line[:60]!r}")
                if len(sentences) < SENTENCES:
                    sentences.append(match[2])
                    continue
                parts = match[2].split("\t")
                if len(parts) != 4:
                    raise row.fault("a question needs four parts between tabs: question, answer, nothing, a|b|…")
                content = {"sentences": sentences, "question": parts[0], "answer": parts[1]}
                yield Row(row.where, {**content, "options": parts[3].split("|")})
                sentences = []
            if sentences:
                raise Row(str(path), {}).fault(f"ends after {len(sentences)} lines of a question's 21")

    def examples(self, rows: Sequence[Row]) -> list[Question]:
        return [_question(row, self.options) for row in rows]

    def _plain(self, text: str) -> str:
        return detokenise_treebank(text) if self.options.detokenise else text

    def _story(self, example: Question) -> str:
        return self.options.separator.join(map(self._plain, [*example.sentences, example.question]))

    def _split(self, example: Question) -> tuple[str, str, str]:
        """Text before the blank without its last space, that space, and the text after the blank."""
        shown = self.fewshot_prefix(lambda shot: self._story(shot).replace(BLANK, self._plain(shot.answer)) + "\n\n")
        before, _, after = self._story(example).rpartition(BLANK)
        before = shown + before
        context = before.rstrip(" \n")
        return context, before[len(context) :], after

    def requests(self, example: Question) -> list[LogLikelihood]:
        before, space, after = self._split(example)
        pairs = self.pairs(before, [space + self._plain(candidate) + after for candidate in example.candidates])
        # All candidates are judged after the same context: it leaves room for the longest of them.
        room = max(1, self.n_positions + 1 - max(len(target) for _, target in pairs))
        side = self.options.truncate
        return [LogLikelihood(fit(context, room, side), target, side) for context, target in pairs]

    def record(self, example: Question, answers: Sequence[LogLikelihoodResult]) -> list[Record]:
        scores = [float(answer.logprobs.sum()) for answer in answers]
        chosen = max(range(len(scores)), key=scores.__getitem__)
        right = example.candidates.index(example.answer)
        (whole,) = self.encode([self._split(example)[0].rstrip()])
        cut = len(whole) - len(self.requests(example)[0].context)
        return [
            {
                "text": "\n".join([*example.sentences, example.question]),
                "candidates": list(example.candidates),
                "logprobs": scores,
                "chosen": chosen,
                "wanted": right,
                "answer": example.answer,
                "prediction": example.candidates[chosen],
                "right": chosen == right,
                "truncated": max(0, cut) + max(answer.unscored for answer in answers),
            }
        ]

    def texts(self, example: Question) -> list[str]:
        story = [*example.sentences, example.question.replace(BLANK, example.answer)]
        return ["\n".join(map(self._plain, story))]

    @staticmethod
    def measure(records: Sequence[Record], options: MultipleChoiceOptions) -> "list[Measured]":
        from zeroscale.eval.metrics.metrics import Accuracy

        return [Accuracy().measure([row["chosen"] for row in records], [row["wanted"] for row in records])]


def _question(row: Row, options: MultipleChoiceOptions) -> Question:
    sentences = row.content.get("sentences") if options.sentences is None else row.items("sentences")
    question, answer, candidates = row.text("question"), row.text("answer"), row.items("options")
    sentences = [] if sentences is None else sentences
    if not isinstance(sentences, list) or not all(isinstance(text, str) for text in sentences):
        raise row.fault("field 'sentences' should be a list of texts")
    if options.sentences not in (None, len(sentences)):
        raise row.fault(f"a question comes after {options.sentences} sentences, here are {len(sentences)}")
    if question.count(BLANK) != 1:
        raise row.fault(f"the question should hold {BLANK} once: {question[:80]!r}")
    if not all(isinstance(text, str) and text.strip() for text in candidates):
        raise row.fault(f"a candidate without text: {candidates}")
    if len(candidates) < 2 or options.candidates not in (None, len(candidates)):
        expected = options.candidates or "two or more"
        raise row.fault(f"a question has {expected} candidates, here are {len(candidates)}: {candidates}")
    if len(set(candidates)) != len(candidates):
        raise row.fault(f"two candidates are the same: {candidates}")
    if answer not in candidates:
        raise row.fault(f"the answer {answer!r} is not among the candidates: {candidates}")
    return Question(tuple(sentences), question, tuple(candidates), answer)
