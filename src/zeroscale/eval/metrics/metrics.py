"""The metrics as `evaluate.Metric` classes, each of which can also say what every example contributed.

`evaluate.load` downloads code; these come with the package. Each keeps its data in memory and has an experiment id
of its own, for else concurrent processes meet at a lock in the user's cache.
Import this module late: it takes a second.
"""

import importlib.util
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zeroscale.eval.metrics import statistics


def _import_evaluate() -> Any:
    """Imports evaluate without the transformers that it would pull in for its pipelines (3 s, 300 MB, never used here).

    evaluate treats transformers as optional; a None in sys.modules is Python's own way to say "not installed".
    """
    hidden = "transformers" not in sys.modules and importlib.util.find_spec("transformers") is not None
    if hidden:
        sys.modules["transformers"] = None  # type: ignore[assignment]
    try:
        import evaluate
    finally:
        if hidden:
            del sys.modules["transformers"]
    return evaluate


evaluate = _import_evaluate()
from datasets import Features, Value  # noqa: E402  (evaluate's own dependency; it loads all of it)
from datasets import Sequence as Several  # noqa: E402


@dataclass(frozen=True)
class Measured:
    """Scores of one metric over all examples, with what each example contributed: all that an interval needs."""

    metric: "ExampleMetric"
    scores: dict[str, float]
    statistics: np.ndarray
    """[examples, k]"""
    clusters: np.ndarray
    """int [examples]: the cluster of each example in the bootstrap."""


class ExampleMetric(evaluate.Metric):  # type: ignore[misc, name-defined]
    """A metric that is a function of sums over examples: `values(statistics(…).sum(0))`."""

    features: Features
    about: str
    bounds: tuple[float, float] | None = None
    """The least and the greatest value, where there are such: they tell an interval where all examples agree."""

    def __init__(self) -> None:
        self._statistics = np.zeros((0, 0))
        super().__init__(keep_in_memory=True, experiment_id=uuid.uuid4().hex, seed=0)

    def _build_data_dir(self) -> str:
        return tempfile.gettempdir()  # nothing is written; the base class would make a folder in the user's cache

    def _info(self) -> Any:
        return evaluate.MetricInfo(
            description=self.about, citation="", inputs_description=self.about, features=type(self).features
        )

    # A metric says itself what its predictions and references are: numbers, texts, or lists of texts.
    def statistics(self, predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
        """[n, k]: what each example contributes."""
        raise NotImplementedError

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums [..., k] → each score [...]."""
        raise NotImplementedError

    def _compute(self, predictions: Sequence[object], references: Sequence[object]) -> dict[str, float]:
        self._statistics = self.statistics(list(predictions), list(references))
        return {name: float(value) for name, value in self.values(self._statistics.sum(axis=0)).items()}

    def measure(
        self,
        predictions: "Sequence[object] | np.ndarray",
        references: "Sequence[object] | np.ndarray",
        clusters: Sequence[int] | None = None,
    ) -> Measured:
        """`compute`, and what it was computed from. An example is its own cluster unless `clusters` says otherwise."""
        scores = self.compute(predictions=list(predictions), references=list(references))
        numbers = np.arange(len(predictions)) if clusters is None else np.array(clusters)
        return Measured(self, scores, self._statistics, numbers)


class Accuracy(ExampleMetric):
    """The share of predictions that equal their reference, times `scale`."""

    features = Features({"predictions": Value("int64"), "references": Value("int64")})
    about = "Share of examples whose prediction equals the reference."
    bounds = (0.0, 1.0)

    def __init__(self, name: str = "acc") -> None:
        self.score_name = name
        super().__init__()

    def statistics(self, predictions: Sequence[int], references: Sequence[int]) -> np.ndarray:
        right = np.asarray(predictions) == np.asarray(references)
        return np.stack([right.astype(np.float64), np.ones(len(right))], axis=1)

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        return {self.score_name: sums[..., 0] / sums[..., 1]}


class AccuracyAmong(ExampleMetric):
    """The share of right predictions among some of the examples, each model's own choice of them.

    All examples are kept, with those that do not count as zeros: two models compare row by row, whatever
    each has chosen. No bounds: where all that count agree, the number of examples says nothing of how sure that is.
    """

    features = Features({"predictions": Value("int64"), "references": Value("int64")})
    about = "Share of right predictions (1 or 0) among the examples that count (references 1 or 0)."

    def __init__(self, name: str) -> None:
        self.score_name = name
        super().__init__()

    def statistics(self, predictions: Sequence[int], references: Sequence[int]) -> np.ndarray:
        counts = np.asarray(references, np.float64)
        return np.stack([np.asarray(predictions, np.float64) * counts, counts], axis=1)

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        return {self.score_name: sums[..., 0] / sums[..., 1]}


class _PerUnit(ExampleMetric):
    """Log-probability in nats (predictions) over counted units (references)."""

    features = Features({"predictions": Value("float64"), "references": Value("int64")})

    def __init__(self, name: str) -> None:
        self.score_name = name
        super().__init__()

    def statistics(self, predictions: Sequence[float], references: Sequence[int]) -> np.ndarray:
        return np.stack([np.asarray(predictions, np.float64), np.asarray(references, np.float64)], axis=1)


class Loss(_PerUnit):
    """Mean negative log-probability in nats."""

    about = "Negative log-probability (nats) per unit: predictions are log-probabilities, references counts of units."

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        return {self.score_name: -sums[..., 0] / sums[..., 1]}


class Perplexity(_PerUnit):
    """exp of the mean negative log-probability."""

    about = "exp(-log-probability / units): predictions are log-probabilities (nats), references counts of units."

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(over="ignore"):
            return {self.score_name: np.exp(-sums[..., 0] / sums[..., 1])}


class BitsPerByte(_PerUnit):
    """Mean negative log-probability in bits."""

    about = "-log2-probability per byte: predictions are log-probabilities (nats), references counts of bytes."

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        return {self.score_name: -sums[..., 0] / (sums[..., 1] * np.log(2.0))}


class Bleu(ExampleMetric):
    """Corpus BLEU by sacrebleu; `signature` says which."""

    features = Features({"predictions": Value("string"), "references": Several(Value("string"))})
    about = "Corpus BLEU (sacrebleu's defaults), 0 to 100."
    bounds = (0.0, 100.0)
    signature = ""

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        rows, self.signature = statistics.bleu_statistics(predictions, references)
        return rows

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        return {"bleu": statistics.bleu(sums)}


class Rouge(ExampleMetric):
    """ROUGE-1, -2, -L F1 by rouge-score and their mean, times 100 as tables print them."""

    features = Features({"predictions": Value("string"), "references": Value("string")})
    about = "ROUGE-1, ROUGE-2, ROUGE-L F1 (rouge-score) and their mean, 0 to 100."
    bounds = (0.0, 100.0)

    def __init__(self, summary_level: bool, stemmer: bool, before: str = "") -> None:
        """`before`: begins the scores' names, where a card has several texts to score."""
        self.summary_level = summary_level
        self.stemmer = stemmer
        self.before = before
        super().__init__()

    def statistics(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        return statistics.rouge_statistics(predictions, references, self.summary_level, self.stemmer)

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        means = 100 * sums[..., :3] / sums[..., 3:]
        names = ("rouge1", "rouge2", "rougeL")
        scores = {name: means[..., i] for i, name in enumerate(names)} | {"rouge_mean": means.mean(axis=-1)}
        return {self.before + name: score for name, score in scores.items()}


class CoqaScore(ExampleMetric):
    """CoQA's official F1 and exact match, times 100; every example must have all its references."""

    features = Features({"predictions": Value("string"), "references": Several(Value("string"))})
    about = "CoQA's F1 and exact match, leave-one-out over the references, 0 to 100."
    bounds = (0.0, 100.0)

    def statistics(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        return statistics.coqa_statistics(predictions, references)

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        return {"f1": 100 * sums[..., 0] / sums[..., 2], "em": 100 * sums[..., 1] / sums[..., 2]}
