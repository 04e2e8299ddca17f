"""A few examples of each card with what every size said: a bounded window on *.examples.parquet."""

from pathlib import Path
from typing import Any

from zeroscale.report import marks
from zeroscale.report.benchmarks import latest
from zeroscale.report.record import Cell
from zeroscale.report.shown import Row, Shown, Texts, show

PER_CARD = 12
LONGEST = 600
RAW = 160


def read_examples(cells: list[Cell]) -> list[Row]:
    """The first 12 examples of each card: `{card, protocol, badges, examples: [{passage, asked, target, start,
    answers}]}`.

    An answer is `{cell, run, said, more, besides, right}`; `right` is None where the card does not judge one example by
    itself. Passages are matched across sizes by their `id`, and keep their end, which the model had to go on from.
    """
    cards: dict[str, Row] = {}
    for cell in cells:
        for key, (_, result) in latest(cell).items():
            if result.get("examples") is None or result["card"] == marks.HELD_OUT:
                continue
            new = {"card": result["card"], "protocol": result.get("protocol"), "badges": [], "by_id": {}}
            card = cards.setdefault(key, new)
            card["badges"].append(marks.badge(result))
            for place, row in enumerate(_first_rows(result["examples"])):
                shown = show(row, str(result.get("family")))
                found = card["by_id"].setdefault(row.get("id", place), _example(shown))
                found["answers"].append({"cell": cell.label, "run": cell.name, **_answer(shown)})
    return [
        {
            "card": card["card"],
            "protocol": card["protocol"],
            "badges": list(dict.fromkeys(card["badges"])),
            "examples": list(card["by_id"].values()),
        }
        for _, card in sorted(cards.items())
        if card["by_id"]
    ]


def _example(shown: Shown) -> Row:
    """What is the same for every model."""
    example = {"passage": _end(shown.passage), "target": _start(shown.target), "asked": _pairs(shown.asked)}
    return {**example, "start": shown.start, "answers": []}


def _answer(shown: Shown) -> Row:
    more, besides = _start(shown.more, RAW), _pairs(shown.besides, RAW)
    return {"said": _start(shown.said), "more": more, "besides": besides, "right": shown.right}


def _pairs(texts: Texts, longest: int = LONGEST) -> list[list[str]]:
    return [[label, _start(text, longest)] for label, text in texts]


def _first_rows(path: Path) -> list[dict[str, Any]]:
    """The first rows of a parquet file; [] where it cannot be read (the scores stand without it)."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            batch = next(file.iter_batches(batch_size=PER_CARD), None)
            return [] if batch is None else batch.to_pylist()[:PER_CARD]
    except (OSError, pyarrow.ArrowException):
        return []


def _start(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else text[:longest] + " …"


def _end(text: str) -> str:
    return text if len(text) <= LONGEST else "… " + text[-LONGEST:]
