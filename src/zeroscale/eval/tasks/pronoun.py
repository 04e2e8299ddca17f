"""Which of two candidates a pronoun means (the Winograd Schema Challenge), by putting each in its place."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from xml.etree import ElementTree

from pydantic import Field

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval.cards.rows import Row, jsonl
from zeroscale.eval.engine.requests import LogLikelihood, LogLikelihoodResult, Side
from zeroscale.eval.tasks.base import Record, Task, TaskOptions

if TYPE_CHECKING:
    from zeroscale.eval.metrics.metrics import Measured

_POSSESSIVE = ("my", "your", "his", "her", "our", "their", "its")
_SMALL = ("a", "an", "the", "this", "that", "these", "those", *_POSSESSIVE)
_LM_EVAL_SMALL = ("A", "An", "The", "She", "He", "It", "They", "My", "His", "Her", "Their")


@dataclass(frozen=True)
class Schema:
    """A sentence around a pronoun, with the spaces before and after it; the candidates as given."""

    before: str
    pronoun: str
    after: str
    candidates: tuple[str, str]
    answer: int


class PronounOptions(TaskOptions):
    first: Annotated[int, Field(gt=0)] | None
    """So many schemas, from the beginning of the collection."""
    substitute: Literal["by grammar", "as lm-eval"]
    """How a candidate is written in the pronoun's place."""
    start_token: bool
    """Whether the start token (GPT-2: the end of text) stands before the sentence when its rest is scored."""
    shots: Annotated[int, Field(ge=0)]
    truncate: Side


class Pronoun(Task[Schema, PronounOptions, LogLikelihoodResult]):
    """Two scorings of each candidate (Trinh & Le 2018): of the rest of the sentence after it, and of the whole one."""

    Options = PronounOptions
    METRICS = ("acc", "acc_full")
    COLUMNS = ("text", "pronoun", "pronoun_loc", "options", "label")

    @staticmethod
    def parse(paths: list[Path]) -> Iterator[Row]:
        """The collection's XML, as rows in the hub's form; or JSON lines of that form."""
        for path in paths:
            yield from _schemas(path) if path.suffix.lower() == ".xml" else jsonl([path])

    def examples(self, rows: Sequence[Row]) -> list[Schema]:
        schemas = [_schema(row) for row in rows]
        if self.options.first is not None and len(schemas) > self.options.first:
            self.notes.append(f"the first {self.options.first} of {len(schemas)} schemas")
        return schemas[: self.options.first]

    def _filled(self, example: Schema, number: int) -> tuple[str, str]:
        """The sentence as far as the candidate, which stands in the pronoun's place; and its rest."""
        candidate = example.candidates[number]
        if self.options.substitute == "as lm-eval":
            # Its target delimiter, a space, comes on top of the space that the rest begins with.
            return example.before + as_lm_eval(candidate, example.pronoun, example.before), " " + example.after
        rest = example.after.strip()
        space = "" if re.match(r"[.,;:!?)]", rest) else " "
        return example.before + by_grammar(candidate, example.pronoun), space + rest

    def requests(self, example: Schema) -> list[LogLikelihood]:
        """For each candidate: the rest after it, then the whole sentence after the start token."""
        prefix = self.fewshot_prefix(lambda shot: "".join(self._filled(shot, shot.answer)) + "\n")
        start = (self.tokenizer.start,)
        requests = []
        for number in range(2):
            left, rest = self._filled(example, number)
            context, target = self.pair(prefix + left, rest)
            partial = start + context if self.options.start_token else context
            requests.append(LogLikelihood(partial, target, self.options.truncate))
            shown, sentence = map(tuple, self.tokenizer.encode_batch([prefix, prefix + left + rest]))
            scored_from = min(len(shown), len(sentence) - 1)
            given, scored = sentence[:scored_from], sentence[scored_from:]
            requests.append(LogLikelihood((*start, *given), scored, self.options.truncate))
        return requests

    def record(self, example: Schema, answers: Sequence[LogLikelihoodResult]) -> list[Record]:
        partial, full = ([float(answer.logprobs.sum()) for answer in answers[kind::2]] for kind in (0, 1))
        chosen, chosen_full = (max(range(2), key=scores.__getitem__) for scores in (partial, full))
        return [
            {
                "text": f"{example.before}{example.pronoun}{example.after}",
                "candidates": list(example.candidates),
                "logprobs": partial,
                "logprobs_full": full,
                "token_logprobs": [answer.logprobs.tolist() for answer in answers[0::2]],
                "chosen": chosen,
                "chosen_full": chosen_full,
                "wanted": example.answer,
                "answer": example.candidates[example.answer],
                "prediction": example.candidates[chosen],
                "right": chosen == example.answer,
                "truncated": max(answer.truncated + answer.unscored for answer in answers),
            }
        ]

    def texts(self, example: Schema) -> list[str]:
        return [f"{example.before}{example.pronoun}{example.after}"]

    @staticmethod
    def measure(records: Sequence[Record], options: PronounOptions) -> "list[Measured]":
        from zeroscale.eval.metrics.metrics import Accuracy

        answers = [row["wanted"] for row in records]
        chosen = {"acc": "chosen", "acc_full": "chosen_full"}
        return [Accuracy(name).measure([row[field] for row in records], answers) for name, field in chosen.items()]


def by_grammar(candidate: str, pronoun: str) -> str:
    """A candidate as the pronoun's place needs it: with 's for a possessive and without it for any other pronoun, an
    article small inside a sentence, the first letter capital where the pronoun's is."""
    bare = candidate.removesuffix("'s")
    if pronoun.lower() in _POSSESSIVE:
        bare += "'s"
    first, space, rest = bare.partition(" ")
    if pronoun[:1].isupper():
        return bare[:1].upper() + bare[1:]
    return first.lower() + space + rest if first.lower() in _SMALL else bare


def as_lm_eval(candidate: str, pronoun: str, before: str) -> str:
    """A candidate as lm-evaluation-harness 0.4.13 writes it (tasks/wsc273/utils.py), its slips included: a second 's,
    a small article after any sentence that ends in another mark than a full stop, each such letter in the candidate."""
    if pronoun.lower() in ("my", "his", "her", "our", "their"):
        candidate += "'s"
    first = candidate.split()[0]
    if before[-2:-1] != "." and first in _LM_EVAL_SMALL:
        return candidate.replace(first, first.lower())
    return candidate


def _clean(text: str | None) -> str:
    return " ".join((text or "").split())


def _schemas(path: Path) -> Iterator[Row]:
    """Each schema of the collection, its parts joined by single spaces."""
    content = path.read_bytes()
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ZeroscaleError(f"{path}, line {error.position[0]}: not valid XML: {error}") from error
    lines = [content.count(b"\n", 0, match.start()) + 1 for match in re.finditer(rb"<schema[\s>]", content)]
    schemas = root.findall("schema")
    for number, schema in enumerate(schemas):
        line = f"line {lines[number]}, " if len(lines) == len(schemas) else ""
        row = Row(f"{path}, {line}schema {number + 1}", {})
        left, pronoun, right = (_clean(schema.findtext(f"text/{tag}")) for tag in ("txt1", "pron", "txt2"))
        letter = _clean(schema.findtext("correctAnswer")).removesuffix(".")
        if letter not in ("A", "B"):
            raise row.fault(f"correctAnswer should be A or B, but is {letter!r}")
        content_of = {
            "text": " ".join([left, pronoun, right]).strip(),
            "pronoun": pronoun,
            "pronoun_loc": len(left) + 1 if left else 0,
            "options": [_clean(answer.text) for answer in schema.findall("answers/answer")],
            "label": int(letter == "B"),
        }
        yield Row(row.where, content_of)


def _schema(row: Row) -> Schema:
    text, pronoun, candidates = row.text("text"), row.text("pronoun"), row.items("options")
    place, label = row.content.get("pronoun_loc"), row.content.get("label")
    if not isinstance(place, int) or text[place : place + len(pronoun)] != pronoun or place < 0:
        raise row.fault(f"the pronoun {pronoun!r} should stand at pronoun_loc, {place!r}, of {text!r}"[:300])
    if len(candidates) != 2 or not all(isinstance(one, str) and one.strip() for one in candidates):
        raise row.fault(f"a schema has two candidates, here are {candidates}"[:300])
    if candidates[0] == candidates[1]:
        raise row.fault(f"two candidates are the same: {candidates}")
    if label not in (0, 1) or isinstance(label, bool):
        raise row.fault(f"field 'label' should be 0 or 1, but is {label!r}")
    after = text[place + len(pronoun) :]
    if not after.strip():
        raise row.fault("nothing follows the pronoun: there is nothing to score")
    return Schema(text[:place], pronoun, after, (candidates[0], candidates[1]), label)
