"""A benchmark's result as the report shows it: its scores, and the marks that say why it is none of the benchmark."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroscale.core import marks
from zeroscale.core.format import number
from zeroscale.core.marks import Mark, Reason

HELD_OUT = "held_out"
"""The card of the held-out text."""
BENCHMARK = "BENCHMARK"
"""The badge of a score that bears no mark."""
# How a result's `data` begins where nothing says whether the rows are the benchmark's.
UNCHECKED_DATA = ("as many",)

# A JSON object whose fields are written and checked elsewhere.
Json = dict[str, Any]


@dataclass(frozen=True)
class Score:
    """One metric of a result, with its 95 % interval and what guessing reaches."""

    value: float | None
    low: float | None
    high: float | None
    n: int | None
    chance: float | None
    higher_is_better: bool
    published: tuple[tuple[str, float, float], ...]
    """(name, parameters, value) of others' models, where the file has them."""


@dataclass(frozen=True)
class ResultView:
    """The result of a card by a protocol at a step. Properties read fields that an older file may lack."""

    step: int
    path: str
    """RUN/evals/step-…/CARD.PROTOCOL.json, as the page names it."""
    content: Json
    examples: Path | None
    """Its row per example, where that file is there."""

    @property
    def card(self) -> str:
        return str(self.content["card"])

    @property
    def protocol(self) -> str:
        return str(self.content.get("protocol", "paper"))

    @property
    def task_type(self) -> str:
        return str(self.content.get("family"))

    @property
    def metrics(self) -> list[str]:
        """The names of its metrics, in the file's order."""
        return list(self.content["metrics"])

    @property
    def main_metric(self) -> str | None:
        return self.content.get("main_metric")

    def score(self, metric: str) -> Score | None:
        """None where the file has no such metric."""
        entry = self.content["metrics"].get(metric)
        if not isinstance(entry, dict):
            return None
        n = number(entry.get("n", self.content.get("n")))
        return Score(
            number(entry.get("value")),
            number(entry.get("low")),
            number(entry.get("high")),
            None if n is None else int(n),
            number(entry.get("chance")),
            bool(entry.get("higher_is_better", True)),
            tuple(_published(entry.get("published"))),
        )

    def value(self, metric: str) -> float | None:
        score = self.score(metric)
        return score.value if score else None

    def count(self, field: str) -> int:
        """A count such as `truncated`; 0 where it is not recorded."""
        return int(number(self.content.get(field)) or 0)

    def texts(self, field: str) -> list[str]:
        """A list of texts, such as `notes` or `assumptions`."""
        return [str(text) for text in self.content.get(field) or []]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why it is no score of the benchmark. A card drawn from the corpus is its own benchmark."""
        return tuple(reason for reason in marks.reasons_of(self.content) if reason.mark is not Mark.HELD_OUT)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What it scored in place of the benchmark; () for the benchmark itself."""
        if self.card == HELD_OUT:
            return (Mark.HELD_OUT,)
        return tuple(dict.fromkeys(reason.mark for reason in self.reasons))

    @property
    def unchecked_data(self) -> str | None:
        """What is not known of its rows, where nothing is known against them."""
        data = str(self.content.get("data"))
        return data if not self.marks and data.startswith(UNCHECKED_DATA) else None


def badge(marks: tuple[Mark, ...]) -> str:
    """What stands beside a score with these marks."""
    return ", ".join(marks) or BENCHMARK


def _published(entries: object) -> list[tuple[str, float, float]]:
    rows = []
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, Mapping):
            continue
        params = number(entry.get("params_non_embedding", entry.get("params")))
        value = number(entry.get("value"))
        if params is not None and value is not None:
            rows.append((str(entry.get("name", entry.get("model", "published"))), params, value))
    return rows
