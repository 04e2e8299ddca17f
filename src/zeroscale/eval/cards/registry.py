"""The cards and suites of evals/: read, checked against their task, found by name."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.own import folder as own
from zeroscale.core.parsing import yaml_text
from zeroscale.eval.cards.card import INTERNAL, Card
from zeroscale.eval.cards.schema import Part, Subset, Text, fault


def load(path: Path) -> Card:
    """Reads and checks one card.

    Raises:
        ZeroscaleError: names the file and every faulty field.
    """
    content = yaml_text.read(path)
    faults = [f"  {name}: no such field" for name in INTERNAL if name in content]
    try:
        card = Card.model_validate({**content, "path": path, "subset": None})
        faults += _contradictions(card)
    except ValidationError as error:
        faults += [fault(detail) for detail in error.errors()]
    if faults:
        raise ZeroscaleError(f"card {path} is not valid:\n" + "\n".join(faults))
    return card


def _contradictions(card: Card) -> list[str]:
    """Faults that no single field shows."""
    from zeroscale.eval import tasks

    faults = []
    if card.name != card.path.stem:
        faults.append(f"  name: is {card.name!r}, but the file is called {card.path.name}")
    faults += [
        f"  {part}.{number}.metric: {entry.metric!r} is not among the card's metrics ({', '.join(card.metrics)})"
        for part in ("paper", "reproductions")
        for number, entry in enumerate(getattr(card, part))
        if entry.metric not in card.metrics
    ]
    if card.family not in tasks.TASK_TYPES:
        faults.append(f"  family: {card.family!r} is none of {', '.join(tasks.TASK_TYPES)}")
        return faults
    task = tasks.task_type(card.family)
    for protocol in card.protocols:
        try:
            task.Options.model_validate(card.options(protocol))
        except ValidationError as error:
            faults += [f"  protocols.{protocol}.{fault(detail).strip()}" for detail in error.errors()]
    unknown = sorted(set(card.metrics) ^ set(task.METRICS))
    if unknown:
        faults.append(
            f"  metrics: {', '.join(unknown)}: the task type {card.family} measures {', '.join(task.METRICS)}"
        )
    return faults


def names() -> list[str]:
    """The shipped cards."""
    return sorted(path.stem for path in paths.evals().glob("*.yaml"))


def _files(kind: str = "") -> dict[str, Path]:
    """Cards, or suites, by name: those of the user's own folder and the shipped ones; the user's win."""
    found = [path for folder in reversed(own.evals()) for path in sorted((folder / kind).glob("*.yaml"))]
    return {path.stem: path for path in found}


def is_own(card: Card) -> bool:
    """Whether a card is the user's own: its file is none of the shipped ones."""
    return card.path.resolve().parent != paths.evals().resolve()


class _SubsetSizes(Part):
    seed: int
    examples: dict[str, Annotated[int, Field(gt=0)]]


class _Suite(Part):
    """A suite's file: cards, and perhaps how many examples of each are drawn."""

    measures: Text
    cards: Annotated[list[str], Field(min_length=1)]
    subset: _SubsetSizes | None = None


def suites() -> dict[str, list[str]]:
    """The shipped suites: name → cards, as results will name them."""
    return _members_of({path.stem: path for path in sorted((paths.evals() / "suites").glob("*.yaml"))})


def _members_of(suites: dict[str, Path]) -> dict[str, list[str]]:
    read = {name: _suite(path) for name, path in suites.items()}
    return {name: [f"{card}-{name}" if suite.subset else card for card in suite.cards] for name, suite in read.items()}


def _suite(path: Path) -> _Suite:
    try:
        suite = _Suite.model_validate(yaml_text.read(path))
    except ValidationError as error:
        faults = [fault(detail) for detail in error.errors()]
        raise ZeroscaleError(f"suite {path} is not valid:\n" + "\n".join(faults)) from error
    if suite.subset and set(suite.subset.examples) != set(suite.cards):
        wrong = ", ".join(sorted(set(suite.subset.examples) ^ set(suite.cards)))
        raise ZeroscaleError(f"suite {path}: subset.examples should say how many for each of its cards, see {wrong}")
    return suite


def _members(suite: Path) -> dict[str, Card]:
    """The cards of a suite by the names they go by in it."""
    content = _suite(suite)
    files = _files()
    unknown = [name for name in content.cards if name not in files]
    if unknown:
        raise ZeroscaleError(f"suite {suite} names cards that do not exist: {', '.join(unknown)}")
    cards = [load(files[name]) for name in content.cards]
    if sizes := content.subset:
        cards = [
            card.with_subset(Subset(suite=suite.stem, examples=sizes.examples[card.name], seed=sizes.seed))
            for card in cards
        ]
    return {card.name: card for card in cards}


def resolve(cards: Sequence[str]) -> list[Card]:
    """Cards by name, suites by name, files by path (ending in .yaml), each once, in the order given. Cards and suites
    of the user's own folder win over shipped ones of the same name.

    `CARD-SUITE` is a card as a suite with a subset scores it.

    Raises:
        ZeroscaleError: for an unknown name, with the nearest that exists.
    """
    known, suite_files = _files(), _files("suites")
    collections = _members_of(suite_files)
    resolved: dict[str, Card] = {}
    for name in cards:
        card, _, suite = name.rpartition("-")
        if name in collections:
            resolved |= _members(suite_files[name])
        elif name in known:
            resolved[name] = load(known[name])
        elif card and name in collections.get(suite, []):
            resolved[name] = _members(suite_files[suite])[name]
        elif name.endswith((".yaml", ".yml")):
            resolved[name] = load(Path(name))
        else:
            close = difflib.get_close_matches(name, [*known, *collections], n=1, cutoff=0.4)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ZeroscaleError(
                f"there is no card or suite {name!r}; {hint}"
                f"Cards: {', '.join(known)}. Suites: {', '.join(collections)}."
            )
    return list(resolved.values())
