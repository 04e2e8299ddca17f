"""Results of benchmarks as JSON files: CARD.PROTOCOL.json in a directory, with a row per example beside each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json
from zeroscale.core.marks import Reason, reasons_of
from zeroscale.runs import layout
from zeroscale.runs.manifest import Environment

# A card's own protocols carry its plain name; another protocol's columns say so: "lambada.lm-eval/acc".
PLAIN_PROTOCOLS = ("paper", "corpus")
ENDS: tuple[Literal["low", "high", "n"], ...] = ("low", "high", "n")

Json = dict[str, Any]


class MetricScore(TypedDict, total=False):
    """A metric's value with its 95 % interval, None where it has none, over `n` examples; `chance` is what guessing
    gives, where that is known."""

    value: float | None
    low: float | None
    high: float | None
    n: int | None
    chance: float | None
    higher_is_better: bool


@dataclass(frozen=True)
class ResultFile:
    """One result: a card by a protocol, at a step. `content` is the whole file, fields unknown to this version too."""

    step: int
    """0 for a checkpoint that no run here made."""
    path: Path
    content: Json

    @property
    def name(self) -> str:
        """CARD.PROTOCOL."""
        return self.path.stem

    @property
    def card(self) -> str:
        return str(self.content["card"])

    @property
    def protocol(self) -> str:
        return str(self.content.get("protocol", "paper"))

    @property
    def source(self) -> str | None:
        """Where the examples came from: files, hub, sample or corpus."""
        return self.content.get("source")

    @property
    def metrics(self) -> dict[str, MetricScore]:
        return self.content["metrics"]  # type: ignore[no-any-return]

    @property
    def column(self) -> str:
        """What a column of the ledger begins with: the card, with its protocol where that is not the card's own."""
        return self.card if self.protocol in PLAIN_PROTOCOLS else f"{self.card}.{self.protocol}"

    @property
    def scores(self) -> dict[str, float | None]:
        """`lambada/acc`, `lambada/acc/low`, `…/high`, `…/n` for each metric: the ledger's columns."""
        columns: dict[str, float | None] = {}
        for name, metric in self.metrics.items():
            column = f"{self.column}/{name}"
            columns[column] = metric.get("value")
            columns |= {f"{column}/{end}": metric.get(end) for end in ENDS}
        return columns

    @property
    def is_sample(self) -> bool:
        """Whether it was scored on a card's embedded sample, which is no benchmark."""
        return bool(self.content.get("is_sample"))

    @property
    def marks(self) -> tuple[Reason, ...]:
        """Why its scores are not the benchmark's; empty where nothing is known against them."""
        return reasons_of(self.content)

    @property
    def is_part(self) -> bool:
        """Whether it was scored on a part of a benchmark, or on data that are not the card's."""
        return bool(self.content.get("mark")) and not self.is_sample and self.source != "corpus"

    @property
    def made(self) -> Environment | None:
        """With what it was scored (`manifest.scored_with`); None where that is not recorded."""
        return self.content.get("made")

    @property
    def examples(self) -> Path:
        """Its row per example."""
        return layout.examples_file(self.path)


def read_result(path: Path, step: int = 0) -> ResultFile:
    """One result.

    Raises:
        ZeroscaleError: the file is missing, damaged, or no result.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("metrics"), dict) or "card" not in content:
        raise ZeroscaleError(f"{path} is not a result: it needs 'card' and 'metrics'. Score the checkpoint again")
    return ResultFile(step, path, content)


def read_directory(directory: Path, step: int = 0) -> list[ResultFile]:
    """The results in one directory, in order of name.

    Raises:
        ZeroscaleError: a file in it is no result.
    """
    return [read_result(path, step) for path in layout.result_files(directory)]


def scores_in(directory: Path) -> dict[str, float]:
    """The scores of every card in a directory, under the ledger's names.

    A damaged file is passed over: the report says so, a run does not stop for it.
    """
    scores: dict[str, float] = {}
    for path in layout.result_files(directory):
        try:
            columns = read_result(path).scores
        except (ZeroscaleError, AttributeError):
            continue
        scores |= {column: value for column, value in columns.items() if value is not None}
    return scores
