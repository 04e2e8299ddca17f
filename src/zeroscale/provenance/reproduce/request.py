"""The request for a reproduction, its inputs and its result."""

from dataclasses import dataclass, field
from pathlib import Path

from zeroscale.config.train import TrainConfig
from zeroscale.data.corpus import Corpus
from zeroscale.launch import launcher
from zeroscale.provenance.compare_runs import Agreement, Verdict
from zeroscale.runs.manifest import Manifest


@dataclass(frozen=True)
class ReproduceRequest:
    """How runs are reproduced."""

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
    """The result for one run."""

    run: Path
    verdict: Verdict = "not compared"
    directory: Path | None = None
    until: int | None = None
    """The last step that is compared."""
    parts: dict[str, Agreement] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """Why the verdict is not bit-identical, in a line."""
        deviations = [part.first.words for part in self.parts.values() if part.first is not None]
        return "; ".join([*self.notes, *deviations[:1]])


@dataclass(frozen=True)
class Inputs:
    """All that training and scoring again needs. `corpus` is None where it cannot be trained here."""

    config: TrainConfig
    corpus: "Corpus | None"
    placement: launcher.Placement
    threads: int
    facts: Manifest
    """The manifest as it would be written here; {} where it cannot be trained here."""
    data_dir: str | None
    missing: list[str]
    """What cannot be compared because its data are missing, in words."""
