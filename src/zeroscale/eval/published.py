"""Published reference scores: what the paper and others measured at a size, next to every metric of every result."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from zeroscale.core import marks, paths
from zeroscale.core.format import number
from zeroscale.core.marks import Reason
from zeroscale.core.parsing import yaml_text

if TYPE_CHECKING:
    from zeroscale.eval.cards.card import Card
    from zeroscale.eval.results import Result

# Parameters without embeddings of the four models of Radford et al. 2019, table 2 (12, 24, 36, 48 layers of 768, 1,024,
# 1,280, 1,600), with biases and layer norms: n_layer (12 d² + 13 d) + 2 d. Their names in the paper count otherwise.
SIZES = {"small": 85_056_000, "medium": 302_311_424, "large": 708_390_400, "xl": 1_475_561_600}
NO_MODEL = "no_model"


@dataclass(frozen=True)
class Published:
    """A number that somebody else reported. `size` is one of `SIZES`; empty where no model takes part."""

    size: str
    value: float
    how: str
    source: str


@dataclass(frozen=True)
class Row:
    """One metric of one card for one checkpoint."""

    checkpoint: str
    params_non_embedding: int | None
    card: str
    title: str
    protocol: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    units: int
    unit: str
    higher_is_better: bool
    chance: float | None
    reasons: tuple[Reason, ...]
    """Why this is no score of the benchmark. Where there is any, there is nothing from others beside it."""
    data: str
    interval_notes: tuple[str, ...]
    """Of the card: which intervals are none of the bootstrap's, and why."""
    truncated: int
    truncated_tokens: int
    left_out: int
    paper: Published | None
    difference: float | None
    """Ours less the paper's, where the protocol is the paper's too."""
    others: tuple[Published, ...]

    @property
    def mark(self) -> str:
        """The reasons in words; empty for a score of the benchmark."""
        return marks.text(self.reasons)

    def to_json(self) -> dict[str, object]:
        """Plain values; the field `mark` has the reasons in words."""
        content = {("mark" if name == "reasons" else name): value for name, value in asdict(self).items()}
        return {**content, "mark": self.mark}


def nearest(params: int, sizes: Iterable[str]) -> str | None:
    """The size that is nearest by ratio, of those given."""
    return min(sizes, key=lambda size: abs(math.log(max(params, 1) / SIZES[size])), default=None)


def rows(checkpoint: str, results: "Iterable[Result]", cards: "Mapping[str, Card]") -> list[Row]:
    """A row for each metric of each result, in their order. Cards that are not in `cards` stand without the paper's."""
    return [_row(checkpoint, result, metric, cards.get(result.card)) for result in results for metric in result.metrics]


def _row(checkpoint: str, result: "Result", metric: str, card: "Card | None") -> Row:
    score = result.metrics[metric]
    paper: Published | None = None
    others: tuple[Published, ...] = ()
    if card is not None and not result.reasons:
        paper = _paper(card, metric, result.params_non_embedding)
        others = _others(card, metric, result.params_non_embedding)
    comparable = result.protocol == "paper"
    return Row(
        checkpoint=checkpoint,
        params_non_embedding=result.params_non_embedding,
        card=result.card,
        title=card.title if card else result.card,
        protocol=result.protocol,
        metric=metric,
        value=score.value,
        low=score.low,
        high=score.high,
        n=score.n,
        units=score.units,
        unit=result.unit,
        higher_is_better=score.higher_is_better,
        chance=score.chance,
        reasons=result.reasons,
        data=result.data,
        interval_notes=tuple(result.interval_notes),
        truncated=result.truncated,
        truncated_tokens=result.truncated_tokens,
        left_out=result.left_out,
        paper=paper,
        difference=score.value - paper.value if comparable and paper and score.value is not None else None,
        others=others,
    )


def _paper(card: "Card", metric: str, params: int | None) -> Published | None:
    """What the paper reports for the nearest size that it has a number for."""
    for entry in card.paper:
        if entry.metric != metric:
            continue
        baseline = getattr(entry, NO_MODEL, None)
        if baseline is not None:
            return Published("", baseline, "no model takes part", entry.source)
        reported = {size: value for size in SIZES if (value := getattr(entry, size)) is not None}
        size = nearest(params, reported) if params else None
        if size:
            return Published(size, reported[size], "the paper", entry.source)
    return None


def _others(card: "Card", metric: str, params: int | None) -> tuple[Published, ...]:
    """What others measured at the nearest size that anybody measured, or without any model."""
    entries = [entry for entry in card.reproductions if entry.metric == metric]
    if any(entry.size == NO_MODEL for entry in entries):
        return tuple(Published("", entry.value, entry.how, entry.source) for entry in entries if entry.size == NO_MODEL)
    size = nearest(params, {entry.size: None for entry in entries}) if params else None
    return tuple(Published(entry.size, entry.value, entry.how, entry.source) for entry in entries if entry.size == size)


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Reported:
    """One number. `size` is one of `SIZES`; `who` says in words whose it is, `source` where it stands."""

    metric: str
    size: str
    value: float
    who: str
    source: str
    paper: bool

    @property
    def params(self) -> float:
        """Of the model, without embeddings."""
        return float(SIZES[self.size])


@cache
def of(card: str) -> tuple[Reported, ...]:
    """All that a card reports of models; () for a card that is none of the shipped ones.

    Only these fields are read here: whether the card is valid, `eval.cards` says.
    """
    content = card_yaml(card)
    numbers = []
    for entry in content.get("paper") or []:
        for size in SIZES:
            if (value := number(entry.get(size))) is not None:
                who, source = f"GPT-2 {size}, the paper", str(entry.get("source", ""))
                numbers.append(Reported(str(entry.get("metric")), size, value, who, source, True))
    for entry in content.get("reproductions") or []:
        value, size = number(entry.get("value")), str(entry.get("size"))
        if value is not None and size in SIZES:
            who = f"GPT-2 {size}, {entry.get('how', 'measured by others')}"
            numbers.append(Reported(str(entry.get("metric")), size, value, who, str(entry.get("source", "")), False))
    return tuple(numbers)


@cache
def card_yaml(card: str) -> dict[str, Any]:
    """A shipped card's content; {} where there is none of that name."""
    path = paths.evals() / f"{card}.yaml"
    if not NAME.fullmatch(card) or not path.is_file():
        return {}
    return yaml_text.read(path)
