"""Scores by card and metric, against model size: what the benchmark figures, the table and the notes are made of."""

from dataclasses import dataclass
from typing import Any

from zeroscale.report import words
from zeroscale.report.record import Cell, Study, number

HELD_OUT = "held_out"


@dataclass(frozen=True)
class Point:
    """One cell's value with its 95 % interval, and where it stands on disk."""

    cell: str
    label: str
    params: float
    step: int
    value: float
    low: float | None
    high: float | None
    n: int | None
    path: str


@dataclass(frozen=True)
class Panel:
    """One metric of one card over sizes. `published`: (name, parameters, value) of others' models, where known."""

    metric: str
    higher_is_better: bool
    chance: float | None
    points: list[Point]
    published: list[tuple[str, float, float]]


@dataclass(frozen=True)
class Card:
    """A benchmark under one protocol, with its panels; the first is the card's main metric."""

    key: str
    card: str
    protocol: str
    kind: str  # "sample", "benchmark" or "held-out"
    n: list[int]
    panels: list[Panel]
    assumptions: list[str]
    notes: list[str]

    @property
    def badge(self) -> str:
        """The word that stands beside every score of this card."""
        return {"sample": "SAMPLE", "benchmark": "BENCHMARK", "held-out": "HELD-OUT TEXT"}[self.kind]

    @property
    def count(self) -> str:
        """n as shown: "12", or "12 to 16" where it differs between metrics or sizes."""
        if not self.n:
            return "unknown"
        return f"{self.n[0]:,}" if len(self.n) == 1 else f"{self.n[0]:,} to {self.n[-1]:,}"


def latest(cell: Cell) -> dict[str, tuple[int, dict[str, Any]]]:
    """Each card's last result of a cell: key (card and protocol) → (step, result)."""
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for step in sorted(cell.scores):
        for result in cell.scores[step]:
            found[f"{result.get('card', '?')}.{result.get('protocol', '?')}"] = (step, result)
    return found


def read_cards(study: Study) -> list[Card]:
    """All cards that any cell was scored on: held-out text first, then by name."""
    by_key: dict[str, list[tuple[Cell, int, dict[str, Any]]]] = {}
    for cell in study.cells:
        for key, (step, result) in latest(cell).items():
            by_key.setdefault(key, []).append((cell, step, result))
    order = sorted(by_key, key=lambda key: (not key.startswith(f"{HELD_OUT}."), key))
    return [_card(key, by_key[key]) for key in order]


def _card(key: str, results: list[tuple[Cell, int, dict[str, Any]]]) -> Card:
    first = results[0][2]
    names = list(dict.fromkeys(name for _, _, result in results for name in result["metrics"]))
    main = next((result["main_metric"] for _, _, result in results if result.get("main_metric") in names), None)
    if main is not None:
        names.sort(key=lambda name: name != main)
    sample = any(result.get("is_sample") or result.get("source") == "sample" for _, _, result in results)
    panels = [panel for panel in (_panel(name, results, sample) for name in names) if panel.points]
    kind = "held-out" if first.get("card") == HELD_OUT else "sample" if sample else "benchmark"
    assumptions = [str(text) for text in dict.fromkeys(a for _, _, r in results for a in r.get("assumptions") or [])]
    counts = {point.n for panel in panels for point in panel.points if point.n is not None}
    return Card(
        key,
        str(first.get("card")),
        str(first.get("protocol")),
        kind,
        sorted(counts),
        panels,
        assumptions,
        _notes(results),
    )


def _panel(name: str, results: list[tuple[Cell, int, dict[str, Any]]], sample: bool) -> Panel:
    points, chance, higher, published = [], None, True, []
    for cell, step, result in results:
        entry = result["metrics"].get(name)
        value = number(entry.get("value")) if isinstance(entry, dict) else None
        if value is None or cell.params is None:
            continue
        n = number(entry.get("n", result.get("n")))
        low, high = number(entry.get("low")), number(entry.get("high"))
        path = str(result.get("path", ""))
        points.append(
            Point(cell.name, cell.label, cell.params, step, value, low, high, None if n is None else int(n), path)
        )
        chance = number(entry.get("chance")) if chance is None else chance
        higher = bool(entry.get("higher_is_better", True))
        if not sample:  # others' numbers are on the benchmark itself: beside a sample they would mislead
            published = published or _published(entry.get("published"))
    return Panel(name, higher, chance, points, published)


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


def _notes(results: list[tuple[Cell, int, dict[str, Any]]]) -> list[str]:
    """What a reader must know before trusting a number: prompts cut to the context, examples left out."""
    notes = [str(note) for note in dict.fromkeys(n for _, _, result in results for n in result.get("notes") or [])]
    for key, text in (("truncated", "cut to fit the context"), ("left_out", "left out")):
        counts = {cell.label: int(number(result.get(key)) or 0) for cell, _, result in results}
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
    samples = [card for card in cards if card.kind == "sample"]
    real = [card for card in cards if card.kind == "benchmark"]
    if not samples and not real:
        return "No benchmark was scored in this study: the losses are on text held out from the training corpus."
    if not samples:
        return "Every score is on the benchmark's own data; n and a 95 % interval stand beside it."
    n = sorted({size for card in samples for size in card.n})
    spread = "" if not n else f" (n = {n[0]})" if len(n) == 1 else f" (n = {n[0]} to {n[-1]})"
    note = (
        f"Scores marked SAMPLE come from a dozen or so hand-written examples{spread}: "
        "they test the machinery, they are not benchmark results."
    )
    return note + (f" Real benchmarks here: {', '.join(card.card for card in real)}." if real else "")


def unit(metric: str) -> str:
    """How a metric's name reads on an axis."""
    return metric.replace("_", words.SPACE)
