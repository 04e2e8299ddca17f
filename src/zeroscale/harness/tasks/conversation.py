"""Questions about a passage, asked in turns (CoQA). Each turn sees the gold answers to those before it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from zeroscale.errors import ZeroscaleError
from zeroscale.files import read_json
from zeroscale.harness.requests import Generated, Generation, Side, Stop
from zeroscale.harness.sources import Row
from zeroscale.harness.tasks.task import Outcome, Task, TaskOptions, truncated

if TYPE_CHECKING:
    from zeroscale.harness.metrics import Measured


@dataclass(frozen=True)
class Dialogue:
    """A passage, its questions, and for each question all references, the gold answer first."""

    id: str
    story: str
    questions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]


class Options(TaskOptions):
    after_story: str
    max_new_tokens: Annotated[int, Field(gt=0)]
    truncate: Side


class Conversation(Task[Dialogue]):
    """One generation for each turn. Units of the bootstrap are the passages."""

    Options = Options
    METRICS = ("f1", "em")

    @staticmethod
    def parse(paths: list[Path]) -> Iterator[Row]:
        for path in paths:
            content = read_json(path)
            if not isinstance(content, dict) or not isinstance(content.get("data"), list):
                raise ZeroscaleError(f"{path}: should hold an object with a list `data` (CoQA's released form)")
            for number, entry in enumerate(content["data"], 1):
                yield Row(f"{path}, data[{number - 1}]", entry)

    def examples(self, rows: Sequence[Row]) -> list[Dialogue]:
        return [_dialogue(row) for row in rows]

    def _turns(self, example: Dialogue) -> Iterator[tuple[str, str]]:
        """(everything before the question, `Q: …\\nA:`) for each turn."""
        so_far = example.story.strip() + self.options.after_story
        for question, references in zip(example.questions, example.references, strict=True):
            last = f"Q: {question}\nA:"
            yield so_far, last
            so_far += f"{last} {references[0]}\n"

    def requests(self, example: Dialogue) -> list[Generation]:
        requests = []
        for so_far, last in self._turns(example):
            prompt, protected = self.prompt(so_far, last)
            options = self.options
            stop = Stop("newline")
            requests.append(Generation(prompt, options.max_new_tokens, stop, options.truncate, protected))
        return requests

    def outcome(self, example: Dialogue, answers: Sequence[Generated]) -> list[Outcome]:
        return [
            {
                "conversation": example.id,
                "turn": turn,
                "prompt": so_far + last,
                "question": example.questions[turn],
                "generation": answer.text,
                "prediction": answer.text.split("\n")[0].strip(),
                "references": list(example.references[turn]),
                "truncated": truncated([answer]),
            }
            for turn, ((so_far, last), answer) in enumerate(zip(self._turns(example), answers, strict=True))
        ]

    @staticmethod
    def measure(outcomes: Sequence[Outcome], options: Options) -> "list[Measured]":
        from zeroscale.harness.metrics import CoqaScore

        predictions = [row["prediction"] for row in outcomes]
        references = [row["references"] for row in outcomes]
        return [CoqaScore().measure(predictions, references, [row["unit"] for row in outcomes])]


def _texts(row: Row, field: str, entries: Any) -> list[str]:
    """Texts in turn order: the release lists objects with `input_text`; the hub gives an object of lists, or texts."""
    if isinstance(entries, dict):
        entries = entries.get("input_text")
    if not isinstance(entries, list) or not entries:
        raise row.fault(f"{field} should be a list of turns")
    texts = [entry.get("input_text") if isinstance(entry, dict) else entry for entry in entries]
    for turn, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise row.fault(f"{field}, turn {turn}: has no input_text")
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
    for turn, text in enumerate(gold, 1):
        if not text.strip():
            raise row.fault(f"answers, turn {turn}: a reference without text")
    references = tuple(tuple(texts) for texts in zip(gold, *others, strict=True))
    return Dialogue(str(row.content.get("id", row.where)), story, tuple(questions), references)
