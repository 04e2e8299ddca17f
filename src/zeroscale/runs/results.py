"""The results of a run's checkpoints, as evals/ holds them."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json
from zeroscale.runs.run import Run

# A card's own protocols carry its plain name; another protocol's columns say so: "lambada.lm-eval/acc".
PLAIN_PROTOCOLS = ("paper", "corpus")
SUFFIXES = ("value", "low", "high", "n")


def recorded_steps(cell: Run) -> list[int]:
    """Steps that have a checkpoint or a result, in order."""
    checkpoints = cell.directory.glob("checkpoints/step-*")
    scored = {path.parent for path in cell.directory.glob("evals/step-*/*.json")}
    found = (re.fullmatch(r"step-(\d+)", path.name) for path in [*checkpoints, *scored] if path.is_dir())
    return sorted({int(match[1]) for match in found if match})


def read_results(cell: Run, step: int) -> list[dict[str, Any]]:
    """The results of the cards scored at a step, in order of file name."""
    results = []
    for path in sorted(cell.directory.glob(f"evals/step-{step:08d}/[!.]*.json")):
        result = read_json(path)
        if not isinstance(result, dict) or not isinstance(result.get("metrics"), dict) or "card" not in result:
            raise ZeroscaleError(f"{path} is not a result: it needs 'card' and 'metrics'. Score the checkpoint again")
        results.append(result)
    return results


def scored_steps(cell: Path) -> dict[int, int]:
    """How many results each scored checkpoint has, in order of steps."""
    found = Counter(int(path.parent.name.partition("-")[2]) for path in (cell / "evals").glob("step-*/[!.]*.json"))
    return dict(sorted(found.items()))


def scores_of(folder: Path) -> dict[str, float]:
    """`lambada/acc`, `lambada/acc/low`, `…/high`, `…/n` of every card in a folder evals/step-…

    A damaged file is passed over: the report says so, a run does not stop for it.
    """
    scores: dict[str, float] = {}
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            result = read_json(path)
            protocol = result.get("protocol", "paper")
            card = result["card"] if protocol in PLAIN_PROTOCOLS else f"{result['card']}.{protocol}"
            for name, metric in result["metrics"].items():
                for suffix in SUFFIXES:
                    if metric.get(suffix) is not None:
                        scores[f"{card}/{name}" if suffix == "value" else f"{card}/{name}/{suffix}"] = metric[suffix]
        except (ZeroscaleError, KeyError, AttributeError):
            continue
    return scores


Json = dict[str, Any]
# Beside the scores of a checkpoint that is no run: where it is from, and its weights' sha256.
ORIGIN = "source.json"


@dataclass(frozen=True)
class ResultFile:
    """A result's file and its content, read as JSON."""

    step: int
    path: Path
    content: Json

    @property
    def name(self) -> str:
        """CARD.PROTOCOL."""
        return self.path.stem

    @property
    def records(self) -> Path:
        """Its row per example."""
        return self.path.with_name(f"{self.name}.examples.parquet")


def results_of(directory: Path) -> list[ResultFile]:
    """Every result of a run, by step and name.

    Raises:
        ZeroscaleError: a file that is none.
    """
    folders = sorted(directory.glob("evals/step-" + "[0-9]" * 8))
    return [one for folder in folders for one in results_in(folder, int(folder.name.removeprefix("step-")))]


def results_in(folder: Path, step: int = 0) -> list[ResultFile]:
    """The results in one folder; those of a checkpoint that is no run's belong to no step."""
    found = []
    for path in sorted(folder.glob("[!.]*.json")):
        content = read_json(path)
        if not isinstance(content, dict) or not isinstance(content.get("metrics"), dict):
            raise ZeroscaleError(f"{path} is not a result: it has no metrics. Score the checkpoint again")
        found.append(ResultFile(step, path, content))
    return found


def is_foreign(directory: Path) -> bool:
    """Whether it is outputs/eval/NAME: the scores of a checkpoint that is no run, and what they are of."""
    return (directory / ORIGIN).is_file() and not (directory / "config.yaml").is_file()
