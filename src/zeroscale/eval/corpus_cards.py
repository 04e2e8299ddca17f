"""Cards whose passages are drawn from the corpus that a model was trained on: where their data come from."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json, write_text
from zeroscale.runs import layout

if TYPE_CHECKING:
    from zeroscale.config.train import TrainConfig
    from zeroscale.eval.cards.card import Card
    from zeroscale.eval.cards.rows import Source

# Raised whenever other passages would be drawn from the same corpus by the same seed.
DRAW_VERSION = 1


def is_drawn_from_corpus(card: "Card") -> bool:
    """Whether a card's examples come from the training corpus: its data lie nowhere before they are drawn."""
    from zeroscale.eval import tasks

    return tasks.task_type(card.family).DRAWN_FROM_CORPUS


def group_by_source(
    cards: Sequence[str],
    source: "Source",
    data_dir: Path | None,
    draw: Callable[["Card"], Path] | None,
    on_fault: Callable[[str, ZeroscaleError], None] | None,
) -> "Iterator[tuple[list[str], Source, Path | None]]":
    """Cards with where their data are: those asked for as they are, and each drawn one with its passages.

    Args:
        draw: draws the passages of a card; returns the folder that holds them. None: all are read as asked for.
        on_fault: takes what is wrong with a drawn card; without it the fault is raised.
    """
    from zeroscale.eval.cards import registry as cards_of

    drawn = [card for card in cards_of.resolve(cards) if is_drawn_from_corpus(card)]
    if draw is None or not drawn:
        yield list(cards), source, data_dir
        return
    if others := [card.name for card in cards_of.resolve(cards) if not is_drawn_from_corpus(card)]:
        paths = {Path(name).stem: name for name in cards if name.endswith((".yaml", ".yml"))}
        yield [paths.get(name, name) for name in others], source, data_dir
    for card in drawn:
        try:
            folder = draw(card)
        except ZeroscaleError as error:
            if on_fault is None:
                raise
            on_fault(card.name, error)
            continue
        yield [str(card.path) if card.path.stem not in cards_of.names() else card.name], "files", folder


def draw_passages(
    card: "Card", protocol: str, corpus: Path, seed: int, outputs: Path, run: "TrainConfig | None" = None
) -> Path:
    """The folder with a card's passages of a prepared corpus, drawn if they are not there yet.

    Args:
        run: passages come from what this run sees of the corpus; None: from all of it.

    Raises:
        ZeroscaleError: the corpus is gone or damaged, or too short for the passages.
    """
    from zeroscale.data import passages as drawing
    from zeroscale.data.corpus import Corpus
    from zeroscale.eval import tasks

    options = tasks.task_type(card.family).Options.model_validate(card.options(protocol))
    opened = Corpus.open(corpus)
    length, number = options.length, options.passages  # type: ignore[attr-defined]
    seen = None
    if run is not None:
        seen = drawing.seen_by(opened, run.seed, run.context, run.trainer.batch_tokens, run.steps)
    drawn_by = {"corpus": opened.fingerprint, "length": length, "number": number, "seed": seed, "seen": seen}
    folder = layout.corpora(outputs) / ".passages" / sha256_json({**drawn_by, "version": DRAW_VERSION})[:16]
    (name,) = card.sources.files.names[0] if card.sources.files else ("passages.jsonl",)
    if not (folder / name).is_file():
        rows = drawing.draw(opened, length, number, seed, seen)
        write_text(folder / name, "".join(json.dumps(row) + "\n" for row in rows))
    return folder
