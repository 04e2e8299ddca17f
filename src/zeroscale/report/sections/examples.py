"""Examples of each card with what every size said: a bounded window on *.examples.parquet."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zeroscale.core.format import number
from zeroscale.report.sections import example_text
from zeroscale.report.sections.example_view import Row, Shown, Texts, show
from zeroscale.report.views import badges
from zeroscale.report.views.benchmarks import latest
from zeroscale.report.views.study import RunView

PER_CARD = 100
LONGEST = 600
RAW = 160
# Families whose records do not hold the text that was scored.
TEXTLESS = ("stream", "characters")


def read_examples(runs: Iterable[RunView], per_card: int = PER_CARD) -> list[Row]:
    """The first examples of each card: `{card, protocol, family, badges, n, examples: [{id, passage, asked, target,
    start, answers}]}`; `n` is how many there are in all.

    An answer is `{cell, run, said, more, besides, right}`; `right` is None where the card does not judge one example by
    itself. Examples are matched across sizes by their `id` and their content's hash (a sample's first is not a whole
    benchmark's first), and passages keep their end, which the model had to go on from.
    """
    cards: dict[str, Row] = {}
    for run in runs:
        for key, (_, result) in latest(run).items():
            if result.get("examples") is None or result["card"] == badges.HELD_OUT:
                continue
            new = {"card": result["card"], "protocol": result.get("protocol"), "family": str(result.get("family"))}
            card = cards.setdefault(key, {**new, "badges": [], "n": 0, "by_id": {}})
            card["badges"].append(badges.badges(result))
            rows, total = _first_rows(result["examples"], per_card)
            card["n"] = max(card["n"], total)
            for identity, shown in _shown(rows, result, run):
                found = card["by_id"].setdefault(identity, {"id": str(identity[0]), **_example(shown)})
                found["answers"].append({"cell": run.label, "run": run.name, **_answer(shown)})
    return [
        {name: card[name] for name in ("card", "protocol", "family", "n")}
        | {"badges": list(dict.fromkeys(card["badges"])), "examples": list(card["by_id"].values())}
        for _, card in sorted(cards.items())
        if card["by_id"]
    ]


def _shown(rows: list[Row], result: Row, run: RunView) -> list[tuple[tuple[Any, Any], Shown]]:
    """((id, content), what is shown) of each record; with the text it was scored on, where that is at hand."""
    family, before, found = str(result.get("family")), 0, []
    for place, row in enumerate(rows):
        text = example_text.of(row, result, run.settings, before) if family in TEXTLESS else ""
        before += int(number(row.get("characters")) or 0)
        found.append(((row.get("id", place), row.get("content")), show(row, family, text)))
    return found


def _example(shown: Shown) -> Row:
    """What is the same for every model."""
    example = {"passage": _end(shown.passage), "target": _start(shown.target), "asked": _pairs(shown.asked)}
    return {**example, "start": shown.start, "answers": []}


def _answer(shown: Shown) -> Row:
    more, besides = _start(shown.more, RAW), _pairs(shown.besides, RAW)
    return {"said": _start(shown.said), "more": more, "besides": besides, "right": shown.right}


def _pairs(texts: Texts, longest: int = LONGEST) -> list[list[str]]:
    return [[label, _start(text, longest)] for label, text in texts]


def _first_rows(path: Path, most: int) -> tuple[list[dict[str, Any]], int]:
    """(The first rows of a parquet file, how many there are); none where it cannot be read: the scores stand alone."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            batch = next(file.iter_batches(batch_size=most), None)
            return ([] if batch is None else batch.to_pylist()[:most]), file.metadata.num_rows
    except (OSError, pyarrow.ArrowException):
        return [], 0


def _start(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else text[:longest] + " …"


def _end(text: str) -> str:
    return text if len(text) <= LONGEST else "… " + text[-LONGEST:]
