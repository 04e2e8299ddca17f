"""Examples of each card with every model's prediction: a bounded window on *.examples.parquet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from zeroscale.core.format import number
from zeroscale.report.sections import example_text
from zeroscale.report.sections.example_view import ExampleView, LabelledTexts, Record, view_example
from zeroscale.report.views.benchmarks import latest
from zeroscale.report.views.results import HELD_OUT, ResultView, badge
from zeroscale.report.views.study import RunView

PER_CARD = 100
MAX_LENGTH = 600
MAX_RAW_LENGTH = 160
# Task types whose records do not hold the text that was scored.
TEXTLESS = ("stream", "characters")

ExampleId = tuple[object, object]
"""An example's id and the hash of its content, by which examples are matched across models."""


class Answer(TypedDict):
    """One model's prediction, as the page's examples.js reads it."""

    cell: str
    """The run's label."""
    run: str
    said: str
    more: str
    """All that was generated, where `said` is not its beginning."""
    besides: list[list[str]]
    right: bool | None
    """None where the card does not judge one example by itself."""


class Example(TypedDict):
    """What is the same for every model, and the models' answers."""

    id: str
    passage: str
    target: str
    asked: list[list[str]]
    start: str
    answers: list[Answer]


class CardExamples(TypedDict):
    """The examples of a card by a protocol; `n` is how many there are in all."""

    card: str
    protocol: str
    family: str
    n: int
    badges: list[str]
    examples: list[Example]


@dataclass
class _Collected:
    """The examples of a card so far."""

    card: str
    protocol: str
    task_type: str
    n: int = 0
    badges: list[str] = field(default_factory=list)
    examples: dict[ExampleId, Example] = field(default_factory=dict)

    def json(self) -> CardExamples:
        return {
            "card": self.card,
            "protocol": self.protocol,
            "family": self.task_type,
            "n": self.n,
            "badges": list(dict.fromkeys(self.badges)),
            "examples": list(self.examples.values()),
        }


def read_examples(runs: Iterable[RunView], per_card: int = PER_CARD) -> list[CardExamples]:
    """The first examples of each card, in order of card and protocol.

    Examples are matched across sizes by their `id` and their content's hash (a sample's first is not a whole
    benchmark's first), and passages keep their end, which the model had to go on from.
    """
    cards: dict[str, _Collected] = {}
    for run in runs:
        for key, result in latest(run).items():
            if result.examples is None or result.card == HELD_OUT:
                continue
            collected = cards.setdefault(key, _Collected(result.card, result.protocol, result.task_type))
            collected.badges.append(badge(result.marks))
            records, total = _first_records(result.examples, per_card)
            collected.n = max(collected.n, total)
            for identity, view in _views(records, result, run):
                example = collected.examples.setdefault(identity, _example(str(identity[0]), view))
                example["answers"].append(_answer(run, view))
    return [collected.json() for _, collected in sorted(cards.items()) if collected.examples]


def _views(records: list[Record], result: ResultView, run: RunView) -> Iterator[tuple[ExampleId, ExampleView]]:
    """Each record's view, with the text it was scored on, where that is at hand."""
    characters_before = 0
    for index, record in enumerate(records):
        text = ""
        if result.task_type in TEXTLESS:
            text = example_text.find_text(record, result, run.settings, characters_before)
        characters_before += int(number(record.get("characters")) or 0)
        yield (record.get("id", index), record.get("content")), view_example(record, result.task_type, text)


def _example(identity: str, view: ExampleView) -> Example:
    return {
        "id": identity,
        "passage": _end(view.passage),
        "target": _start(view.target),
        "asked": _pairs(view.context),
        "start": view.title,
        "answers": [],
    }


def _answer(run: RunView, view: ExampleView) -> Answer:
    return {
        "cell": run.label,
        "run": run.name,
        "said": _start(view.prediction),
        "more": _start(view.generation, MAX_RAW_LENGTH),
        "besides": _pairs(view.extra, MAX_RAW_LENGTH),
        "right": view.correct,
    }


def _pairs(texts: LabelledTexts, length: int = MAX_LENGTH) -> list[list[str]]:
    return [[label, _start(text, length)] for label, text in texts]


def _first_records(path: Path, limit: int) -> tuple[list[Record], int]:
    """(The first rows of a parquet file, how many there are); none where it cannot be read: the scores stand alone."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            batch = next(file.iter_batches(batch_size=limit), None)
            return ([] if batch is None else batch.to_pylist()[:limit]), file.metadata.num_rows
    except (OSError, pyarrow.ArrowException):
        return [], 0


def _start(text: str, length: int = MAX_LENGTH) -> str:
    return text if len(text) <= length else text[:length] + " …"


def _end(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else "… " + text[-MAX_LENGTH:]
