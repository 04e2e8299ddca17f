"""What the training corpus and the benchmarks share, and what the models give back of the corpus.

Shown where `zeroscale overlap study=DIR` has left its overlap.json, and where the card `memorisation` was scored. The
report reads their files and computes nothing of it.
"""

from typing import Any

from zeroscale.core import format
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json
from zeroscale.core.format import NOTHING, number
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.report.views.benchmarks import latest
from zeroscale.report.views.study import StudyView
from zeroscale.runs import layout

FORMAT = 1
PARTS = {"all": "all", "clean": "nothing shared", "overlapping": "something shared"}
Json = dict[str, Any]


def describe(studies: list[StudyView]) -> dict[str, object] | None:
    """Tables and a sentence for each study that has any of it; None where none has."""
    sections = []
    for study in studies:
        record, fault = _record(study)
        section = {
            "study": study.name,
            "said": _sentence(record) if record else fault,
            "shares": _shares(record).json() if record else None,
            "scores": _json(_scores(record)) if record else None,
            "occurrences": _json(_occurrences(study)),
        }
        if section["said"] or section["occurrences"]:
            sections.append(section)
    return {"studies": sections} if sections else None


def _json(table: Table | None) -> dict[str, object] | None:
    return table.json() if table else None


def _record(study: StudyView) -> tuple[Json | None, str]:
    """The study's overlap.json, or None; then why it is left out, "" where there is none."""
    path = study.directory / layout.OVERLAP / layout.OVERLAP_RECORD
    try:
        record = read_json(path) if path.is_file() else None
    except ZeroscaleError as error:
        return None, f"Left out, run zeroscale overlap again: {error}"
    if isinstance(record, dict) and record.get("format") == FORMAT and record.get("cards"):
        return record, ""
    unknown = f"Left out, run zeroscale overlap again: {path} is none that this version knows."
    return None, unknown if path.exists() else ""


def _sentence(record: Json) -> str:
    corpus, n = record.get("corpus") or {}, record.get("n")
    grams = number(corpus.get("ngrams")) or 0
    kind = (record.get("method") or {}).get("kind")
    exact = "each compared word by word" if kind == "exact" else "by a Bloom filter"
    return f"{n}-grams of the benchmarks in the training text, which has {format.scaled(grams)} of them; {exact}."


def _shares(record: Json) -> Table:
    """A row per card, as table 6 of the paper has them."""
    columns = [
        Column("benchmark"),
        Column("share found", note=f"of its {record.get('n')}-grams", number=True),
        Column("examples", number=True),
        Column("that share one", number=True),
        Column("own training split", note="share found there", number=True),
        Column("the paper's", note="own split / WebText", number=True),
    ]
    rows = []
    for card in record["cards"]:
        own, paper = card.get("own_training") or {}, card.get("paper") or {}
        percents = [paper.get("own_training_percent"), paper.get("webtext_percent")]
        text = " / ".join("–" if value is None else f"{value:g} %" for value in percents)
        note = "" if card.get("is_benchmark") else str(card.get("data", ""))
        rows.append(
            [
                Cell(str(card["card"]), note=note, origin="overlap/overlap.json"),
                _percent(card.get("share"), f"{card.get('found', 0):,} of {card.get('ngrams', 0):,}"),
                _whole(card.get("units")),
                _whole(card.get("units_with_any")),
                _percent(own.get("share")),
                Cell(NOTHING if percents == [None, None] else text),
            ]
        )
    return Table(columns, rows)


def _scores(record: Json) -> Table | None:
    """Each model's first metric of each card on all examples, on clean and on overlapping ones."""
    rows = []
    for entry in record.get("scores") or []:
        by_part, counts = entry.get("scores") or {}, entry.get("units") or {}
        if not counts.get("overlapping") or "all" not in by_part:
            continue
        metric = next(iter(by_part["all"]), None)
        label = Cell(str(entry.get("checkpoint", "?")), origin=str(entry.get("results", "")))
        cells = [label, Cell(str(entry["card"]), note=f"{metric} {entry.get('mark') or ''}".strip())]
        for part in PARTS:
            score = (by_part.get(part) or {}).get(metric) or {}
            cells.append(_score(score, f"n = {counts.get(part, 0):,}"))
        rows.append(cells)
    if not rows:
        return None
    columns = [Column("model"), Column("benchmark")]
    columns += [Column(label, number=True) for label in PARTS.values()]
    return Table(columns, rows)


def _occurrences(study: StudyView) -> Table | None:
    """What each model gives back of its corpus, by how often a passage stands in it."""
    runs = []
    for run in study.runs:
        for result in latest(run).values():
            bins = (result.content.get("extra") or {}).get("by_occurrences")
            if result.card == "memorisation" and bins:
                runs.append((run, bins))
    if not runs:
        return None
    ranges = sorted({(bin["from"], bin["to"]) for _, bins in runs for bin in bins}, key=lambda edges: edges[0])
    columns = [Column("run")]
    columns += [Column(_range(*edges), note="tokens of 50 that agree", number=True) for edges in ranges]
    rows = []
    for run, bins in runs:
        by_range = {(bin["from"], bin["to"]): bin for bin in bins}
        cells = [Cell(run.label, origin=run.name)]
        for edges in ranges:
            counts = by_range.get(edges) or {}
            tokens = number(counts.get("verbatim_tokens"))
            share = number(counts.get("memorised"))
            note = "" if share is None else f"{100 * share:.3g} % whole, n = {counts.get('n', 0):,}"
            cells.append(Cell(NOTHING) if tokens is None else Cell(format.figure(tokens), tokens, note=note))
        rows.append(cells)
    return Table(columns, rows)


def _range(low: int, high: int | None) -> str:
    if high is None:
        return f"{low} times and more"
    return "once" if low == high == 1 else f"{low} to {high} times"


def _percent(share: object, note: str = "") -> Cell:
    value = number(share)
    return Cell(NOTHING) if value is None else Cell(f"{100 * value:.2g} %" if value else "0 %", value, note=note)


def _whole(count: object) -> Cell:
    value = number(count)
    return Cell(NOTHING) if value is None else Cell(f"{value:,.0f}", value)


def _score(score: Json, n: str) -> Cell:
    value = number(score.get("value"))
    if value is None:
        return Cell(NOTHING)
    interval = format.interval(number(score.get("low")), number(score.get("high")))
    return Cell(format.figure(value), value, note=f"{interval}; {n}" if interval else n)
