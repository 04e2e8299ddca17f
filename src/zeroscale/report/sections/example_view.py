"""A record of *.examples.parquet as a reader sees it. Its fields depend on the task type (`zeroscale.eval.tasks`)."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from zeroscale.core import format
from zeroscale.core.format import number

NOTHING = "(nothing)"
Record = dict[str, Any]
LabelledTexts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ExampleView:
    """An example with one model's prediction, as the report shows it."""

    passage: str
    target: str
    prediction: str
    correct: bool | None = None
    """None where a single example is not judged."""
    context: LabelledTexts = ()
    """(label, text) of what else belongs to the example, whatever the model."""
    title: str = ""
    """What stands for the example while it is folded; the passage, where empty."""
    generation: str = ""
    """All that was generated, where the prediction is not its beginning."""
    extra: LabelledTexts = ()
    """(label, text) of what else this model produced."""


def view_example(record: Record, task_type: str, text: str = "") -> ExampleView:
    """A record of any task type. A type that is not known here shows the fields that most types have.

    `text`: what was scored, where the record does not hold it (`example_text`).
    """
    view = _VIEWS.get(task_type, _translation)(record)
    return replace(view, passage=text, title=view.passage) if text else view


def _correct(record: Record) -> bool | None:
    return record["right"] if isinstance(record.get("right"), bool) else None


def _cloze_word(record: Record) -> ExampleView:
    correct = _correct(record)
    chance = format.flat(format.figure(math.exp(min(0.0, number(record["logprob"]) or 0.0)), 2))
    greedy = {True: "; its own choice was this word", False: "; its own choice was another", None: ""}[correct]
    prediction = f"gave the word probability {chance}{greedy}"
    return ExampleView(_text(record["context"]).strip(), _text(record["target"]), prediction, correct)


def _multiple_choice(record: Record) -> ExampleView:
    text = _text(record["text"])
    return ExampleView(
        text,
        _text(record["answer"]),
        _text(record["prediction"]),
        _correct(record),
        _choices(record),
        text.rpartition("\n")[2],
    )


def _pronoun(record: Record) -> ExampleView:
    """Judged by the rest of the sentence (partial scoring); the choice by the whole one stands beside it."""
    whole = record["candidates"][record["chosen_full"]]
    extra = () if record["chosen_full"] == record["chosen"] else (("by the whole sentence", _text(whole)),)
    target, prediction = _text(record["answer"]), _text(record["prediction"])
    return ExampleView(_text(record["text"]), target, prediction, _correct(record), _choices(record), extra=extra)


def _choices(record: Record) -> LabelledTexts:
    return (("choices", ", ".join(map(str, record["candidates"]))),)


def _stream(record: Record) -> ExampleView:
    nats_per_word = -(number(record["logprob"]) or 0.0) / max(1.0, number(record["words"]) or 1.0)
    perplexity = format.flat(format.figure(math.exp(min(nats_per_word, 200.0))))
    context = (("length", f"{record['words']:,} words, {record['tokens']:,} tokens"),)
    return ExampleView(_text(record["title"]), "", f"perplexity per word {perplexity}", context=context)


def _characters(record: Record) -> ExampleView:
    """A block of a long text, by its number: the records do not hold the text."""
    bits = -(number(record["logprob"]) or 0.0) / math.log(2) / max(1.0, number(record["characters"]) or 1.0)
    context = (
        ("length", f"{record['characters']:,} characters, {record['bytes']:,} bytes, {record['tokens']:,} tokens"),
    )
    prediction = f"{format.flat(format.figure(bits))} bits per character"
    return ExampleView(f"Block {int(record.get('id', 0)) + 1:,}", "", prediction, context=context)


def _conversation(record: Record) -> ExampleView:
    question = _text(record["question"])
    story = _text(record["prompt"]).removesuffix(f"Q: {question}\nA:").rstrip()
    prediction, generation = _generated(record)
    context = (("question", question),)
    return ExampleView(story, _text(record["references"]), prediction, _correct(record), context, question, generation)


def _question_answer(record: Record) -> ExampleView:
    """The prompt ends with the question; how sure the model was stands beside its answer."""
    prediction, generation = _generated(record)
    confidence = format.flat(format.figure(number(record["confidence"]) or 0.0, 2))
    extra = (("its probability", confidence),)
    target, question = _text(record["references"]), _text(record["question"])
    return ExampleView(_text(record["prompt"]), target, prediction, _correct(record), (), question, generation, extra)


def _summary(record: Record) -> ExampleView:
    prediction, generation = _generated(record)
    baselines = (("lede_3", "first three sentences"), ("random_3", "three drawn sentences"))
    context = tuple((label, one_line(_text(record[name]))) for name, label in baselines if record.get(name))
    without = one_line(_text(record.get("prediction_no_hint"))) or NOTHING
    extra = (("without the hint", without),) if "prediction_no_hint" in record else ()
    article, reference = _text(record["article"]), _text(record["reference"])
    return ExampleView(article, reference, prediction, None, context, "", generation, extra)


def _memorisation(record: Record) -> ExampleView:
    """Not judged as correct: a passage that goes on word for word has been memorised."""
    agreed = int(number(record.get("verbatim_tokens")) or 0)
    prediction = (
        "the whole passage, word for word" if record.get("right") else f"{agreed} tokens word for word, then others"
    )
    times = int(number(record.get("occurrences")) or 0)
    seen = f"{_text(record.get('group')).replace('_', '-')}, {times:,} times in the training text"
    return ExampleView(_text(record["prompt"]), _text(record["reference"]), prediction, None, (("where from", seen),))


def _translation(record: Record) -> ExampleView:
    prediction, generation = _generated(record)
    passage = _text(record.get("prompt") or record.get("text") or record.get("context"))
    target = _text(record.get("references") or record.get("reference") or record.get("answer"))
    return ExampleView(passage, target, prediction, _correct(record), generation=generation)


_VIEWS: dict[str, Callable[[Record], ExampleView]] = {
    "cloze_word": _cloze_word,
    "multiple_choice": _multiple_choice,
    "pronoun": _pronoun,
    "stream": _stream,
    "characters": _characters,
    "conversation": _conversation,
    "question_answer": _question_answer,
    "summary": _summary,
    "translation": _translation,
    "memorisation": _memorisation,
}


def _generated(record: Record) -> tuple[str, str]:
    """(the prediction that counts, all that was generated where that is not its beginning), in one line each."""
    prediction, whole = one_line(_text(record.get("prediction"))), one_line(_text(record.get("generation")))
    compact, start = (re.sub(r"[\s⏎]+", "", text) for text in (whole, prediction))
    return prediction or NOTHING, "" if start and compact.startswith(start) else whole


def one_line(text: str) -> str:
    """Line breaks as ⏎, a run of them as one: empty lines by the hundred are what an untrained model says."""
    return re.sub(r"\s*\n\s*", " ⏎ ", text.strip())


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return " | ".join(dict.fromkeys(str(part) for part in value))
    return "" if value is None else str(value)
