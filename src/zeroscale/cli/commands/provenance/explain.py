"""`zeroscale explain`: the chain behind a number, each link checked."""

from pathlib import Path

from pydantic.dataclasses import dataclass

from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, FilePath, Positive, Text
from zeroscale.config.validate import build_config


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ExplainConfig:
    """A number: a run's, as results.csv calls it, or without a run a parameter of fit.json."""

    study: FilePath
    cell: Text | None
    """A run by its name, or by a part of it that no other run has."""
    metric: Text
    step: Positive | None
    """Of which checkpoint; None: the last that has the metric."""


def run(raw: RawConfig) -> int:
    """Prints the chain behind a number; returns non-zero where a link of it does not hold."""
    config = build_config(ExplainConfig, raw)
    from zeroscale.eval.cards import registry
    from zeroscale.provenance import explain

    def card_hash(name: str, protocol: str) -> str:
        """The hash of the card as it stands in this checkout."""
        (card,) = registry.resolve([name])
        return card.hash(protocol)

    lineage = explain.explain(Path(config.study), config.cell, config.metric, config.step, card_hash)
    print(lineage.text())
    return 0 if lineage.holds else 1
