"""Held-out text: sums equal a direct computation, words and bytes are exact, validation and results agree."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval import results
from zeroscale.eval.held_out import HeldOutText, held_out, score_held_out
from zeroscale.model.config import GPTConfig
from zeroscale.model.gpt import GPT

TEXT = "It was the best of times,\nit was the worst of times. Ça va? " * 6


def ids(tokenizer: Tokenizer, *texts: str) -> np.ndarray:
    return np.array([token for text in texts for token in (*tokenizer.encode(text), tokenizer.eos)], dtype=np.uint16)


def test_loss_equals_the_direct_computation(model: GPT, tokenizer: Tokenizer) -> None:
    tokens = ids(tokenizer, TEXT)
    sums = held_out(model, tokens, tokenizer, 50, batch_tokens=120)
    nll = []
    with torch.no_grad():
        for begin in range(0, len(tokens) - 1, 50):
            part = torch.tensor(tokens[begin : begin + 51].astype(np.int64))[None]
            scores = model(part[:, :-1]).log_softmax(-1)
            nll.append(-scores.gather(2, part[:, 1:, None]).sum().item())
    np.testing.assert_allclose(sums.nll, nll, rtol=1e-5)
    assert sums.tokens.sum() == len(tokens) - 1
    assert sums.loss == pytest.approx(sum(nll) / (len(tokens) - 1), rel=1e-6)


@pytest.mark.parametrize("context", [1, 7, 50, 10_000])
def test_words_and_bytes_are_those_of_the_text_whatever_the_windows(tokenizer: Tokenizer, context: int) -> None:
    # The first token is context only: here it is an end of text, so that all of both texts is scored.
    tokens = np.concatenate([[tokenizer.eos], ids(tokenizer, TEXT, "one more document")])
    text = HeldOutText(tokens, tokenizer, context)
    assert text.words.sum() == len(TEXT.split()) + 3
    assert text.bytes.sum() == len(TEXT.encode()) + len(b"one more document")
    assert text.tokens.sum() == len(tokens) - 1


def test_words_with_a_trained_vocabulary() -> None:
    bpe = Tokenizer.train_bpe([TEXT], 270)
    tokens = np.concatenate([[bpe.eos], ids(bpe, TEXT)])
    for context in (3, 16):
        assert HeldOutText(tokens, bpe, context).words.sum() == len(TEXT.split())


def test_scores_follow_from_the_sums(model: GPT, tokenizer: Tokenizer) -> None:
    sums = held_out(model, ids(tokenizer, TEXT), tokenizer, 64)
    assert sums.bits_per_byte == pytest.approx(sums.nll.sum() / math.log(2) / sums.bytes.sum())
    assert sums.word_perplexity == pytest.approx(math.exp(sums.nll.sum() / sums.words.sum()))


def test_validation_and_the_final_result_are_one_number(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    text = HeldOutText(ids(tokenizer, TEXT), tokenizer, 32)
    during = text.measure(model)
    final = score_held_out(text, model, out=tmp_path, weights_hash="w", corpus="c")
    assert final.metrics["loss"].value == pytest.approx(during["val/loss"], rel=1e-12)
    assert final.metrics["bits_per_byte"].value == pytest.approx(during["val/bits_per_byte"], rel=1e-12)
    for score in final.metrics.values():
        assert score.low < score.value < score.high
        assert score.n == len(text.inputs)
    assert len(results.read_records(tmp_path, "held_out", "corpus")) == len(text.inputs)


def test_it_draws_no_random_number_and_leaves_the_mode(tokenizer: Tokenizer) -> None:
    gpt = GPT(GPTConfig(vocab_size=257, n_positions=32, n_layer=1, d_model=8, n_head=1, dropout=0.5)).train()
    text = HeldOutText(ids(tokenizer, TEXT), tokenizer, 32)
    before = torch.get_rng_state()
    assert text.measure(gpt) == text.measure(gpt)
    assert torch.equal(before, torch.get_rng_state())
    assert gpt.training


def test_too_little_text_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ZeroscaleError, match="at least 2"):
        HeldOutText(np.array([3]), tokenizer, 8)
