"""A translation after a few example pairs (WMT-14)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_lines
from zeroscale.eval.cards.rows import Row
from zeroscale.eval.engine.requests import GenerateResult, GenerateUntil, Stop
from zeroscale.eval.metrics import sentences
from zeroscale.eval.tasks import base
from zeroscale.eval.tasks.base import Record, Task, TaskOptions, truncated

if TYPE_CHECKING:
    from zeroscale.eval.metrics.metrics import Measured
    from zeroscale.model.protocol import TextTokenizer

Language = Literal["en", "fr"]


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation."""

    source: str
    target: str


class TranslationOptions(TaskOptions):
    source: Language
    target: Language
    strip: bool
    """Whether white space at both ends of a sentence is dropped."""
    before: str
    """Before the sentence to be translated."""
    between: str
    """Between the sentence and its translation; then a space."""
    shots: Annotated[int, Field(ge=0)]
    translation: Literal["first sentence", "first line"]
    """What of the generated text is the translation; generation ends after it."""
    max_new_tokens: Annotated[int, Field(gt=0)]
    new_first: bool
    """Whether new tokens get all their room, and the prompt what is left (else at most half of the context)."""


class Translation(Task[Pair, TranslationOptions, GenerateResult]):
    """One generation for each sentence."""

    Options = TranslationOptions
    METRICS = ("bleu", "chrf", "ter")
    COLUMNS = ("translation",)

    def __init__(
        self, options: TranslationOptions, tokenizer: "TextTokenizer", n_positions: int, seed: int = 0
    ) -> None:
        super().__init__(options, tokenizer, n_positions, seed)
        if options.new_first and n_positions <= options.max_new_tokens:
            self.notes.append(base.too_short(n_positions, options.max_new_tokens))

    @staticmethod
    def parse(paths: list[Path]) -> Iterator[Row]:
        """Files side by side, a sentence a line, named by their language (newstest2014.en, newstest2014.fr)."""
        columns = [read_lines(path) for path in paths]
        if len({len(column) for column in columns}) != 1:
            counts = ", ".join(f"{path}: {len(column)}" for path, column in zip(paths, columns, strict=True))
            raise ZeroscaleError(f"the files of a translation need as many lines each, but have {counts}")
        languages = [path.suffix.removeprefix(".") for path in paths]
        for number, texts in enumerate(zip(*columns, strict=True), 1):
            content = {"translation": dict(zip(languages, texts, strict=True))}
            yield Row(f"{paths[0]} and {paths[1].name}, line {number}", content)

    def examples(self, rows: Sequence[Row]) -> list[Pair]:
        pairs = []
        for row in rows:
            texts = row.content.get("translation")
            if not isinstance(texts, dict):
                raise row.fault("field 'translation' should be an object with a text for each language")
            inner = Row(row.where, texts)
            both = [inner.text(language) for language in (self.options.source, self.options.target)]
            pairs.append(Pair(*(text.strip() if self.options.strip else text for text in both)))
        return pairs

    def _asked(self, pair: Pair) -> str:
        """The sentence and what calls for its translation."""
        return f"{self.options.before}{pair.source}{self.options.between}"

    def requests(self, example: Pair) -> list[GenerateUntil]:
        options = self.options
        shots = self.fewshot_prefix(lambda shot: f"{self._asked(shot)} {shot.target}\n")
        prompt, protected = self.prompt(shots, self._asked(example))
        stop = Stop("newline") if options.translation == "first line" else Stop("sentences", 1)
        return [GenerateUntil(prompt, options.max_new_tokens, stop, "left", protected, new_first=options.new_first)]

    def record(self, example: Pair, answers: Sequence[GenerateResult]) -> list[Record]:
        (answer,) = answers
        return [
            {
                "prompt": self._asked(example),
                "generation": answer.text,
                "prediction": self._prediction(answer.text),
                "reference": example.target,
                "truncated": truncated(answers),
            }
        ]

    def _prediction(self, text: str) -> str:
        if self.options.translation == "first line":
            return text.split("\n")[0]
        return next(iter(sentences.split(text)), "")

    @staticmethod
    def measure(records: Sequence[Record], options: TranslationOptions) -> "list[Measured]":
        from zeroscale.eval.metrics.metrics import Bleu
        from zeroscale.eval.metrics.translation import ChrF, TranslationEditRate

        predictions = [row["prediction"] for row in records]
        references = [row["reference"] for row in records]
        return [
            Bleu().measure(predictions, [[text] for text in references]),
            ChrF().measure(predictions, references),
            TranslationEditRate().measure(predictions, references),
        ]
