"""In plain words, which of the scores are results of benchmarks."""

from collections.abc import Iterable, Sequence

from zeroscale.core.marks import PARTS, Mark
from zeroscale.report.views.benchmarks import Card, Point
from zeroscale.report.views.results import badge


def sample_note(cards: list[Card]) -> str:
    """In plain words which scores are benchmark results, for the first screen."""
    scored = [card for card in cards if card.kind != "held-out"]
    if not scored:
        return "No benchmark was scored in this study: the losses are on text held out from the training corpus."
    if not marked(scored):
        return "Every score is on the benchmark's own data; n and a 95 % interval stand beside it."
    notes = []
    if any(Mark.SAMPLE in marks for card in scored for marks in card.marks):
        n = sorted({point.n for card in scored for point in _points(card) if Mark.SAMPLE in point.marks and point.n})
        spread = "" if not n else f" (n = {n[0]})" if len(n) == 1 else f" (n = {n[0]} to {n[-1]})"
        notes.append(
            f"Scores marked SAMPLE come from a dozen or so hand-written examples{spread}: "
            "they test the machinery, they are not benchmark results."
        )
    if partial := [card for card in scored if _partial([card])]:
        notes.append(
            f"Scores marked {' or '.join(_partial(partial))} are on a part of a benchmark, or on other data, and are "
            f"not its results: {', '.join(card.card for card in partial)}."
        )
    if unpinned := [card.card for card in scored if any(Mark.UNPINNED in marks for marks in card.marks)]:
        notes.append(
            "Scores marked UNPINNED are of cards that pin no content, so that nothing says whether their data are the "
            f"benchmark's: {', '.join(unpinned)}."
        )
    if whole := [card for card in scored if () in card.marks]:
        names = [card.card + ("" if card.kind == "benchmark" else " (of some runs)") for card in whole]
        notes.append(f"Real benchmarks here: {', '.join(names)}.")
    return " ".join(notes)


def _points(card: Card) -> list[Point]:
    return [point for panel in card.panels for point in panel.points]


def marked(cards: Iterable[Card]) -> list[tuple[Mark, ...]]:
    """The marks of scores that are none of a benchmark, each combination once."""
    combinations = dict.fromkeys(marks for card in cards if card.kind != "held-out" for marks in card.marks)
    return [marks for marks in combinations if marks]


def _partial(cards: Sequence[Card]) -> list[str]:
    """The badges of scores on a part of a benchmark, or on other data."""
    parts = [marks for marks in marked(cards) if any(mark in PARTS for mark in marks)]
    return [badge(marks) for marks in parts if Mark.SAMPLE not in marks]
