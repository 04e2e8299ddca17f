"""What `zeroscale compare` shows: for a terminal of 100 columns, and as JSON, CSV and Markdown."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from pathlib import Path

from zeroscale.core.files import write_json, write_text
from zeroscale.core.format import NOT_FINITE, NOTHING, general, interval
from zeroscale.core.tables import markdown, paragraph, row_text, widths
from zeroscale.eval.score_table import count

HEAD = ("", "first", "second", "difference", "95 % interval", "p", "better")
_RIGHT = (1, 2, 3)


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
        """`first` or `second`; empty where the interval holds 0, or there is none."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return ""
        return "second" if (self.low > 0) == self.higher_is_better else "first"


@dataclass(frozen=True)
class Comparison:
    """Two checkpoints by their labels, what was found, and why some cards could not be compared."""

    first: str
    second: str
    resamples: int
    seed: int
    lines: Sequence[MetricComparison]
    faults: Sequence[str]


def as_text(found: Comparison) -> str:
    """A line for each metric, under its card."""
    wide = widths([HEAD, *map(_cells, found.lines)], len(HEAD))
    text = [f"first:  {found.first}", f"second: {found.second}", "", row_text(HEAD, wide, _RIGHT)]
    for _, members in groupby(found.lines, key=lambda one: (one.card, one.protocol)):
        group = list(members)
        about = f"{group[0].card}, protocol {group[0].protocol}: {_besides(group[0])}"
        text.append(paragraph(about, indent=4))
        text += [row_text(_cells(one), wide, _RIGHT) for one in group]
    return "\n".join([*text, "", *map(paragraph, _notes(found))])


def write(directory: Path, found: Comparison) -> list[Path]:
    """compare.json, compare.csv and compare.md."""
    paths = [directory / f"compare.{kind}" for kind in ("json", "csv", "md")]
    rows = [{**asdict(one), "better": one.better} for one in found.lines]
    about = {"first": found.first, "second": found.second, "resamples": found.resamples, "seed": found.seed}
    write_json(paths[0], {**about, "not_compared": list(found.faults), "rows": rows})
    buffer = io.StringIO()
    columns = [field.name for field in fields(MetricComparison) if field.name != "truncated"]
    columns += ["better", "truncated_first", "truncated_second"]
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "truncated_first": row["truncated"][0], "truncated_second": row["truncated"][1]})
    write_text(paths[1], buffer.getvalue())
    head = ("benchmark", "protocol", "metric", *HEAD[1:], "beside it")
    table = [(one.card, one.protocol, one.metric, *_cells(one)[1:], _besides(one)) for one in found.lines]
    title = f"First: {found.first}. Second: {found.second}."
    notes = [f"- {note}" for note in _notes(found)]
    write_text(paths[2], "\n".join([title, "", *markdown(head, table), "", *notes]) + "\n")
    return paths


def _cells(one: MetricComparison) -> tuple[str, ...]:
    scores = (
        general(one.first, missing=NOT_FINITE),
        general(one.second, missing=NOT_FINITE),
        general(one.difference, signed=True),
    )
    return (
        f"  {one.metric}",
        *scores,
        interval(one.low, one.high, show=general, missing=NOTHING),
        _p_value(one.p),
        one.better,
    )


def _p_value(p: float | None) -> str:
    return NOTHING if p is None else f"{p:.4f}" if p >= 0.0001 else f"{p:.1g}"


def _besides(one: MetricComparison) -> str:
    """What must stand beside a difference: how many examples, which were left out, why it may be none of the
    benchmark."""
    parts = [f"{count(one.n, one.units, one.unit)} in both"]
    if one.unmatched:
        parts.append(f"{one.unmatched:,} examples that only one has are left out")
    if any(one.truncated):
        parts.append(f"cut to fit the context: {one.truncated[0]:,} and {one.truncated[1]:,}")
    return "; ".join([*parts, *([one.mark] if one.mark else [])])


def _notes(found: Comparison) -> list[str]:
    exchanges = f"{found.resamples:,} exchanges, or all where fewer are possible"
    notes = [
        "difference: the second less the first. Interval: paired bootstrap over the units, "
        f"{found.resamples:,} resamples, seed {found.seed}. p: two-sided, from exchanging the two models' outcomes of "
        f"units ({exchanges}); {len(found.lines)} comparisons, not corrected for their number."
    ]
    if alike := [f"{one.card} {one.metric}" for one in found.lines if one.method == "unanimous"]:
        notes.append(
            f"{', '.join(alike)}: all units differ alike, or not at all, so the interval is the exact bound on what "
            "they leave open (Clopper & Pearson 1934)."
        )
    return [*notes, *(f"Not compared: {fault}" for fault in found.faults)]
