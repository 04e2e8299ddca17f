"""A few examples of each card with what every size said: a bounded window on *.examples.parquet.

What a record holds depends on the card's family (`zeroscale.harness.tasks`); the columns tell which it is.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroscale.report import words
from zeroscale.report.benchmarks import HELD_OUT, latest
from zeroscale.report.record import Cell, number

PER_CARD = 12
LONGEST = 600
RAW = 160
NOTHING = "(nothing)"
Row = dict[str, Any]


@dataclass(frozen=True)
class Shown:
    """A record as the report shows it: `more` is all that was generated, where `said` does not tell."""

    passage: str
    target: str
    said: str
    right: bool | None = None
    asked: tuple[tuple[str, str], ...] = ()
    start: str = ""
    """What stands for the example while it is folded; the passage, where empty."""
    more: str = ""


def read_examples(cells: list[Cell]) -> list[Row]:
    """The first 12 examples of each card: `{card, protocol, examples: [{passage, asked, target, start, answers}]}`.

    An answer is `{cell, run, said, more, right}`; `right` is None where the card does not judge one example by
    itself. Passages are matched across sizes by their `id`, and keep their end, which the model had to go on from.
    """
    cards: dict[str, Row] = {}
    for cell in cells:
        for key, (_, result) in latest(cell).items():
            if result.get("examples") is None or result["card"] == HELD_OUT:
                continue
            card = cards.setdefault(key, {"card": result["card"], "protocol": result.get("protocol"), "by_id": {}})
            for place, row in enumerate(_first_rows(result["examples"])):
                shown = show(row)
                said = {"said": _start(shown.said), "more": _start(shown.more, RAW), "right": shown.right}
                example = {"passage": _end(shown.passage), "target": _start(shown.target)}
                example |= {"asked": [[label, _start(text)] for label, text in shown.asked], "start": shown.start}
                found = card["by_id"].setdefault(row.get("id", place), {**example, "answers": []})
                found["answers"].append({"cell": cell.label, "run": cell.name, **said})
    return [
        {"card": card["card"], "protocol": card["protocol"], "examples": list(card["by_id"].values())}
        for _, card in sorted(cards.items())
        if card["by_id"]
    ]


def _first_rows(path: Path) -> list[Row]:
    """The first rows of a parquet file; [] where it cannot be read (the scores stand without it)."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            batch = next(file.iter_batches(batch_size=PER_CARD), None)
            return [] if batch is None else batch.to_pylist()[:PER_CARD]
    except (OSError, pyarrow.ArrowException):
        return []


def show(row: Row) -> Shown:
    """A record of any family; the columns are those that the family's `outcome` writes."""
    right = row["right"] if isinstance(row.get("right"), bool) else None
    if "token_logprobs" in row:  # cloze_word
        chance = words.flat(words.figure(math.exp(min(0.0, number(row["logprob"]) or 0.0)), 2))
        greedy = {True: "; its own choice was this word", False: "; its own choice was another"}.get(right, "")
        return Shown(
            _text(row["context"]).strip(), _text(row["target"]), f"gave the word probability {chance}{greedy}", right
        )
    if "candidates" in row:  # multiple_choice
        asked = (("choices", ", ".join(map(str, row["candidates"]))),)
        text = _text(row["text"])
        return Shown(text, _text(row["answer"]), _text(row["prediction"]), right, asked, text.rpartition("\n")[2])
    if "title" in row:  # stream
        spent = -(number(row["logprob"]) or 0.0) / max(1.0, number(row["words"]) or 1.0)
        perplexity = words.flat(words.figure(math.exp(min(spent, 200.0))))
        asked = (("length", f"{row['words']:,} words, {row['tokens']:,} tokens"),)
        return Shown(_text(row["title"]), "", f"perplexity per word {perplexity}", asked=asked)
    target = _text(row.get("references") or row.get("reference"))
    said, more = _generated(_text(row.get("prediction")), _text(row.get("generation")))
    if "question" in row:  # conversation
        question = _text(row["question"])
        story = _text(row["prompt"]).removesuffix(f"Q: {question}\nA:").rstrip()
        return Shown(story, target, said, right, (("question", question),), question, more)
    return Shown(_text(row.get("article") or row.get("prompt")), target, said, right, more=more)  # summary, translation


def _generated(prediction: str, generation: str) -> tuple[str, str]:
    """(the answer that counts, what was generated where the answer is not its beginning), in one line each."""
    said, whole = one_line(prediction), one_line(generation)
    compact, start = (re.sub(r"[\s⏎]+", "", text) for text in (whole, said))
    return said or NOTHING, "" if start and compact.startswith(start) else whole


def one_line(text: str) -> str:
    """Line breaks as ⏎, a run of them as one: empty lines by the hundred are what an untrained model says."""
    return re.sub(r"\s*\n\s*", " ⏎ ", text.strip())


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " | ".join(dict.fromkeys(str(part) for part in value))
    return "" if value is None else str(value)


def _start(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else text[:longest] + " …"


def _end(text: str) -> str:
    return text if len(text) <= LONGEST else "… " + text[-LONGEST:]
