"""Cards: what a benchmark is, in one YAML file of evals/ that a program can check and a person can read.

A card holds no code. It names a task type (`zeroscale.eval.tasks.TASK_TYPES`), the data, the choices of each
protocol with the paper's words for them, the metrics, and what the paper reported.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.eval.cards.schema import (
    Choice,
    ChoiceValue,
    Metric,
    Name,
    Part,
    Reported,
    Reproduction,
    Sources,
    Subset,
    Text,
)

Protocol = Literal["paper", "lm-eval"]
SIZES = ("small", "medium", "large", "xl")
# Set by this module, never by a card's file.
INTERNAL = ("path", "subset")


class Card(Part):
    """One benchmark."""

    name: Name
    title: Text
    family: Name
    """The task type."""
    measures: Text
    unit: Text
    """What the clusters of the bootstrap are, in the plural."""
    sources: Sources
    protocol_sources: dict[Protocol, Sources] = Field(default_factory=dict)
    """Where a protocol's data come from that are not `sources`."""
    protocols: Annotated[dict[Protocol, dict[Name, Choice]], Field(min_length=1)]
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
        sources = {str(name): sources for name, sources in self.protocol_sources.items()}
        return self.model_copy(update={"sources": sources[protocol]}) if protocol in sources else self

    def choices(self, protocol: str) -> dict[str, Choice]:
        """A protocol's choices.

        Raises:
            ZeroscaleError: when the card does not offer the protocol.
        """
        for name, choices in self.protocols.items():
            if name == protocol:
                return choices
        raise ZeroscaleError(f"card {self.name} has no protocol {protocol!r}; it has: {', '.join(self.protocols)}")

    def options(self, protocol: str) -> dict[str, ChoiceValue]:
        """The values of a protocol's choices; errors as `choices`."""
        return {name: choice.value for name, choice in self.choices(protocol).items()}

    def assumptions(self, protocol: str) -> list[str]:
        """What the paper leaves open, as `field = value: why`."""
        return [
            f"{name} = {choice.value}: {choice.says.removeprefix('assumed').lstrip(':, ')}"
            for name, choice in self.choices(protocol).items()
            if choice.assumed
        ]

    def hash(self, protocol: str) -> str:
        """Covers what can change a score: task type, choices, metrics. Prose and published numbers may be edited."""
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

    def with_subset(self, subset: Subset) -> "Card":
        """This card for a drawn part of its examples. It has a name of its own, so that no file, column or table can
        take its scores for the benchmark's."""
        return self.model_copy(
            update={
                "name": f"{self.name}-{subset.suite}",
                "title": f"{self.title} ({subset.suite}: {subset.examples:,} examples drawn by seed {subset.seed})",
                "subset": subset,
            }
        )
