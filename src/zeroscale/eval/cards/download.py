"""Benchmark data brought here ahead of scoring: `zeroscale data cards=paper` on the machine that has a network, and
`eval … cards_from=hub` afterwards on the ones that have none, from the same cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval import tasks
from zeroscale.eval.cards import pins, sources
from zeroscale.eval.cards import registry as cards_of
from zeroscale.eval.cards.card import Card
from zeroscale.eval.cards.rows import Source

CONTEXT = 1024


@dataclass(frozen=True)
class Fetched:
    """The outcome for one card: where its data are and whether they are the benchmark, or what is wrong."""

    card: str
    words: str
    ready: bool


def fetch(cards: Sequence[str], data_dir: Path | None) -> list[Fetched]:
    """Downloads each card's data from the hub into the cache of `datasets`, and the pool of its prompts' examples with
    them; a card whose files are in `data_dir` is read from there. All are compared with what the cards pin.

    Raises:
        ZeroscaleError: for a card or suite that does not exist.
    """
    whole: dict[str, Card] = {}
    for card in cards_of.resolve(cards):
        # A suite that draws a part needs the same data as the card itself.
        name = card.name.removesuffix(f"-{card.subset.suite}") if card.subset else card.name
        whole.setdefault(name, card)
    return [_fetch(name, card, data_dir) for name, card in whole.items()]


def _fetch(name: str, card: Card, data_dir: Path | None) -> Fetched:
    # Rows are read without a model: no tokenizer, and a context as long as GPT-2's.
    task = tasks.build_task(card, "paper", None, CONTEXT)
    has_files = data_dir is not None and sources.available(card, "files", data_dir) is None
    source: Source = "files" if has_files else "hub"
    try:
        rows = sources.read(card, source, data_dir, task.parse)
        check = pins.check(card, rows, task.COLUMNS)
        pool = sources.read_pool(card, source, data_dir, task.parse)
    except ZeroscaleError as error:
        return Fetched(name, str(error), False)
    words = f"{', '.join(rows.origin)}: {check.words}"
    if pool:
        words += f"; examples for prompts from {', '.join(pool.origin)}"
    return Fetched(name, words, True)
