"""The text of a benchmark's examples, as far as a model could have read it somewhere before: what overlap with a corpus
is looked for in. Released tokens are joined as the paper's protocol joins them, for a corpus does not part `do n't`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import tasks
from zeroscale.eval.cards import examples as loading
from zeroscale.eval.cards import registry as cards_of
from zeroscale.eval.cards.card import Card
from zeroscale.eval.cards.rows import Row, Source
from zeroscale.eval.tasks.rolling import RollingTask

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from zeroscale.eval.tasks.base import AnyTask

# Rows are read without a model: a context as long as GPT-2's.
CONTEXT = 1024
# Lines of a running text that are made to examples together, and how many of them again with the next ones.
_LINES, _AGAIN = 5_000, 50


def ready(card: Card, protocol: str, seed: int = 0) -> tuple[Card, "AnyTask"]:
    """A card as a protocol reads it, with a task that can read its rows; no model is needed for that."""
    card = card.following(protocol)
    return card, tasks.build_task(card, protocol, None, CONTEXT, seed)


def load(
    name: str, protocol: str, source: Source, data_dir: Path | None, allow_other_data: bool, seed: int = 0
) -> tuple[Card, "AnyTask", loading.Loaded]:
    """One card's examples; `loading.choose` says which of them are scored.

    Raises:
        ZeroscaleError: there is no such card, or its data are missing, malformed or others than it pins.
    """
    (card,) = cards_of.resolve([name])
    card, task = ready(card, protocol, seed)
    return card, task, loading.load(card, task, source, data_dir, allow_other_data)


def units(task: "AnyTask", examples: "Sequence[DataclassInstance]") -> Iterator[list[str]]:
    """The texts of each cluster of the bootstrap (passage, article, conversation); no n-gram reaches over an end."""
    for example in examples:
        if isinstance(task, RollingTask):
            yield from ([part.text] for part in task.parts(example))
        else:
            yield task.texts(example)


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


def _of_rows(task: "AnyTask", rows: list[Row]) -> Iterator[str]:
    if isinstance(task, RollingTask) and not any(str(row.content.get("text", "")).strip() for row in rows):
        return
    for example in task.examples(rows):
        if isinstance(task, RollingTask):
            yield "".join(part.text for part in task.parts(example))
        else:
            yield from task.texts(example)
