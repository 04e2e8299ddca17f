"""The text of a benchmark's examples, as far as a model could have read it somewhere before: what overlap with a corpus
is looked for in. Released tokens are joined as the paper's protocol joins them, for a corpus does not part `do n't`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import tasks
from zeroscale.eval.cards import examples as loading
from zeroscale.eval.cards import registry as cards_of
from zeroscale.eval.cards.card import Card
from zeroscale.eval.cards.rows import Row, Source
from zeroscale.eval.detokenise.penn import detokenise_treebank
from zeroscale.eval.tasks.multiple_choice import BLANK
from zeroscale.eval.tasks.rolling import RollingTask

if TYPE_CHECKING:
    from zeroscale.eval.tasks.base import Task

# Rows are read without a model: a context as long as GPT-2's.
CONTEXT = 1024
# Lines of a running text that are made to examples together, and how many of them again with the next ones.
_LINES, _AGAIN = 5_000, 50


def ready(card: Card, protocol: str, seed: int = 0) -> tuple[Card, "Task"]:
    """A card as a protocol reads it, with a task that can read its rows; no model is needed for that."""
    card = card.following(protocol)
    family = tasks.family(card.family)
    return card, family(family.Options.model_validate(card.options(protocol)), None, CONTEXT, seed)  # type: ignore[arg-type]


def load(
    name: str, protocol: str, source: Source, data_dir: Path | None, allow_other_data: bool, seed: int = 0
) -> tuple[Card, "Task", loading.Loaded]:
    """One card's examples; `loading.choose` says which of them are scored.

    Raises:
        ZeroscaleError: there is no such card, or its data are missing, malformed or others than it pins.
    """
    (card,) = cards_of.resolve([name])
    card, task = ready(card, protocol, seed)
    return card, task, loading.load(card, task, source, data_dir, allow_other_data)


def units(task: "Task", examples: Sequence[Any]) -> Iterator[list[str]]:
    """For each unit of the bootstrap (passage, article, conversation), its texts; no n-gram reaches over their ends."""
    for example in examples:
        if isinstance(task, RollingTask):
            yield from ([part.text] for part in task.parts(example))
        else:
            yield _texts(task, example)


def _texts(task: "Task", example: Any) -> list[str]:
    """What one example says. The number or name of an example is no part of it."""
    kind = type(task).__name__
    if kind == "ClozeWord":
        return [f"{example.context} {example.word}"]
    if kind == "MultipleChoice":
        story = [*example.sentences, example.question.replace(BLANK, example.answer)]
        plain = detokenise_treebank if task.options.detokenise else str
        return ["\n".join(map(plain, story))]
    if kind == "Conversation":
        return [example.story, *example.questions, *(turn[0] for turn in example.references)]
    if kind == "Pronoun":
        return [f"{example.before}{example.pronoun}{example.after}"]
    texts: list[str] = []
    for field in fields(example):
        if field.name != "id":
            _gather(getattr(example, field.name), texts)
    return texts


def _gather(value: Any, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, list | tuple):
        for item in value:
            _gather(item, texts)


def of_files(card: Card, protocol: str, paths: Sequence[Path]) -> Iterator[str]:
    """The text of other files in the form of the card's own (its training split), however long they are.

    Raises:
        ZeroscaleError: a row that is malformed.
    """
    _, task = ready(card, protocol)
    running = isinstance(task, RollingTask)
    held: list[Row] = []
    try:
        for path in paths:
            for row in task.parse([path]):
                held.append(row)
                if len(held) >= _LINES:
                    yield from _of_rows(task, held)
                    # What reaches from one part into the next is found in the second.
                    held = held[-_AGAIN:] if running else []
            if held:
                yield from _of_rows(task, held)
                held = []
    except OSError as error:
        raise ZeroscaleError(f"{error.filename} cannot be read: {error.strerror}") from error


def _of_rows(task: "Task", rows: list[Row]) -> Iterator[str]:
    if isinstance(task, RollingTask) and not any(str(row.content.get("text", "")).strip() for row in rows):
        return
    for example in task.examples(rows):
        if isinstance(task, RollingTask):
            yield "".join(part.text for part in task.parts(example))
        else:
            yield from _texts(task, example)
