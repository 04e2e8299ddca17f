"""A record of *.examples.parquet as a reader sees it. What it holds is its family's (`zeroscale.eval.tasks`)."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from zeroscale.core import format
from zeroscale.core.format import number

NOTHING = "(nothing)"
Row = dict[str, Any]
Texts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Shown:
    """A record as the report shows it: `more` is all that was generated, where `said` does not tell."""

    passage: str
    target: str
    said: str
    right: bool | None = None
    asked: Texts = ()
    """(label, text) of what else belongs to the example, whatever the model."""
    start: str = ""
    """What stands for the example while it is folded; the passage, where empty."""
    more: str = ""
    besides: Texts = ()
    """(label, text) of what else this model said."""


def show(row: Row, family: str, text: str = "") -> Shown:
    """A record of any family. One that is not known here shows the fields that most families have.

    `text`: what was scored, where the record does not hold it (`report.passages`).
    """
    shown = _SHOW.get(family, _translation)(row)
    return replace(shown, passage=text, start=shown.passage) if text else shown


def _right(row: Row) -> bool | None:
    return row["right"] if isinstance(row.get("right"), bool) else None


def _cloze_word(row: Row) -> Shown:
    right = _right(row)
    chance = format.flat(format.figure(math.exp(min(0.0, number(row["logprob"]) or 0.0)), 2))
    greedy = {True: "; its own choice was this word", False: "; its own choice was another"}.get(right, "")
    said = f"gave the word probability {chance}{greedy}"
    return Shown(_text(row["context"]).strip(), _text(row["target"]), said, right)


def _multiple_choice(row: Row) -> Shown:
    text = _text(row["text"])
    return Shown(
        text, _text(row["answer"]), _text(row["prediction"]), _right(row), _choices(row), text.rpartition("\n")[2]
    )


def _pronoun(row: Row) -> Shown:
    """Judged by the rest of the sentence (partial scoring); the choice by the whole one stands beside it."""
    whole = row["candidates"][row["chosen_full"]]
    besides = () if row["chosen_full"] == row["chosen"] else (("by the whole sentence", _text(whole)),)
    said = (_text(row["answer"]), _text(row["prediction"]), _right(row))
    return Shown(_text(row["text"]), *said, _choices(row), besides=besides)


def _choices(row: Row) -> Texts:
    return (("choices", ", ".join(map(str, row["candidates"]))),)


def _stream(row: Row) -> Shown:
    spent = -(number(row["logprob"]) or 0.0) / max(1.0, number(row["words"]) or 1.0)
    perplexity = format.flat(format.figure(math.exp(min(spent, 200.0))))
    asked = (("length", f"{row['words']:,} words, {row['tokens']:,} tokens"),)
    return Shown(_text(row["title"]), "", f"perplexity per word {perplexity}", asked=asked)


def _characters(row: Row) -> Shown:
    """A block of a long text, by its number: the records do not hold the text."""
    spent = -(number(row["logprob"]) or 0.0) / math.log(2) / max(1.0, number(row["characters"]) or 1.0)
    asked = (("length", f"{row['characters']:,} characters, {row['bytes']:,} bytes, {row['tokens']:,} tokens"),)
    said = f"{format.flat(format.figure(spent))} bits per character"
    return Shown(f"Block {int(row.get('id', 0)) + 1:,}", "", said, asked=asked)


def _conversation(row: Row) -> Shown:
    question = _text(row["question"])
    story = _text(row["prompt"]).removesuffix(f"Q: {question}\nA:").rstrip()
    said, more = _generated(row)
    return Shown(story, _text(row["references"]), said, _right(row), (("question", question),), question, more)


def _question_answer(row: Row) -> Shown:
    """The prompt ends with the question; how sure the model was stands beside its answer."""
    said, more = _generated(row)
    sure = format.flat(format.figure(number(row["confidence"]) or 0.0, 2))
    besides = (("its probability", sure),)
    target, question = _text(row["references"]), _text(row["question"])
    return Shown(_text(row["prompt"]), target, said, _right(row), (), question, more, besides)


def _summary(row: Row) -> Shown:
    said, more = _generated(row)
    baselines = (("lede_3", "first three sentences"), ("random_3", "three drawn sentences"))
    asked = tuple((label, one_line(_text(row[name]))) for name, label in baselines if row.get(name))
    without = one_line(_text(row.get("prediction_no_hint"))) or NOTHING
    besides = (("without the hint", without),) if "prediction_no_hint" in row else ()
    return Shown(_text(row["article"]), _text(row["reference"]), said, None, asked, "", more, besides)


def _memorised(row: Row) -> Shown:
    """No score of being right: a passage that goes on word for word has been learnt by heart."""
    agreed = int(number(row.get("verbatim_tokens")) or 0)
    said = "the whole passage, word for word" if row.get("right") else f"{agreed} tokens word for word, then others"
    times = int(number(row.get("occurrences")) or 0)
    seen = f"{_text(row.get('group')).replace('_', '-')}, {times:,} times in the training text"
    return Shown(_text(row["prompt"]), _text(row["reference"]), said, None, (("where from", seen),))


def _translation(row: Row) -> Shown:
    said, more = _generated(row)
    passage = _text(row.get("prompt") or row.get("text") or row.get("context"))
    target = _text(row.get("references") or row.get("reference") or row.get("answer"))
    return Shown(passage, target, said, _right(row), more=more)


_SHOW: dict[str, Callable[[Row], Shown]] = {
    "cloze_word": _cloze_word,
    "multiple_choice": _multiple_choice,
    "pronoun": _pronoun,
    "stream": _stream,
    "characters": _characters,
    "conversation": _conversation,
    "question_answer": _question_answer,
    "summary": _summary,
    "translation": _translation,
    "memorisation": _memorised,
}


def _generated(row: Row) -> tuple[str, str]:
    """(the answer that counts, what was generated where the answer is not its beginning), in one line each."""
    said, whole = one_line(_text(row.get("prediction"))), one_line(_text(row.get("generation")))
    compact, start = (re.sub(r"[\s⏎]+", "", text) for text in (whole, said))
    return said or NOTHING, "" if start and compact.startswith(start) else whole


def one_line(text: str) -> str:
    """Line breaks as ⏎, a run of them as one: empty lines by the hundred are what an untrained model says."""
    return re.sub(r"\s*\n\s*", " ⏎ ", text.strip())


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " | ".join(dict.fromkeys(str(part) for part in value))
    return "" if value is None else str(value)
