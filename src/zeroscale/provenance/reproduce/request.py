"""What a reproduction is asked for, what it needs, and what came of it."""

from dataclasses import dataclass, field
from pathlib import Path

from zeroscale.config.train import TrainConfig
from zeroscale.data.corpus import Corpus
from zeroscale.launch import launcher
from zeroscale.provenance.compare_runs import Agreement, Verdict
from zeroscale.runs.results import Json


@dataclass(frozen=True)
class ReproduceRequest:
    """How runs are to be made again."""

    out: Path
    steps: int | None = None
    """Stop after so many; None: the whole run."""
    tolerance: float = 0.01
    data_dir: str | None = None
    """Where the benchmarks' files are here; None: where they were."""
    data_path: str | None = None
    """Where the corpus' files are here; None: where they were."""
    prepare_corpus: bool = False
    """Make the corpus again even where it is at hand."""


@dataclass
class Reproduction:
    """What came of one run."""

    run: Path
    verdict: Verdict = "not compared"
    directory: Path | None = None
    until: int | None = None
    """The last step that was to be compared."""
    parts: dict[str, Agreement] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """Why it is no better than it is, in a line."""
        found = [part.first.words for part in self.parts.values() if part.first is not None]
        return "; ".join([*self.notes, *found[:1]])


@dataclass(frozen=True)
class Inputs:
    """All that training and scoring again needs. `tokens` is None where it cannot be trained here."""

    settings: TrainConfig
    tokens: "Corpus | None"
    place: launcher.Placement
    threads: int
    facts: Json
    """The manifest as it would be written here; {} where it cannot be trained here."""
    data_dir: str | None
    lacking: list[str]
    """What cannot be compared for want of its data, in words."""
