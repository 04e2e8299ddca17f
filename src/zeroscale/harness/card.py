"""Cards: what a benchmark is, in one YAML file of evals/ that a program can check and a person can read.

A card holds no code. It names a family (a module of `zeroscale.harness.tasks`), the data, the choices of each
protocol with the paper's words for them, the metrics, and what the paper reported.
"""

import difflib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.harness.schema import Choice, Hub, Metric, Name, Part, Reported, Reproduction, Sources, Subset, Text

__all__ = ["SIZES", "Card", "Choice", "Hub", "Subset", "load", "names", "resolve", "suites"]

SIZES = ("small", "medium", "large", "xl")
# Set by this module, never by a card's file.
_INTERNAL = ("path", "subset")


class Card(Part):
    """One benchmark."""

    name: Name
    title: Text
    family: Name
    measures: Text
    unit: Text
    """What is drawn anew in the bootstrap."""
    sources: Sources
    protocol_sources: dict[Literal["paper", "lm-eval"], Sources] = Field(default_factory=dict)
    """Where a protocol's data come from that are not `sources`."""
    protocols: Annotated[dict[Literal["paper", "lm-eval"], dict[Name, Choice]], Field(min_length=1)]
    metrics: Annotated[dict[Name, Metric], Field(min_length=1)]
    paper: list[Reported] = Field(default_factory=list)
    reproductions: list[Reproduction] = Field(default_factory=list)
    licence: Text
    citation: Text
    path: Path = Field(default=Path(), exclude=True)
    subset: Subset | None = Field(default=None, exclude=True)
    """Set where a suite asks for a drawn part of the examples; the card's name then says so too."""

    def following(self, protocol: str) -> "Card":
        """This card with the data that a protocol scores."""
        if protocol not in self.protocol_sources:
            return self
        return self.model_copy(update={"sources": self.protocol_sources[protocol]})

    def options(self, protocol: str) -> dict[str, Any]:
        """The values of a protocol's choices.

        Raises:
            ZeroscaleError: when the card does not offer the protocol.
        """
        if protocol not in self.protocols:
            offered = ", ".join(self.protocols)
            raise ZeroscaleError(f"card {self.name} has no protocol {protocol!r}; it has: {offered}")
        return {name: choice.value for name, choice in self.protocols[protocol].items()}

    def assumptions(self, protocol: str) -> list[str]:
        """What the paper leaves open, as `field = value: why`."""
        return [
            f"{name} = {choice.value}: {choice.says.removeprefix('assumed').lstrip(':, ')}"
            for name, choice in self.protocols[protocol].items()
            if choice.assumed
        ]

    def hash(self, protocol: str) -> str:
        """Covers what can change a score: family, choices, metrics. Prose and published numbers may be edited."""
        content = {
            "name": self.name,
            "family": self.family,
            "protocol": protocol,
            "options": self.options(protocol),
            "metrics": {name: metric.direction for name, metric in self.metrics.items()},
        }
        if self.subset:
            content["subset"] = self.subset.model_dump(exclude={"suite"})
        return sha256_json(content)

    @cached_property
    def sample_path(self) -> Path | None:
        return self.path.parent / self.sources.sample if self.sources.sample else None

    def drawn(self, subset: Subset) -> "Card":
        """This card for a drawn part of its examples. It has a name of its own, so that no file, column or table can
        take its scores for the benchmark's."""
        return self.model_copy(
            update={
                "name": f"{self.name}-{subset.suite}",
                "title": f"{self.title} ({subset.suite}: {subset.examples:,} examples drawn by seed {subset.seed})",
                "subset": subset,
            }
        )


def load(path: Path) -> Card:
    """Reads and checks one card.

    Raises:
        ZeroscaleError: names the file and every faulty field.
    """
    content = read_yaml(path)
    faults = [f"  {name}: no such field" for name in _INTERNAL if name in content]
    try:
        card = Card.model_validate({**content, "path": path, "subset": None})
        faults += _contradictions(card)
    except ValidationError as error:
        faults += [_fault(detail) for detail in error.errors()]
    if faults:
        raise ZeroscaleError(f"card {path} is not valid:\n" + "\n".join(faults))
    return card


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ZeroscaleError(f"{path} does not exist") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ZeroscaleError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ZeroscaleError(f"{path} should hold a mapping (name: …), not {type(content).__name__}")
    return content


def _fault(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"]) or "the whole"
    if detail["type"] == "extra_forbidden":
        return f"  {where}: no such field"
    given = detail.get("input")
    shown = f" (given: {given!r})" if detail["type"] != "missing" and isinstance(given, str | int | float) else ""
    return f"  {where}: {detail['msg'][0].lower()}{detail['msg'][1:]}{shown}"


def _contradictions(card: Card) -> list[str]:
    """Faults that no single field shows."""
    from zeroscale.harness import tasks

    faults = []
    if card.name != card.path.stem:
        faults.append(f"  name: is {card.name!r}, but the file is called {card.path.name}")
    faults += [
        f"  {part}.{number}.metric: {entry.metric!r} is not among the card's metrics ({', '.join(card.metrics)})"
        for part in ("paper", "reproductions")
        for number, entry in enumerate(getattr(card, part))
        if entry.metric not in card.metrics
    ]
    if card.family not in tasks.FAMILIES:
        faults.append(f"  family: {card.family!r} is none of {', '.join(tasks.FAMILIES)}")
        return faults
    family = tasks.family(card.family)
    for protocol in card.protocols:
        try:
            family.Options.model_validate(card.options(protocol))
        except ValidationError as error:
            faults += [f"  protocols.{protocol}.{_fault(detail).strip()}" for detail in error.errors()]
    unknown = sorted(set(card.metrics) ^ set(family.METRICS))
    if unknown:
        faults.append(f"  metrics: {', '.join(unknown)}: the family {card.family} measures {', '.join(family.METRICS)}")
    return faults


def names() -> list[str]:
    """The shipped cards."""
    return sorted(path.stem for path in paths.evals().glob("*.yaml"))


class _Drawn(Part):
    seed: int
    examples: dict[str, Annotated[int, Field(gt=0)]]


class _Suite(Part):
    """A suite's file: cards, and perhaps how many examples of each are drawn."""

    measures: Text
    cards: Annotated[list[str], Field(min_length=1)]
    subset: _Drawn | None = None


def suites() -> dict[str, list[str]]:
    """The shipped suites: name → cards, as results will name them."""
    found = {path.stem: (_suite(path), path.stem) for path in sorted((paths.evals() / "suites").glob("*.yaml"))}
    return {
        name: [f"{card}-{name}" if suite.subset else card for card in suite.cards] for suite, name in found.values()
    }


def _suite(path: Path) -> _Suite:
    try:
        suite = _Suite.model_validate(read_yaml(path))
    except ValidationError as error:
        faults = [_fault(detail) for detail in error.errors()]
        raise ZeroscaleError(f"suite {path} is not valid:\n" + "\n".join(faults)) from error
    if suite.subset and set(suite.subset.examples) != set(suite.cards):
        wrong = ", ".join(sorted(set(suite.subset.examples) ^ set(suite.cards)))
        raise ZeroscaleError(f"suite {path}: subset.examples should say how many for each of its cards, see {wrong}")
    return suite


def _members(suite: Path) -> dict[str, Card]:
    """The cards of a suite by the names they go by in it."""
    content = _suite(suite)
    unknown = [name for name in content.cards if name not in names()]
    if unknown:
        raise ZeroscaleError(f"suite {suite} names cards that do not exist: {', '.join(unknown)}")
    cards = [load(paths.evals() / f"{name}.yaml") for name in content.cards]
    if drawn := content.subset:
        cards = [
            card.drawn(Subset(suite=suite.stem, examples=drawn.examples[card.name], seed=drawn.seed)) for card in cards
        ]
    return {card.name: card for card in cards}


def resolve(cards: Sequence[str]) -> list[Card]:
    """Cards by name, suites by name, files by path (ending in .yaml), each once, in the order given.

    `CARD-SUITE` is a card as a suite with a subset scores it.

    Raises:
        ZeroscaleError: for an unknown name, with the nearest that exists.
    """
    known = names()
    collections = suites()
    wanted: dict[str, Card] = {}
    for name in cards:
        card, _, suite = name.rpartition("-")
        if name in collections:
            wanted |= _members(paths.evals() / "suites" / f"{name}.yaml")
        elif name in known:
            wanted[name] = load(paths.evals() / f"{name}.yaml")
        elif card and name in collections.get(suite, []):
            wanted[name] = _members(paths.evals() / "suites" / f"{suite}.yaml")[name]
        elif name.endswith((".yaml", ".yml")):
            wanted[name] = load(Path(name))
        else:
            close = difflib.get_close_matches(name, [*known, *collections], n=1, cutoff=0.4)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ZeroscaleError(
                f"there is no card or suite {name!r}; {hint}"
                f"Cards: {', '.join(known)}. Suites: {', '.join(collections)}."
            )
    return list(wanted.values())
