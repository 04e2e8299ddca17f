"""What `zeroscale overlap` shows: for a terminal of 100 columns, as JSON, and a row for each example as Parquet."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zeroscale.core.files import write_bytes, write_json
from zeroscale.core.format import NOT_FINITE, NOTHING, general, interval
from zeroscale.core.tables import Column, Table, paragraph, text_lines
from zeroscale.eval.contamination.clean_subsets import Parts
from zeroscale.eval.contamination.shares import FORMAT, CardShare, Units
from zeroscale.runs import layout

NAME = layout.OVERLAP_RECORD
_SHARE_LABELS = ("n-grams", "found", "share", "mean", "examples", "any", "above", "own train", "the paper's")
_SHARES = (Column(""), *(Column(label, number=True) for label in _SHARE_LABELS))
_SCORES = ("", "of", Column("examples", number=True), Column("score", number=True), "95 % interval")


@dataclass
class OverlapReport:
    """Which n-grams of the benchmarks are in the corpus, and the scores on the examples without any.

    Attributes:
        method: `kind` exact, or bloom with its rates; corpus: what it is and how much of it there is.
        cards, units: card by card; scores: of each checkpoint and card.
    """

    n: int
    above: float
    method: dict[str, Any]
    corpus: dict[str, Any]
    faults: list[str]
    command: str | None = None
    cards: list[CardShare] = field(default_factory=list)
    units: list[Units] = field(default_factory=list)
    scores: list[Parts] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "command": self.command,
            "n": self.n,
            "above": self.above,
            "method": self.method,
            "corpus": self.corpus,
            "cards": [card.to_json() for card in self.cards],
            "scores": [parts.to_json() for parts in self.scores],
            "faults": self.faults,
        }


def write(out: Path, report: OverlapReport) -> None:
    """overlap.json, and CARD.PROTOCOL.units.parquet beside it: a row for each unit of the card."""
    import pyarrow
    import pyarrow.parquet

    for card, units in zip(report.cards, report.units, strict=True):
        columns = {
            "unit": list(range(len(units.digests))),
            "digest": units.digests,
            "ngrams": units.ngrams,
            "found": units.found,
            "share": units.shares,
        }
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), buffer, compression="zstd")
        write_bytes(out / f"{card.card}.{card.protocol}.units.parquet", buffer.getvalue())
    write_json(out / NAME, report.to_json())


def as_text(report: OverlapReport) -> str:
    """The corpus, a line for each card, and the scores by part."""
    lines = [paragraph(_about(report)), "", Table.of_texts(_SHARES, map(_texts, report.cards)).text(), ""]
    lines += [paragraph(text) for text in _legend(report)]
    if marked := [card for card in report.cards if not card.is_benchmark]:
        lines += ["", *(paragraph(f"{card.card}: {card.data}", indent=4) for card in marked)]
    if report.scores:
        lines += ["", *_scores(report)]
    return "\n".join(lines)


def _about(report: OverlapReport) -> str:
    corpus = report.corpus
    left_out = f" ({corpus['files_not_read']:,} others not read)" if "files_not_read" in corpus else ""
    what = f"{corpus['files']:,} files{left_out}" if corpus["kind"] == "files" else f"the {corpus['split']} part"
    how = "each compared word by word"
    if report.method["kind"] == "bloom":
        how = f"by the index {report.method['file']}, false positives {report.method['expected_false_positives']:.1g}"
    return (
        f"{corpus['path']}: {what}, {corpus['bytes']:,} bytes, {corpus['ngrams']:,} {report.n}-grams; those of the "
        f"benchmarks, {how}"
    )


def _legend(report: OverlapReport) -> list[str]:
    return [
        f"share: of the benchmark's {report.n}-grams, how many stand in the corpus; mean: of the examples' own shares; "
        f"any, above: examples that share one at least, and more than {report.above:.0%} of theirs; own train: share "
        "that stands in the benchmark's own training split; the paper's: own training split / WebText, in % "
        "(Radford et al. 2019, table 6; of LAMBADA section 4, a mean)"
    ]


def _percent(share: float) -> str:
    """Two decimals, or two digits where that would say nothing."""
    return f"{100 * share:.2f} %" if share == 0 or share >= 0.001 else f"{100 * share:.2g} %"


def _texts(card: CardShare) -> tuple[str, ...]:
    own = NOTHING if card.own_training is None else _percent(card.own_training.share)
    paper = [NOTHING if value is None else f"{value:g}" for value in card.paper.values()]
    return (
        card.card + ("" if card.is_benchmark else " *"),
        f"{card.ngrams:,}",
        f"{card.found:,}",
        _percent(card.share),
        _percent(card.mean_share),
        f"{card.units:,}",
        f"{card.units_with_any:,}",
        f"{card.units_above:,}",
        own,
        NOTHING if paper == [NOTHING, NOTHING] else " / ".join(paper),
    )


def _scores(report: OverlapReport) -> list[str]:
    part_names = {"above": f"above {report.above:.0%}"}
    tables = []
    for parts in report.scores:
        mark = f" [{parts.mark}]" if parts.mark else ""
        rows = [
            (
                f"  {metric}" if part == "all" else "",
                part_names.get(part, part),
                f"{parts.units[part]:,}",
                general(scores[metric].value, missing=NOT_FINITE),
                interval(scores[metric].low, scores[metric].high, show=general, missing=NOTHING),
            )
            for metric in parts.scores["all"]
            for part, scores in parts.scores.items()
            if metric in scores
        ]
        tables.append(Table.of_texts(_SCORES, rows, f"{parts.checkpoint}: {parts.card}{mark}"))
    return text_lines(tables)
