"""chrF and TER by sacrebleu, as sums over segments, so that their intervals need no second pass over the texts.

Import this module late, as `metrics`.
"""

from collections.abc import Sequence

import numpy as np
from datasets import Features, Value

from zeroscale.eval.metrics.metrics import ExampleMetric

CHAR_ORDER = 6
BETA = 2


class ChrF(ExampleMetric):
    """Corpus chrF2 over character 1- to 6-grams without white space, sacrebleu's defaults (nc:6, nw:0, eff:yes)."""

    features = Features({"predictions": Value("string"), "references": Value("string")})
    about = "Corpus chrF (sacrebleu's defaults), 0 to 100."
    bounds = (0.0, 100.0)

    def statistics(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """[n, 18]: for each order the n-grams of the prediction, of the reference, and those they share."""
        from sacrebleu.metrics.helpers import extract_all_char_ngrams

        rows = []
        for texts in zip(predictions, references, strict=True):
            given, wanted = (extract_all_char_ngrams(text, CHAR_ORDER, False) for text in texts)
            # Where the reference has no n-gram of an order, the prediction's do not count (as sacrebleu has it).
            counts = [
                (sum(ours.values()) if theirs else 0, sum(theirs.values()), sum((ours & theirs).values()))
                for ours, theirs in zip(given, wanted, strict=True)
            ]
            rows.append([number for order in counts for number in order])
        return np.array(rows, dtype=np.float64).reshape(-1, 3 * CHAR_ORDER)

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Source: Popović 2015; orders that either side lacks are left out, as in sacrebleu's `_compute_f_score`."""
        given, wanted, shared = (np.asarray(sums, np.float64)[..., part::3] for part in range(3))
        orders = (given > 0) & (wanted > 0)
        n = np.maximum(orders.sum(axis=-1), 1)
        precision = np.where(orders, shared / np.maximum(given, 1), 0.0).sum(axis=-1) / n
        recall = np.where(orders, shared / np.maximum(wanted, 1), 0.0).sum(axis=-1) / n
        below = BETA**2 * precision + recall
        score = 100 * (1 + BETA**2) * precision * recall / np.where(below > 0, below, 1.0)
        return {"chrf": np.where(below > 0, score, 0.0)}


class TranslationEditRate(ExampleMetric):
    """Corpus TER: edits and shifts of words for each word of the reference, as sacrebleu's default (lower case)."""

    features = Features({"predictions": Value("string"), "references": Value("string")})
    about = "Corpus TER (sacrebleu's defaults), 0 for no edit, 100 for as many edits as the references have words."

    def statistics(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """[n, 2]: edits, words of the reference."""
        import sacrebleu

        counter = sacrebleu.TER()
        scores = [
            counter.sentence_score(text, [reference]) for text, reference in zip(predictions, references, strict=True)
        ]
        return np.array([(score.num_edits, score.ref_length) for score in scores], dtype=np.float64).reshape(-1, 2)

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        edits, words = np.asarray(sums, np.float64)[..., 0], np.asarray(sums, np.float64)[..., 1]
        return {"ter": 100 * np.where(words > 0, edits / np.maximum(words, 1), edits > 0)}
