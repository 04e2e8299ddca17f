"""A card's data made ready to be scored: rows read, compared with the card's pin, checked, turned into examples, and
those chosen that are scored. The one place where a card, its task and a source of data meet.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.core.files import sha256_json
from zeroscale.eval.cards import pins, sources
from zeroscale.eval.cards.card import Card
from zeroscale.eval.cards.pins import DataCheck
from zeroscale.eval.cards.rows import Source

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from zeroscale.eval.tasks.base import AnyTask


@dataclass(frozen=True)
class Loaded:
    """A card's examples, all of them, and whether they are the benchmark."""

    examples: "list[DataclassInstance]"
    origin: list[str]
    """The names of what was read."""
    check: DataCheck
    hash: str
    """Covers the examples and what those in a prompt may be drawn from."""


def load(card: Card, task: "AnyTask", source: Source, data_dir: Path | None, allow_other_data: bool = False) -> Loaded:
    """Reads and checks a card's data; gives `task` the pool of its prompts' examples, where there is one.

    Raises:
        DataMismatch: the data are not what the card pins, and `allow_other_data` is false.
        ZeroscaleError: they are missing or malformed.
    """
    rows = sources.read(card, source, data_dir, task.parse)
    check = pins.check(card, rows, task.COLUMNS, allow_other_data)
    examples = task.examples(rows.rows)
    content: object = [asdict(example) for example in examples]
    if getattr(task.options, "shots", 0) and (pool := sources.read_pool(card, source, data_dir, task.parse)):
        task.pool = task.examples(pool.rows)
        task.pool_name = ", ".join(pool.origin)
        content = {"examples": content, "pool": [asdict(example) for example in task.pool]}
    return Loaded(examples, rows.origin, check, sha256_json(content))


def choose(
    card: Card, task: "AnyTask", examples: "Sequence[DataclassInstance]", limit: int | None
) -> "list[DataclassInstance]":
    """The examples that are scored: all less what a prompt uses up, of those the first `limit`; or, where a suite asks
    for a part, as many drawn by its seed (at most `limit`). `task.notes` says what was drawn."""
    if card.subset is None:
        return task.select(list(examples), limit)
    count = card.subset.examples if limit is None else min(limit, card.subset.examples)
    return task.draw(task.select(list(examples), None), count, card.subset.seed)
