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
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zeroscale import paths
from zeroscale.errors import ZeroscaleError
from zeroscale.files import sha256_json

SIZES = ("small", "medium", "large", "xl")
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Files(_Part):
    """The benchmark's own released files."""

    directory: Text
    """The folder inside data_dir; data_dir may also be that folder itself."""
    names: Annotated[list[list[Text]], Field(min_length=1)]
    """Alternatives, the first that is there is read; each a list of files that belong together."""


class Hub(_Part):
    """A data set of the Hugging Face hub."""

    id: Text
    config: Text
    split: Text
    revision: Text | None = None


class Sources(_Part):
    files: Files | None
    hub: Hub | None
    sample: Text
    """A JSONL file in evals/: a few hand-written examples in the benchmark's form."""


class Choice(_Part):
    """One choice of a protocol: its value, and the paper's words for it or why it was assumed."""

    value: bool | int | float | str | None
    says: Annotated[str, Field(min_length=4)]

    @property
    def assumed(self) -> bool:
        return self.says.startswith("assumed")


class Metric(_Part):
    direction: Literal["higher", "lower"]
    chance: float | None
    """What guessing gives; null where that means nothing."""
    meaning: Text


class Reported(_Part):
    """Numbers of the paper, by size."""

    metric: Name
    source: Text
    small: float | None = None
    medium: float | None = None
    large: float | None = None
    xl: float | None = None


class Reproduction(_Part):
    """What somebody else measured with the released weights."""

    size: Literal["small", "medium", "large", "xl"]
    metric: Name
    value: float
    how: Text
    source: Text


class Card(_Part):
    """One benchmark."""

    name: Name
    title: Text
    family: Name
    measures: Text
    unit: Text
    """What is drawn anew in the bootstrap."""
    sources: Sources
    protocols: Annotated[dict[Literal["paper", "lm-eval"], dict[Name, Choice]], Field(min_length=1)]
    metrics: Annotated[dict[Name, Metric], Field(min_length=1)]
    paper: list[Reported]
    reproductions: list[Reproduction] = []
    licence: Text
    citation: Text
    path: Path = Field(default=Path(), exclude=True)

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
        return sha256_json(content)

    @cached_property
    def sample_path(self) -> Path:
        return self.path.parent / self.sources.sample


def load(path: Path) -> Card:
    """Reads and checks one card.

    Raises:
        ZeroscaleError: names the file and every faulty field.
    """
    content = read_yaml(path)
    try:
        card = Card.model_validate({**content, "path": path})
    except ValidationError as error:
        faults = [_fault(detail) for detail in error.errors()]
        raise ZeroscaleError(f"card {path} is not valid:\n" + "\n".join(faults)) from error
    faults = _contradictions(card)
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


def suites() -> dict[str, list[str]]:
    """The shipped suites: name → cards."""
    return {path.stem: _suite(path) for path in sorted((paths.evals() / "suites").glob("*.yaml"))}


def _suite(path: Path) -> list[str]:
    content = read_yaml(path)
    cards = content.get("cards")
    if set(content) - {"cards", "measures"} or not isinstance(cards, list) or not cards:
        raise ZeroscaleError(f"suite {path} should hold `measures: …` and `cards: [name, …]`, and nothing else")
    unknown = [name for name in cards if name not in names()]
    if unknown:
        raise ZeroscaleError(f"suite {path} names cards that do not exist: {', '.join(map(str, unknown))}")
    return cards


def resolve(cards: Sequence[str]) -> list[Card]:
    """Cards by name, suites by name, files by path (ending in .yaml), each once, in the order given.

    Raises:
        ZeroscaleError: for an unknown name, with the nearest that exists.
    """
    known = names()
    collections = suites()
    wanted: dict[str, Path] = {}
    for name in cards:
        if name in collections:
            wanted |= {member: paths.evals() / f"{member}.yaml" for member in collections[name]}
        elif name in known:
            wanted[name] = paths.evals() / f"{name}.yaml"
        elif name.endswith((".yaml", ".yml")):
            wanted[name] = Path(name)
        else:
            close = difflib.get_close_matches(name, [*known, *collections], n=1, cutoff=0.4)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ZeroscaleError(
                f"there is no card or suite {name!r}; {hint}"
                f"Cards: {', '.join(known)}. Suites: {', '.join(collections)}."
            )
    return [load(path) for path in wanted.values()]
