"""Held-out text: loss per token, perplexity per word, bits per byte; for validation while training, and as a result."""

import math
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.data.corpus import Corpus
from zeroscale.eval import rescore, results, scores
from zeroscale.eval.load import params_non_embedding
from zeroscale.eval.results import Key, Result
from zeroscale.eval.scores import MetricInfo

if TYPE_CHECKING:
    from zeroscale.data.tokenizer import Tokenizer
    from zeroscale.model.gpt import GPT


@dataclass(frozen=True)
class HeldOut:
    """Sums over each window, all [windows]: nats, scored tokens, their bytes, the words that begin in it."""

    nll: np.ndarray
    tokens: np.ndarray
    bytes: np.ndarray
    words: np.ndarray

    @property
    def loss(self) -> float:
        """Nats per token."""
        return float(self.nll.sum() / self.tokens.sum())

    @property
    def bits_per_byte(self) -> float:
        return float(self.nll.sum() / (math.log(2) * self.bytes.sum()))

    @property
    def word_perplexity(self) -> float:
        exponent = self.nll.sum() / self.words.sum()
        return float(math.exp(exponent)) if exponent < 700 else math.inf


class HeldOutText:
    """A slice of tokens cut into windows once, to be scored by many models of one context length.

    Windows of `context` inputs do not overlap; each token but the first of the slice is scored once, and the last
    window may be shorter. Bytes and words are counted here, so that scoring decodes nothing.
    """

    def __init__(self, tokens: np.ndarray, tokenizer: "Tokenizer", context: int) -> None:
        if len(tokens) < 2:
            raise ZeroscaleError(f"held-out text of {len(tokens)} tokens: at least 2 are needed to score one")
        tokens = np.asarray(tokens, dtype=np.int64)
        windows = math.ceil((len(tokens) - 1) / context)
        padded = np.zeros((2, windows * context), dtype=np.int64)
        padded[0, : len(tokens) - 1] = tokens[:-1]
        padded[1, : len(tokens) - 1] = tokens[1:]
        padded[1, len(tokens) - 1 :] = -100
        self.inputs, self.targets = padded.reshape(2, windows, context)
        """[windows, context]; targets are -100 in the padding."""
        counted = self.targets >= 0
        lengths = tokenizer.token_byte_lengths()[np.where(counted, self.targets, 0)]
        self.tokens = counted.sum(axis=1)
        self.bytes = np.where(counted, lengths, 0).sum(axis=1)
        self.words = _words(tokens, tokenizer, context)
        self.context = context
        self.tokenizer_hash = tokenizer.fingerprint

    def measure(self, model: "GPT", batch_tokens: int = 8192) -> dict[str, float]:
        """`score` in the names of a training log."""
        sums = self.score(model, batch_tokens)
        return {"val/loss": sums.loss, "val/bits_per_byte": sums.bits_per_byte}

    def score(self, model: "GPT", batch_tokens: int = 8192) -> HeldOut:
        """Sums over each window for this model. Draws no random number; leaves the model's mode as it was.

        Runs in the caller's autocast, if any.
        """
        import torch

        device = next(model.parameters()).device
        rows = max(1, batch_tokens // self.context)
        sums = []
        training = model.training
        model.eval()
        try:
            with torch.inference_mode():
                for begin in range(0, len(self.inputs), rows):
                    inputs = torch.from_numpy(self.inputs[begin : begin + rows]).to(device)
                    targets = torch.from_numpy(self.targets[begin : begin + rows]).to(device)
                    sums.append(model.loss(inputs, targets, reduction="none").double().sum(dim=1))
        finally:
            model.train(training)
        nll = torch.cat(sums).cpu().numpy()
        return HeldOut(nll, self.tokens, self.bytes, self.words)


def held_out(
    model: "GPT", tokens: np.ndarray, tokenizer: "Tokenizer", context: int, batch_tokens: int = 8192
) -> HeldOut:
    """`HeldOutText(…).score(model)`, for a single use."""
    return HeldOutText(tokens, tokenizer, context).score(model, batch_tokens)


def _words(tokens: np.ndarray, tokenizer: "Tokenizer", context: int) -> np.ndarray:
    """Words (runs without white space) of the scored text, each counted in the window where it begins.

    The end of text parts words as white space does. A word that began in the unscored first token is not counted.
    """
    counts = []
    before = _text(tokens[:1], tokenizer)
    for begin in range(1, len(tokens), context):
        text = _text(tokens[begin : begin + context], tokenizer)
        continues = bool(before) and not before[-1].isspace() and bool(text) and not text[0].isspace()
        counts.append(len(text.split()) - continues)
        before = text or before
    return np.array(counts, dtype=np.int64)


def _text(tokens: np.ndarray, tokenizer: "Tokenizer") -> str:
    """The text of tokens, a line break for each end of text."""
    edges = np.flatnonzero(tokens == tokenizer.eos)
    return "\n".join(tokenizer.decode(part[part != tokenizer.eos].tolist()) for part in np.split(tokens, edges))


def held_out_text(config: TrainConfig, tokens: Corpus) -> HeldOutText:
    """The fixed slice of text that is never trained on and that every validation reads."""
    text = tokens.val_tokens()[: config.trainer.val_tokens + 1]
    return HeldOutText(text, tokens.tokenizer, config.context)


def score_held_out(
    text: HeldOutText,
    model: "GPT",
    *,
    out: Path,
    weights_hash: str,
    corpus: str,
    seed: int = 0,
    bootstrap: int = 1000,
    batch_tokens: int = 8192,
) -> Result:
    """Held-out loss, perplexity per word and bits per byte with intervals, as the card `held_out`, protocol `corpus`.

    The clusters of the bootstrap are the windows. `corpus` is the corpus' fingerprint.
    """
    key = Key(
        card=scores.HELD_OUT,
        protocol="corpus",
        source="corpus",
        card_hash=sha256_json({"context": text.context, "tokens": int(text.tokens.sum())}),
        data_hash=corpus,
        weights_hash=weights_hash,
        tokenizer=text.tokenizer_hash,
        limit=None,
        seed=0,  # nothing is drawn while asking
        interval_seed=seed,
        bootstrap=bootstrap,
    )
    if found := results.answered(out, key):
        finished, folder = found
        return finished if finished.key == key else rescore.renew(folder, finished, seed, bootstrap)
    started = time.monotonic()
    sums = text.score(model, batch_tokens)
    if not np.isfinite(sums.nll).all():
        raise ZeroscaleError("held-out text: the loss is not finite; the weights hold NaN or infinite numbers")
    rows = [
        {
            "id": i,
            "unit": i,
            "content": sha256(text.targets[i].tobytes()).hexdigest()[:16],
            **{name: getattr(sums, name)[i].item() for name in ("nll", "tokens", "bytes", "words")},
        }
        for i in range(len(sums.nll))
    ]
    measured = scores.compute_metrics(scores.HELD_OUT, {}, rows)
    metrics = {name: MetricInfo(False, None) for part in measured for name in part.scores}
    scored = scores.score(measured, metrics, "windows", seed, bootstrap)
    totals = {name: int(getattr(sums, name).sum()) for name in ("tokens", "bytes", "words")}
    result = Result(
        key=key,
        metrics=scored.metrics,
        n=len(rows),
        unit="windows",
        family=scores.HELD_OUT,
        seconds=time.monotonic() - started,
        notes=scored.notes,
        interval_notes=scored.notes,
        extra={"context": text.context, **totals},
        params_non_embedding=params_non_embedding(model),
    )
    return results.write(out, result, scores.with_scores(rows, measured))
