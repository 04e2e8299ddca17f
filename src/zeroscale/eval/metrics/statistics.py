"""What each example adds to a score, and how sums of it become the score: BLEU, ROUGE, CoQA's F1, ratios.

Kept apart from `metrics` so that they can be used without the (slow) import of `evaluate`.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

BLEU_ORDER = 4
_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_PUNCTUATION = frozenset(string.punctuation)


def bleu_statistics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[np.ndarray, str]:
    """Per segment [n, 10]: length, closest reference's length, matching and all n-grams of orders 1 to 4;
    and sacrebleu's signature."""
    import sacrebleu

    # effective_order changes a segment's score only, not these counts; without it sacrebleu warns each time.
    counter = sacrebleu.BLEU(effective_order=True)
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        score = counter.sentence_score(prediction, list(reference))
        rows.append([score.sys_len, score.ref_len, *score.counts, *score.totals])
    corpus = sacrebleu.BLEU()
    corpus.corpus_score([predictions[0]], [[text] for text in references[0]])
    return np.array(rows, dtype=np.float64).reshape(-1, 2 + 2 * BLEU_ORDER), str(corpus.get_signature())


def bleu(sums: np.ndarray) -> np.ndarray:
    """Corpus BLEU (0 to 100) from sums [..., 10], with sacrebleu's default exponential smoothing.

    Source: Papineni et al. 2002; smoothing method 3 of Chen & Cherry 2014, as in sacrebleu's `compute_bleu`.
    """
    sums = np.asarray(sums, dtype=np.float64)
    length, reference = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2 : 2 + BLEU_ORDER], sums[..., 2 + BLEU_ORDER :]
    zeros = np.cumsum((matches == 0) & (totals > 0), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.where(matches > 0, matches / totals, 1.0 / (2.0**zeros * totals))
        brevity = np.where(length < reference, np.exp(1 - reference / np.maximum(length, 1e-9)), 1.0)
        score = 100 * brevity * np.exp(np.log(precisions).mean(axis=-1))
    possible = (matches > 0).any(axis=-1) & (totals > 0).all(axis=-1)
    return np.where(possible, score, 0.0)


def rouge_statistics(
    predictions: Sequence[str], references: Sequence[str], summary_level: bool, stemmer: bool
) -> np.ndarray:
    """Per example [n, 4]: F1 of ROUGE-1, ROUGE-2, ROUGE-L, and 1.

    Both sides hold a sentence a line: rouge-score's own splitting would download a model. Summary-level ROUGE-L
    (`rougeLsum`) is what ROUGE-1.5.5 reported and what the tables of that time hold.
    """
    from absl import logging
    from rouge_score import rouge_scorer

    logging.set_verbosity(logging.WARNING)  # else it reports its tokenizer for each scorer
    longest = "rougeLsum" if summary_level else "rougeL"
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", longest], use_stemmer=stemmer)
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        scores = scorer.score(reference, prediction)
        rows.append([*(scores[kind].fmeasure for kind in ("rouge1", "rouge2", longest)), 1.0])
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def normalise_answer(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces: CoQA's (and SQuAD's) official normalisation."""
    text = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def answer_f1(prediction: str, reference: str) -> float:
    """F1 over the normalised words; if one side has none, 1 when both have none, else 0."""
    predicted_words, reference_words = normalise_answer(prediction).split(), normalise_answer(reference).split()
    if not predicted_words or not reference_words:
        return float(predicted_words == reference_words)
    common = sum((Counter(predicted_words) & Counter(reference_words)).values())
    if not common:
        return 0.0
    precision, recall = common / len(predicted_words), common / len(reference_words)
    return 2 * precision * recall / (precision + recall)


def coqa_turn(prediction: str, references: Sequence[str]) -> tuple[float, float]:
    """(F1, exact match) of one answer: the mean, over the ways to leave one reference out, of the best match among
    the others. So people, who were scored against the others' answers, and models stand on equal ground.

    Source: CoQA's official evaluation script.
    """
    f1 = [answer_f1(prediction, reference) for reference in references]
    exact = [float(normalise_answer(prediction) == normalise_answer(reference)) for reference in references]
    return _leave_one_out(f1), _leave_one_out(exact)


def _leave_one_out(matches: list[float]) -> float:
    if len(matches) == 1:
        return matches[0]
    return sum(max(matches[:i] + matches[i + 1 :]) for i in range(len(matches))) / len(matches)


def coqa_statistics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Per turn [n, 3]: F1, exact match, and 1."""
    rows = [(*coqa_turn(text, list(answers)), 1.0) for text, answers in zip(predictions, references, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)
