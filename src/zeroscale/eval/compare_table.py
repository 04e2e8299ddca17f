"""What `zeroscale compare` shows: for a terminal of 100 columns, and as JSON, CSV and Markdown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from pathlib import Path

from zeroscale.core.files import write_json, write_text
from zeroscale.core.format import NOT_FINITE, NOTHING, general, interval
from zeroscale.core.tables import Column, Table, csv_text, paragraph, text_lines
from zeroscale.eval.metrics.paired_test import LEVEL
from zeroscale.eval.score_table import count

SCORE_COLUMNS = tuple(Column(label, number=True) for label in ("first", "second", "difference"))
TEXT_COLUMNS = (Column(""), *SCORE_COLUMNS, Column("95 % interval"), Column("p"), Column("verdict"))
NONE_SHOWN = "none shown"


@dataclass(frozen=True)
class MetricComparison:
    """One metric of one card for both checkpoints; `difference` is the second's less the first's."""

    card: str
    protocol: str
    metric: str
    mark: str
    """Why these are no scores of the benchmark; empty where they are."""
    unit: str
    n: int
    """Examples that both have."""
    unmatched: int
    """Examples that one of them has, and the other has not."""
    truncated: tuple[int, int]
    higher_is_better: bool
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    exact: bool
    units: int
    differing: int
    method: str

    @property
    def better(self) -> str:
        """`first` or `second` where p < 0.05, which is where 0 lies outside the interval; else empty."""
        if self.p is None or self.p >= LEVEL or not self.difference:
            return ""
        return "second" if (self.difference > 0) == self.higher_is_better else "first"

    @property
    def verdict(self) -> str:
        """In words."""
        return f"{self.better} better" if self.better else "no difference shown"


@dataclass(frozen=True)
class Comparison:
    """Two checkpoints by their labels, what was found, and why some cards could not be compared."""

    first: str
    second: str
    resamples: int
    seed: int
    lines: Sequence[MetricComparison]
    faults: Sequence[str]


def as_text(comparison: Comparison) -> str:
    """A line for each metric, under its card."""
    tables = []
    for (card, protocol), of_card in groupby(comparison.lines, key=lambda metric: (metric.card, metric.protocol)):
        members = list(of_card)
        rows = [(f"  {metric.metric}", *_texts(metric)[:-1], _short_verdict(metric)) for metric in members]
        tables.append(Table.of_texts(TEXT_COLUMNS, rows, f"{card}, protocol {protocol}: {_besides(members[0])}"))
    head = [f"first:  {comparison.first}", f"second: {comparison.second}", ""]
    lines = text_lines(tables or [Table(TEXT_COLUMNS, [])])
    undecided = any(not metric.better for metric in comparison.lines)
    notes = [f"{NONE_SHOWN}: no difference shown."] if undecided else []
    return "\n".join([*head, *lines, "", *map(paragraph, [*_notes(comparison), *notes])])


def _short_verdict(metric: MetricComparison) -> str:
    """The verdict in a line of a terminal, which holds numbers of ten digits besides."""
    return metric.verdict if metric.better else NONE_SHOWN


def write(directory: Path, comparison: Comparison) -> list[Path]:
    """compare.json, compare.csv and compare.md."""
    paths = [directory / f"compare.{kind}" for kind in ("json", "csv", "md")]
    write_json(paths[0], _to_json(comparison))
    write_text(paths[1], _as_csv(comparison))
    write_text(paths[2], _as_markdown(comparison))
    return paths


def _to_json(comparison: Comparison) -> dict[str, object]:
    return {
        "first": comparison.first,
        "second": comparison.second,
        "resamples": comparison.resamples,
        "seed": comparison.seed,
        "not_compared": list(comparison.faults),
        "rows": [{**asdict(metric), "better": metric.better, "verdict": metric.verdict} for metric in comparison.lines],
    }


def _as_csv(comparison: Comparison) -> str:
    columns = [field.name for field in fields(MetricComparison) if field.name != "truncated"]
    rows = [
        [*(getattr(metric, column) for column in columns), metric.better, *metric.truncated, metric.verdict]
        for metric in comparison.lines
    ]
    return csv_text([*columns, "better", "truncated_first", "truncated_second", "verdict"], rows)


def _as_markdown(comparison: Comparison) -> str:
    columns: tuple[str | Column, ...] = ("benchmark", "protocol", "metric", *TEXT_COLUMNS[1:], "beside it")
    rows = [
        (metric.card, metric.protocol, metric.metric, *_texts(metric), _besides(metric)) for metric in comparison.lines
    ]
    title = f"First: {comparison.first}. Second: {comparison.second}."
    notes = [f"- {note}" for note in _notes(comparison)]
    return "\n".join([title, "", Table.of_texts(columns, rows).markdown_of_markup(), "", *notes]) + "\n"


def _texts(metric: MetricComparison) -> tuple[str, ...]:
    """The columns after the metric's name."""
    scores = (general(value, missing=NOT_FINITE) for value in (metric.first, metric.second))
    ends = interval(metric.low, metric.high, show=general, missing=NOTHING)
    return (*scores, general(metric.difference, signed=True), ends, _p_value(metric.p), metric.verdict)


def _p_value(p: float | None) -> str:
    return NOTHING if p is None else f"{p:.4f}" if p >= 0.0001 else f"{p:.1g}"


def _besides(metric: MetricComparison) -> str:
    """What must stand beside a difference: how many examples, which were left out, why it may be none of the
    benchmark."""
    parts = [f"{count(metric.n, metric.units, metric.unit)} in both"]
    if metric.unmatched:
        parts.append(f"{metric.unmatched:,} examples that only one has are left out")
    if any(metric.truncated):
        parts.append(f"cut to fit the context: {metric.truncated[0]:,} and {metric.truncated[1]:,}")
    return "; ".join([*parts, *([metric.mark] if metric.mark else [])])


def _notes(comparison: Comparison) -> list[str]:
    exchanges = f"{comparison.resamples:,} exchanges drawn by seed {comparison.seed}, or all where fewer are possible"
    notes = [
        "difference: the second less the first. p: two-sided, from exchanging the two models' outcomes of units "
        f"({exchanges}). Interval: the differences that this test does not reject, so that it leaves 0 out where "
        f"p < 0.05, and only there; {len(comparison.lines)} comparisons, not corrected for their number."
    ]
    if alike := [f"{metric.card} {metric.metric}" for metric in comparison.lines if metric.method == "unanimous"]:
        notes.append(
            f"{', '.join(alike)}: all units differ alike, or not at all, so the interval is the exact bound on what "
            "they leave open (Clopper & Pearson 1934)."
        )
    unknown = [metric for metric in comparison.lines if metric.method == "none" and metric.difference is not None]
    if unknown:
        names = ", ".join(f"{metric.card} {metric.metric}" for metric in unknown)
        notes.append(f"{names}: too few units, or units too much alike, for an interval.")
    return [*notes, *(f"Not compared: {fault}" for fault in comparison.faults)]
