"""Scores by card and metric, against model size: what the benchmark figures, the table and the notes are made of."""

from dataclasses import dataclass, field
from typing import Any

from zeroscale.core import format
from zeroscale.core.format import number
from zeroscale.eval import published
from zeroscale.report.views import badges as marks
from zeroscale.report.views.badges import BENCHMARK, HELD_OUT, SAMPLE
from zeroscale.report.views.study import RunView, StudyView

# Scores that others are read against begin so (`zeroscale.eval.tasks.summary`): lines in the panel of the score that
# the rest of the name says, and no panels of their own.
BASELINES = {"no_hint_": "without the hint", "lede_3_": "lede-3", "random_3_": "random-3"}


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
    badge: str = BENCHMARK
    """The word that stands beside this score: what of the benchmark was scored, where it was not the whole."""


@dataclass(frozen=True)
class Line:
    """What a panel's points are read against: (parameters, value) by size; one value at all sizes is `fixed`."""

    name: str
    points: list[tuple[float, float]]

    @property
    def fixed(self) -> bool:
        """Whether no model takes part in it."""
        return len({value for _, value in self.points}) == 1

    @property
    def spoken(self) -> str:
        """For a text: the value, or the range of values."""
        values = [format.flat(format.figure(value)) for value in sorted({value for _, value in self.points})]
        return f"{self.name} {values[0]}" + ("" if self.fixed else f" to {values[-1]}")


@dataclass(frozen=True)
class Panel:
    """One metric of one card over sizes.

    `published`: (name, parameters, value) of the paper's models, where it tells; `reproduced`: what others measured
    with the released weights. Both only where every point is of the whole benchmark.
    """

    metric: str
    higher_is_better: bool
    chance: float | None
    points: list[Point]
    published: list[tuple[str, float, float]]
    lines: list[Line] = field(default_factory=list)
    reproduced: list[tuple[str, float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Card:
    """A benchmark under one protocol, with its panels; the first is the card's main metric."""

    key: str
    card: str
    protocol: str
    kind: str  # "sample", "part" (of the benchmark, or of some sizes only), "benchmark" or "held-out"
    n: list[int]
    panels: list[Panel]
    assumptions: list[str]
    notes: list[str]
    badges: list[str]
    """Of its results, each once."""

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


def latest(run: RunView) -> dict[str, tuple[int, dict[str, Any]]]:
    """Each card's last result of a run: key (card and protocol) → (step, result)."""
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for step in sorted(run.scores):
        for result in run.scores[step]:
            found[f"{result.get('card', '?')}.{result.get('protocol', '?')}"] = (step, result)
    return found


def read_cards(study: StudyView) -> list[Card]:
    """All cards that any run was scored on: held-out text first, then by name."""
    by_key: dict[str, list[tuple[RunView, int, dict[str, Any]]]] = {}
    for run in study.runs:
        for key, (step, result) in latest(run).items():
            by_key.setdefault(key, []).append((run, step, result))
    order = sorted(by_key, key=lambda key: (not key.startswith(f"{HELD_OUT}."), key))
    return [_card(key, by_key[key]) for key in order]


def _card(key: str, results: list[tuple[RunView, int, dict[str, Any]]]) -> Card:
    first = results[0][2]
    names = list(dict.fromkeys(name for _, _, result in results for name in result["metrics"]))
    main = next((result["main_metric"] for _, _, result in results if result.get("main_metric") in names), None)
    if main is not None:
        names.sort(key=lambda name: name != main)
    badges = list(dict.fromkeys(marks.badges(result) for _, _, result in results))
    panels = [_panel(name, results, names) for name in names if not _is_baseline(name, names)]
    panels = [panel for panel in panels if panel.points]
    sample = all(text.startswith(SAMPLE) for text in badges)
    kind = "sample" if sample else "benchmark" if badges == [BENCHMARK] else "part"
    kind = "held-out" if first.get("card") == HELD_OUT else kind
    assumptions = [str(text) for text in dict.fromkeys(a for _, _, r in results for a in r.get("assumptions") or [])]
    counts = {point.n for panel in panels for point in panel.points if point.n is not None}
    card, protocol, n = str(first.get("card")), str(first.get("protocol")), sorted(counts)
    return Card(key, card, protocol, kind, n, panels, assumptions, _notes(results), badges)


def _is_baseline(name: str, names: list[str]) -> bool:
    """Whether the score that it is compared with is there too."""
    return any(name.startswith(start) and name.removeprefix(start) in names for start in BASELINES)


def _lines(name: str, results: list[tuple[RunView, int, dict[str, Any]]], names: list[str]) -> list[Line]:
    lines = []
    for start, called in BASELINES.items():
        if start + name in names:
            found = [(run.params, _value(result, start + name)) for run, _, result in results]
            points = [(params, value) for params, value in found if params is not None and value is not None]
            if points:
                lines.append(Line(called, sorted(points)))
    return lines


def _value(result: dict[str, Any], name: str) -> float | None:
    entry = result["metrics"].get(name)
    return number(entry.get("value")) if isinstance(entry, dict) else None


def _panel(name: str, results: list[tuple[RunView, int, dict[str, Any]]], names: list[str]) -> Panel:
    points, chance, higher, theirs = [], None, True, []
    for run, step, result in results:
        value = _value(result, name)
        if value is None or run.params is None:
            continue
        entry = result["metrics"][name]
        n = number(entry.get("n", result.get("n")))
        low, high = number(entry.get("low")), number(entry.get("high"))
        path = str(result.get("path", ""))
        count = None if n is None else int(n)
        said = marks.badges(result)
        points.append(Point(run.name, run.label, run.params, step, value, low, high, count, path, said))
        chance = number(entry.get("chance")) if chance is None else chance
        higher = bool(entry.get("higher_is_better", True))
        theirs = theirs or _published(entry.get("published"))
    reproduced: list[tuple[str, float, float]] = []
    if any(point.badge != BENCHMARK for point in points):
        theirs = []  # others' numbers are on the benchmark itself: beside a part of it they would mislead
    else:
        paper, reproduced = _reported(results[0][2], name)
        theirs = theirs or paper
    return Panel(name, higher, chance, points, theirs, _lines(name, results, names), reproduced)


def _reported(result: dict[str, Any], metric: str) -> tuple[list[tuple[str, float, float]], ...]:
    """What the card says of a metric: (the paper's numbers, others'), those of the result's own protocol."""
    paper = result.get("protocol") == "paper"
    told = [one for one in published.of(str(result.get("card"))) if one.metric == metric]
    others = [one for one in told if not one.paper and (paper or "lm-evaluation-harness" in one.who)]
    ours = [one for one in told if one.paper and paper]
    return tuple([(one.who, one.params, one.value) for one in group] for group in (ours, others))


def _published(raw: Any) -> list[tuple[str, float, float]]:
    rows = []
    for entry in raw if isinstance(raw, list) else []:
        if not isinstance(entry, dict):
            continue
        params = number(entry.get("params_non_embedding", entry.get("params")))
        value = number(entry.get("value"))
        if params is not None and value is not None:
            rows.append((str(entry.get("name", entry.get("model", "published"))), params, value))
    return rows


def _notes(results: list[tuple[RunView, int, dict[str, Any]]]) -> list[str]:
    """What a reader must know before trusting a number: what of the benchmark it is, what was cut or left out."""
    notes = marks.notes([(run.label, result) for run, _, result in results])
    said = " ".join(notes).lower()
    others = dict.fromkeys(str(note) for _, _, result in results for note in result.get("notes") or [])
    notes += [note for note in others if note.lower() not in said]
    for key, text in (("truncated", "cut to fit the context"), ("left_out", "left out")):
        counts = {run.label: int(number(result.get(key)) or 0) for run, _, result in results}
        hit = {name: n for name, n in counts.items() if n}
        if hit:
            listed = ", ".join(f"{n:,} for {name}" for name, n in hit.items())
            same = len(set(hit.values())) == 1 and len(hit) == len(results)
            notes.append(
                f"Examples {text}: " + (f"{next(iter(hit.values())):,} at every size." if same else f"{listed}.")
            )
    return notes


def sample_note(cards: list[Card]) -> str:
    """The plain word on what to believe, for the first screen."""
    scored = [card for card in cards if card.kind != "held-out"]
    if not scored:
        return "No benchmark was scored in this study: the losses are on text held out from the training corpus."
    if not doubts(scored):
        return "Every score is on the benchmark's own data; n and a 95 % interval stand beside it."
    parts = []
    if any(SAMPLE in text for card in scored for text in card.badges):
        n = sorted({point.n for card in scored for point in _points(card) if SAMPLE in point.badge and point.n})
        spread = "" if not n else f" (n = {n[0]})" if len(n) == 1 else f" (n = {n[0]} to {n[-1]})"
        parts.append(
            f"Scores marked SAMPLE come from a dozen or so hand-written examples{spread}: "
            "they test the machinery, they are not benchmark results."
        )
    if partly := [card for card in scored if _of_parts([card])]:
        parts.append(
            f"Scores marked {' or '.join(_of_parts(partly))} are on a part of a benchmark, or on other data, and are "
            f"not its results: {', '.join(card.card for card in partly)}."
        )
    if real := [card for card in scored if BENCHMARK in card.badges]:
        named = [card.card + ("" if card.kind == "benchmark" else " (of some runs)") for card in real]
        parts.append(f"Real benchmarks here: {', '.join(named)}.")
    return " ".join(parts)


def _points(card: Card) -> list[Point]:
    return [point for panel in card.panels for point in panel.points]


def doubts(cards: list[Card]) -> list[str]:
    """The words beside scores that are none of a benchmark, each once: they stand before the first screen's note."""
    badges = dict.fromkeys(text for card in cards if card.kind != "held-out" for text in card.badges)
    return [text for text in badges if text != BENCHMARK]


def _of_parts(cards: list[Card]) -> list[str]:
    return [text for text in doubts(cards) if SAMPLE not in text]


def unit(metric: str) -> str:
    """How a metric's name reads on an axis."""
    return metric.replace("_", format.SPACE)


def column(path: str, metric: str) -> str:
    """What results.csv calls a metric of a result file, which is what `zeroscale explain` takes."""
    card, _, protocol = path.rpartition("/")[2].removesuffix(".json").rpartition(".")
    return f"{card}/{metric}" if protocol in ("paper", "corpus") else f"{card}.{protocol}/{metric}"
