"""Questions about a passage, asked in turns (CoQA). Each turn sees the gold answers to those before it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object
from zeroscale.eval.cards.rows import Row
from zeroscale.eval.engine.requests import GenerateResult, GenerateUntil, Side, Stop
from zeroscale.eval.tasks import base
from zeroscale.eval.tasks.base import Record, Task, TaskOptions, truncated

if TYPE_CHECKING:
    from zeroscale.eval.metrics.metrics import Measured
    from zeroscale.model.protocol import TextTokenizer


@dataclass(frozen=True)
class Turn:
    """A turn's number, what is said before its question, and `Q: …` with `A:`."""

    number: int
    so_far: str
    last: str


@dataclass(frozen=True)
class Dialogue:
    """A passage, its questions, and for each question all references, the gold answer first."""

    id: str
    story: str
    questions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]


class ConversationOptions(TaskOptions):
    strip: bool
    """Whether white space at both ends of the passage is dropped."""
    after_story: str
    after_question: str
    """Between `Q: …` and `A:`."""
    after_answer: str
    turns: Literal["every", "last"]
    references: Literal["all", "distinct"]
    """`distinct`: an answer that says the same as one before it, in capitals or not, does not count again."""
    stop: Annotated[str, Field(min_length=1)]
    """The answer ends before this, and at the end of its first line that is not empty."""
    max_new_tokens: Annotated[int, Field(gt=0)]
    new_first: bool
    """Whether new tokens get all their room, and the prompt what is left (else at most half of the context)."""
    truncate: Side


class Conversation(Task[Dialogue, ConversationOptions, GenerateResult]):
    """One generation for each turn that is scored. Units of the bootstrap are the passages."""

    Options = ConversationOptions
    METRICS = ("f1", "em")
    COLUMNS = ("story", "questions", "answers", "additional_answers")

    def __init__(
        self, options: ConversationOptions, tokenizer: "TextTokenizer", n_positions: int, seed: int = 0
    ) -> None:
        super().__init__(options, tokenizer, n_positions, seed)
        if options.new_first and n_positions <= options.max_new_tokens:
            self.notes.append(base.too_short(n_positions, options.max_new_tokens))

    @staticmethod
    def parse(paths: list[Path]) -> Iterator[Row]:
        for path in paths:
            content = read_object(path)
            if not isinstance(content.get("data"), list):
                raise ZeroscaleError(f"{path}: should hold an object with a list `data` (CoQA's released form)")
            for number, entry in enumerate(content["data"]):
                where = f"{path}, data[{number}]"
                if not isinstance(entry, dict):
                    raise ZeroscaleError(f"{where}: should be an object with story, questions and answers")
                yield Row(where, entry)

    def examples(self, rows: Sequence[Row]) -> list[Dialogue]:
        return [_dialogue(row) for row in rows]

    def _turns(self, example: Dialogue) -> list[Turn]:
        options = self.options
        so_far = (example.story.strip() if options.strip else example.story) + options.after_story
        turns = []
        for number, (question, references) in enumerate(zip(example.questions, example.references, strict=True)):
            last = f"Q: {question}{options.after_question}A:"
            turns.append(Turn(number, so_far, last))
            so_far += f"{last} {references[0]}{options.after_answer}"
        return turns if options.turns == "every" else turns[-1:]

    def requests(self, example: Dialogue) -> list[GenerateUntil]:
        options = self.options
        stop = Stop("newline") if options.stop == "\n" else Stop("texts", texts=(options.stop,))
        requests = []
        for turn in self._turns(example):
            prompt, protected = self.prompt(turn.so_far, turn.last)
            requests.append(
                GenerateUntil(
                    prompt,
                    options.max_new_tokens,
                    stop,
                    truncate=options.truncate,
                    protected=protected,
                    new_first=options.new_first,
                )
            )
        return requests

    def record(self, example: Dialogue, answers: Sequence[GenerateResult]) -> list[Record]:
        return [
            {
                "conversation": example.id,
                "turn": turn.number,
                "prompt": turn.so_far + turn.last,
                "question": example.questions[turn.number],
                "generation": answer.text,
                "prediction": self._prediction(answer.text),
                "references": self._references(example, turn.number),
                "truncated": truncated([answer]),
            }
            for turn, answer in zip(self._turns(example), answers, strict=True)
        ]

    def _prediction(self, text: str) -> str:
        return text.split(self.options.stop)[0].strip().split("\n")[0]

    def _references(self, example: Dialogue, turn: int) -> list[str]:
        references = example.references[turn]
        if self.options.references == "all":
            return list(references)
        distinct: dict[str, str] = {}
        for text in references:
            distinct.setdefault(text.lower(), text)
        return list(distinct.values())

    def texts(self, example: Dialogue) -> list[str]:
        return [example.story, *example.questions, *(turn[0] for turn in example.references)]

    @staticmethod
    def measure(records: Sequence[Record], options: ConversationOptions) -> "list[Measured]":
        from zeroscale.eval.metrics.metrics import CoqaScore

        predictions = [row["prediction"] for row in records]
        references = [row["references"] for row in records]
        return [CoqaScore().measure(predictions, references, [row["unit"] for row in records])]


def _texts(row: Row, field: str, entries: object) -> list[str]:
    """Texts in turn order: the release lists objects with `input_text`; the hub gives an object of lists, or texts."""
    if isinstance(entries, dict):
        entries = entries.get("input_text")
    if not isinstance(entries, list) or not entries:
        raise row.fault(f"{field} should be a list of turns")
    texts = []
    for turn, entry in enumerate(entries, 1):
        text = entry.get("input_text") if isinstance(entry, dict) else entry
        if not isinstance(text, str):
            raise row.fault(f"{field}, turn {turn}: has no input_text")
        texts.append(text)
    return texts


def _dialogue(row: Row) -> Dialogue:
    story = row.text("story")
    questions = _texts(row, "questions", row.content.get("questions"))
    gold = _texts(row, "answers", row.content.get("answers"))
    additional = row.content.get("additional_answers") or {}
    if not isinstance(additional, dict):
        raise row.fault("additional_answers should be an object of lists of answers")
    others = [_texts(row, f"additional_answers.{key}", value) for key, value in sorted(additional.items())]
    for name, texts in [("answers", gold), *((f"additional_answers[{i}]", texts) for i, texts in enumerate(others))]:
        if len(texts) != len(questions):
            raise row.fault(f"{name} has {len(texts)} turns, but there are {len(questions)} questions")
    for turn, (question, *answers) in enumerate(zip(questions, gold, *others, strict=True), 1):
        if not question.strip():
            raise row.fault(f"questions, turn {turn}: a question without text")
        if not all(text.strip() for text in answers):
            raise row.fault(f"answers, turn {turn}: a reference without text")
    references = tuple(zip(gold, *others, strict=True))
    return Dialogue(str(row.content.get("id", row.where)), story, tuple(questions), references)
