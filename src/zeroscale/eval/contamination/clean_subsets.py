"""Scores on all examples of a card, on those that share nothing with a corpus, and on those that do: from records."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.eval import results
from zeroscale.eval import scores as measuring
from zeroscale.eval.cards import examples as loading
from zeroscale.eval.cards.rows import Source
from zeroscale.eval.contamination import shares, unit_texts
from zeroscale.eval.contamination.shares import Units
from zeroscale.eval.results import Result, Score
from zeroscale.eval.scores import MetricInfo
from zeroscale.eval.tasks.rolling import RollingTask
from zeroscale.runs.resolve import ResultsLocation

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from zeroscale.eval.tasks.base import AnyTask, Record


@dataclass(frozen=True)
class Parts:
    """A checkpoint's scores on one card, by part of the examples (`overlap_shares.groups`); an empty part has none."""

    checkpoint: str
    results: str
    """The folder of the results."""
    card: str
    protocol: str
    mark: str
    units: dict[str, int]
    scores: dict[str, dict[str, Score]]

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Reading:
    """How a card's data were read, to be read so again; `name` as it was given: a card's, or a file's."""

    name: str
    source: Source
    data_dir: Path | None
    allow_other_data: bool


def parts(place: ResultsLocation, result: Result, units: Units, above: float, reading: Reading) -> Parts:
    """The scores of one result.

    Args:
        units: of the card as it was looked up; the result may hold some of them only.

    Raises:
        ZeroscaleError: the records are gone or changed, or are of other data than were looked up.
    """
    rows = results.records_of(place.out, result)
    scored = _units_scored(place, result, rows, reading)
    number = {digest: row for row, digest in enumerate(units.digests)}
    try:
        at = np.array([number[digest] for digest in scored], dtype=np.int64)
    except KeyError as error:
        raise _other_data(place, result) from error
    scored_units = Units(scored, units.ngrams[at], units.found[at])
    metrics = {name: MetricInfo(score.higher_is_better, score.chance) for name, score in result.metrics.items()}
    scores: dict[str, dict[str, Score]] = {}
    sizes = {}
    for name, chosen in shares.groups(scored_units, above).items():
        sizes[name] = int(chosen.sum())
        if sizes[name]:
            part = [row for row in rows if chosen[row["unit"]]]
            measured = measuring.compute_metrics(result.family, result.options, part)
            key = result.key
            scores[name] = measuring.score(measured, metrics, result.unit, key.interval_seed, key.bootstrap).metrics
    # What the result itself says, to the last digit.
    scores["all"] = result.metrics
    return Parts(place.label, str(place.out), result.card, result.protocol, result.mark, sizes, scores)


def _units_scored(place: ResultsLocation, result: Result, rows: "list[Record]", reading: Reading) -> list[str]:
    """The digests of the units that were scored, in their order, after a check that the records are of these."""
    card, task, loaded = unit_texts.load(
        reading.name, result.protocol, reading.source, reading.data_dir, reading.allow_other_data, result.key.seed
    )
    if loaded.hash != result.key.data_hash:
        raise _other_data(place, result)
    chosen = loading.choose(card, task, loaded.examples, result.key.limit)
    digests = [shares.digest(texts) for texts in unit_texts.units(task, chosen)]
    first: dict[int, str] = {}
    for row in rows:
        first.setdefault(row["unit"], row["content"])
    if len(first) != len(digests) or any(first.get(unit) != content for unit, content in _contents(task, chosen)):
        raise _other_data(place, result)
    return digests


def _contents(task: "AnyTask", examples: "Sequence[DataclassInstance]") -> list[tuple[int, str]]:
    """(number of a cluster, the column `content` of its first record), as `eval.records` computes it."""
    hashes = [sha256_json(asdict(example)) for example in examples]
    if isinstance(task, RollingTask):
        (content,) = hashes
        places = [(unit, content, unit) for unit in range(len(task.parts(examples[0])))]
    else:
        places = [(unit, content, 0) for unit, content in enumerate(hashes)]
    return [(unit, sha256(f"{content}/{place}".encode()).hexdigest()[:16]) for unit, content, place in places]


def _other_data(place: ResultsLocation, result: Result) -> ZeroscaleError:
    return ZeroscaleError(
        f"{place.label}: {result.card} was scored on other data than are read here: give the data_dir (and cards_from) "
        "that it was scored with, or score it again"
    )
