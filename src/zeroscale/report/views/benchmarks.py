"""Scores by card and metric, against model size: what the benchmark figures, the table and the notes are made of."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from zeroscale.core import format
from zeroscale.core.marks import Mark
from zeroscale.eval import published
from zeroscale.report.views.results import HELD_OUT, ResultView, badge
from zeroscale.report.views.study import RunView, StudyView

# Baselines of a metric begin so (`zeroscale.eval.tasks.summary`): they are lines in the panel of the metric that the
# rest of the name says, and have no panels of their own.
BASELINES = {"no_hint_": "without the hint", "lede_3_": "lede-3", "random_3_": "random-3"}

Kind = Literal["sample", "part", "benchmark", "held-out"]
"""What a card's scores are of; `part`: of a part of the benchmark, or of the benchmark at some sizes only."""


class PublishedScore(NamedTuple):
    """A number that others reported, and the size of their model."""

    name: str
    params: float
    value: float


class RunResult(NamedTuple):
    """A card's result and the run that it is of."""

    run: RunView
    result: ResultView


@dataclass(frozen=True)
class Point:
    """One run's value with its 95 % interval, and where it stands on disk."""

    run: str
    label: str
    params: float
    step: int
    value: float
    low: float | None
    high: float | None
    n: int | None
    path: str
    marks: tuple[Mark, ...] = ()
    """What of the benchmark was scored, where it was not the whole."""

    @property
    def badge(self) -> str:
        """The word that stands beside this score."""
        return badge(self.marks)


@dataclass(frozen=True)
class Line:
    """A baseline of a panel: (parameters, value) by size; one value at all sizes is `fixed`."""

    name: str
    points: list[tuple[float, float]]

    @property
    def fixed(self) -> bool:
        """Whether no model takes part in it."""
        return len({value for _, value in self.points}) == 1

    @property
    def description(self) -> str:
        """Its name with the value, or the range of values."""
        values = [format.flat(format.figure(value)) for value in sorted({value for _, value in self.points})]
        return f"{self.name} {values[0]}" + ("" if self.fixed else f" to {values[-1]}")


@dataclass(frozen=True)
class Panel:
    """One metric of one card over sizes.

    `published`: scores of the paper's models; `reproduced`: what others measured with the released weights. Both only
    where every point is of the whole benchmark.
    """

    metric: str
    higher_is_better: bool
    chance: float | None
    points: list[Point]
    published: list[PublishedScore]
    lines: list[Line] = field(default_factory=list)
    reproduced: list[PublishedScore] = field(default_factory=list)


@dataclass(frozen=True)
class Card:
    """A benchmark under one protocol, with its panels; the first is the card's main metric."""

    key: str
    card: str
    protocol: str
    kind: Kind
    n: list[int]
    panels: list[Panel]
    assumptions: list[str]
    notes: list[str]
    marks: list[tuple[Mark, ...]]
    """The combinations that its results bear, each once."""

    @property
    def badges(self) -> list[str]:
        return [badge(marks) for marks in self.marks]

    @property
    def badge(self) -> str:
        """The word that stands beside every score of this card; MIXED where the sizes' scores bear several."""
        return self.badges[0] if len(self.badges) == 1 else "MIXED"

    @property
    def count(self) -> str:
        """n as shown: "12", or "12 to 16" where it differs between metrics or sizes."""
        if not self.n:
            return "unknown"
        return f"{self.n[0]:,}" if len(self.n) == 1 else f"{self.n[0]:,} to {self.n[-1]:,}"


def latest(run: RunView) -> dict[str, ResultView]:
    """The last result of each card and protocol of a run."""
    return {f"{result.card}.{result.protocol}": result for step in sorted(run.results) for result in run.results[step]}


def read_cards(study: StudyView) -> list[Card]:
    """All cards that any run was scored on: held-out text first, then by name."""
    by_key: dict[str, list[RunResult]] = {}
    for run in study.runs:
        for key, result in latest(run).items():
            by_key.setdefault(key, []).append(RunResult(run, result))
    order = sorted(by_key, key=lambda key: (not key.startswith(f"{HELD_OUT}."), key))
    return [_card(key, by_key[key]) for key in order]


def _card(key: str, results: list[RunResult]) -> Card:
    first = results[0].result
    metrics = list(dict.fromkeys(metric for _, result in results for metric in result.metrics))
    main = next((result.main_metric for _, result in results if result.main_metric in metrics), None)
    if main is not None:
        metrics.sort(key=lambda metric: metric != main)
    marks = list(dict.fromkeys(result.marks for _, result in results))
    panels = [_panel(metric, results, metrics) for metric in metrics if not _is_baseline(metric, metrics)]
    panels = [panel for panel in panels if panel.points]
    return Card(
        key=key,
        card=first.card,
        protocol=first.protocol,
        kind="held-out" if first.card == HELD_OUT else _kind(marks),
        n=sorted({point.n for panel in panels for point in panel.points if point.n is not None}),
        panels=panels,
        assumptions=list(dict.fromkeys(text for _, result in results for text in result.texts("assumptions"))),
        notes=_notes(results),
        marks=marks,
    )


def _kind(marks: list[tuple[Mark, ...]]) -> Kind:
    if all(Mark.SAMPLE in combination for combination in marks):
        return "sample"
    return "part" if any(marks) else "benchmark"


def _is_baseline(metric: str, metrics: list[str]) -> bool:
    """Whether it is a baseline of another metric of the card."""
    return any(metric.startswith(prefix) and metric.removeprefix(prefix) in metrics for prefix in BASELINES)


def _baselines(metric: str, results: list[RunResult], metrics: list[str]) -> list[Line]:
    lines = []
    for prefix, name in BASELINES.items():
        if prefix + metric in metrics:
            values = [(run.params, result.value(prefix + metric)) for run, result in results]
            points = [(params, value) for params, value in values if params is not None and value is not None]
            if points:
                lines.append(Line(name, sorted(points)))
    return lines


def _panel(metric: str, results: list[RunResult], metrics: list[str]) -> Panel:
    points: list[Point] = []
    chance, higher_is_better = None, True
    paper: list[PublishedScore] = []
    for run, result in results:
        score = result.score(metric)
        if score is None or score.value is None or run.params is None:
            continue
        points.append(
            Point(
                run.name,
                run.label,
                run.params,
                result.step,
                score.value,
                score.low,
                score.high,
                score.n,
                result.path,
                result.marks,
            )
        )
        chance = score.chance if chance is None else chance
        higher_is_better = score.higher_is_better
        paper = paper or [PublishedScore(*entry) for entry in score.published]
    reproduced: list[PublishedScore] = []
    if any(point.marks for point in points):
        paper = []  # published numbers are on the whole benchmark: beside a part of it they would mislead
    else:
        of_card, reproduced = _published(results[0].result, metric)
        paper = paper or of_card
    lines = _baselines(metric, results, metrics)
    return Panel(metric, higher_is_better, chance, points, paper, lines, reproduced)


def _published(result: ResultView, metric: str) -> tuple[list[PublishedScore], list[PublishedScore]]:
    """What the card quotes for a metric under the result's own protocol: (the paper's numbers, others')."""
    is_paper = result.protocol == "paper"
    entries = [entry for entry in published.of(result.card) if entry.metric == metric]
    paper = [entry for entry in entries if entry.paper and is_paper]
    others = [entry for entry in entries if not entry.paper and (is_paper or "lm-evaluation-harness" in entry.who)]

    def scores(of: list[published.Reported]) -> list[PublishedScore]:
        return [PublishedScore(entry.who, entry.params, entry.value) for entry in of]

    return scores(paper), scores(others)


def _notes(results: list[RunResult]) -> list[str]:
    """What a reader must know before trusting a number: what of the benchmark it is, what was cut or left out."""
    notes = _reasons(results)
    text = " ".join(notes).lower()
    others = dict.fromkeys(note for _, result in results for note in result.texts("notes"))
    notes += [note for note in others if note.lower() not in text]
    for field_name, change in (("truncated", "cut to fit the context"), ("left_out", "left out")):
        counts = {run.label: result.count(field_name) for run, result in results}
        positive = {label: count for label, count in counts.items() if count}
        if positive:
            by_run = ", ".join(f"{count:,} for {label}" for label, count in positive.items())
            same = len(set(positive.values())) == 1 and len(positive) == len(results)
            notes.append(
                f"Examples {change}: " + (f"{next(iter(positive.values())):,} at every size." if same else f"{by_run}.")
            )
    return notes


def _reasons(results: list[RunResult]) -> list[str]:
    """The marks' reasons in full, each with its runs where these are not all; then what is not known of data that
    nothing is known against."""
    by_run = {
        run.label: [reason.text for reason in result.reasons if reason.mark is not Mark.SAMPLE]
        for run, result in results
    }
    notes = []
    for reason in dict.fromkeys(reason for reasons in by_run.values() for reason in reasons):
        labels = [label for label, reasons in by_run.items() if reason in reasons]
        notes.append(reason + ("." if len(labels) == len(results) else f" ({', '.join(labels)})."))
    unchecked = dict.fromkeys(result.unchecked_data for _, result in results)
    return notes + [f"The data: {text}." for text in unchecked if text]


def unit(metric: str) -> str:
    """How a metric's name reads on an axis."""
    return metric.replace("_", format.SPACE)


def column(path: str, metric: str) -> str:
    """What results.csv calls a metric of a result file, which is what `zeroscale explain` takes."""
    card, _, protocol = path.rpartition("/")[2].removesuffix(".json").rpartition(".")
    return f"{card}/{metric}" if protocol in ("paper", "corpus") else f"{card}.{protocol}/{metric}"
