"""Results of benchmarks as JSON files: CARD.PROTOCOL.json in a directory, with a row per example beside each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Required, TypedDict

from zeroscale.core import json_records
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.marks import Mark, Reason, SubsetJson, reasons_of
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


class ResultContent(TypedDict, total=False):
    """CARD.PROTOCOL.json, as far as it is read without its harness; an older version's lacks some keys."""

    card: Required[str]
    metrics: Required[dict[str, MetricScore]]
    protocol: str
    source: str | None
    card_hash: str | None
    data_hash: str | None
    weights_hash: str | None
    tokenizer: str | None
    limit: int | None
    seed: int | None
    interval_seed: int | None
    bootstrap: int | None
    dtype: str | None
    deterministic: bool | None
    version: int | None
    key: str | None
    is_sample: bool | None
    mark: str | None
    main_metric: str | None
    n: int | None
    unit: str | None
    family: str | None
    options: dict[str, Any]
    data: str | None
    is_benchmark: bool | None
    subset: SubsetJson | None
    seconds: float | None
    truncated: int | None
    truncated_tokens: int | None
    left_out: int | None
    assumptions: list[str]
    notes: list[str]
    interval_notes: list[str]
    cost: dict[str, float | None]
    origin: list[str]
    extra: dict[str, Any]
    params_non_embedding: int | None
    token_logprobs: bool | None
    records_sha256: str | None
    made: Environment
    sha256: str | None


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
        said = [part for part in str(self.content.get("mark") or "").split("; ") if part]
        in_part = any(not part.startswith(Mark.UNPINNED) for part in said)
        return in_part and not self.is_sample and self.source != "corpus"

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
    content = json_records.read(ResultContent, path, "score the checkpoint again")
    return ResultFile(step, path, dict(content))


def read_rows(path: Path) -> list[Json]:
    """The row per example beside a result.

    Raises:
        ZeroscaleError: the file is missing or is no Parquet file.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(path).to_pylist()  # type: ignore[no-any-return]
    except (OSError, pyarrow.ArrowException) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ZeroscaleError(f"{path} cannot be read: {first}; score the checkpoint again") from error


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
        except ZeroscaleError:
            continue
        scores |= {column: value for column, value in columns.items() if value is not None}
    return scores
