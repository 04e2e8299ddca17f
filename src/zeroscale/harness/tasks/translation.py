"""A translation after a few example pairs (WMT-14)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from zeroscale.errors import ZeroscaleError
from zeroscale.harness import sentences
from zeroscale.harness.requests import Generated, Generation, Stop
from zeroscale.harness.sources import Row
from zeroscale.harness.tasks.task import Outcome, Task, TaskOptions, truncated

if TYPE_CHECKING:
    from zeroscale.harness.metrics import Measured

Language = Literal["en", "fr"]


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation."""

    source: str
    target: str


class Options(TaskOptions):
    source: Language
    target: Language
    shots: Annotated[int, Field(ge=1)]
    max_new_tokens: Annotated[int, Field(gt=0)]


class Translation(Task[Pair]):
    """One generation for each sentence. Example pairs are drawn by seed from the same rows and left out."""

    Options = Options
    METRICS = ("bleu",)

    def __init__(self, options: Any, tokenizer: Any, n_positions: int, seed: int = 0) -> None:
        super().__init__(options, tokenizer, n_positions, seed)
        self.shots: list[Pair] = []

    @staticmethod
    def parse(paths: list[Path]) -> Iterator[Row]:
        """Files side by side, a sentence a line, named by their language (newstest2014.en, newstest2014.fr)."""
        columns = [path.read_text(encoding="utf-8").removesuffix("\n").split("\n") for path in paths]
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
            pairs.append(Pair(inner.text(self.options.source).strip(), inner.text(self.options.target).strip()))
        return pairs

    def select(self, examples: list[Pair], limit: int | None) -> list[Pair]:
        shots = self.options.shots
        if len(examples) <= shots:
            raise ZeroscaleError(f"{len(examples)} pairs are too few: {shots} are used up as examples in the prompt")
        drawn = Random(self.seed).sample(range(len(examples)), shots)
        self.shots = [examples[place] for place in drawn]
        self.left_out = shots
        return [pair for place, pair in enumerate(examples) if place not in set(drawn)][:limit]

    def requests(self, example: Pair) -> list[Generation]:
        shots = "".join(f"{shot.source} = {shot.target}\n" for shot in self.shots)
        prompt, protected = self.prompt(shots, f"{example.source} =")
        return [Generation(prompt, self.options.max_new_tokens, Stop("sentences", 1), "left", protected)]

    def outcome(self, example: Pair, answers: Sequence[Generated]) -> list[Outcome]:
        (answer,) = answers
        return [
            {
                "prompt": f"{example.source} =",
                "generation": answer.text,
                "prediction": next(iter(sentences.split(answer.text)), ""),
                "reference": example.target,
                "truncated": truncated(answers),
            }
        ]

    @staticmethod
    def measure(outcomes: Sequence[Outcome], options: Options) -> "list[Measured]":
        from zeroscale.harness.metrics import Bleu

        references = [[row["reference"]] for row in outcomes]
        return [Bleu().measure([row["prediction"] for row in outcomes], references)]
