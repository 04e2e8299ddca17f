"""What the paper, and others with the released weights, reported on a benchmark: out of the cards (evals/*.yaml)."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from zeroscale.beside import SIZES
from zeroscale.core import paths
from zeroscale.core.format import number

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Reported:
    """One number. `size` is one of `beside.SIZES`; `who` says in words whose it is, `source` where it stands."""

    metric: str
    size: str
    value: float
    who: str
    source: str
    paper: bool

    @property
    def params(self) -> float:
        """Of the model, without embeddings."""
        return float(SIZES[self.size])


@cache
def of(card: str) -> tuple[Reported, ...]:
    """All that a card reports of models; () for a card that is none of the shipped ones.

    Only these fields are read here: whether the card is valid is the harness's to say.
    """
    content = card_yaml(card)
    found = []
    for entry in content.get("paper") or []:
        for size in SIZES:
            if (value := number(entry.get(size))) is not None:
                told = (f"GPT-2 {size}, the paper", str(entry.get("source", "")), True)
                found.append(Reported(str(entry.get("metric")), size, value, *told))
    for entry in content.get("reproductions") or []:
        value, size = number(entry.get("value")), str(entry.get("size"))
        if value is not None and size in SIZES:
            who = f"GPT-2 {size}, {entry.get('how', 'measured by others')}"
            found.append(Reported(str(entry.get("metric")), size, value, who, str(entry.get("source", "")), False))
    return tuple(found)


@cache
def card_yaml(card: str) -> dict[str, Any]:
    """A shipped card's content; {} where there is none of that name."""
    import yaml

    path = paths.evals() / f"{card}.yaml"
    if not NAME.fullmatch(card) or not path.is_file():
        return {}
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return content if isinstance(content, dict) else {}
