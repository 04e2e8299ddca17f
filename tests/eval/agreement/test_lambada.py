"""`protocol: lm-eval` of LAMBADA beside lambada_openai: its code, its model class, the same weights and rows."""

import math
from pathlib import Path

import pytest
from support import lm_eval_oracle as oracle

from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval.evaluate import score_cards


def made_rows() -> list[dict[str, str]]:
    """Passages with what real ones have: curly quotes, line breaks, double spaces, a long one, ends of their own."""
    rows = [{"text": oracle.made_text(seed, 12).strip()} for seed in range(24)]
    odd = [
        "“The cat,” she said, ‘sees  the  old  dog”",
        " the house is near\nthe small tree",
        "under the tree it was `` red '' and\n dog",
        "the dog finds\n\n the cat.\n",
        "naïve café — 猫 was 犬",
        oracle.made_text(99, 500).strip(),  # longer than the context: cut on the left
    ]
    return rows + [{"text": text} for text in odd]


@pytest.fixture(scope="module", params=["random", "trained"])
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> oracle.Twin:
    texts = [oracle.made_text(seed) for seed in range(100, 108)]
    tokenizer = Tokenizer.train_bpe(texts, 300)
    return oracle.twin(
        tmp_path_factory.mktemp("twin"), tokenizer, texts if request.param == "trained" else (), n_positions=256
    )


def compare(twin: oracle.Twin, file: Path, folder: Path, limit: int | None = None) -> oracle.Theirs:
    theirs = oracle.evaluate(twin, "lambada_openai", {"test": file}, folder / "theirs", limit=limit)
    result, records = oracle.score(twin, "lambada", file.parent, folder / "ours", limit=limit)
    assert len(records) == len(theirs.samples) > 0
    for row, (answer,) in zip(records, theirs.responses, strict=True):
        logprob, greedy = answer
        assert row["logprob"] == pytest.approx(logprob, abs=1e-4)
        assert row["right"] == greedy
    assert result.metrics["acc"].value == theirs.scores["acc"]
    assert result.metrics["perplexity"].value == pytest.approx(theirs.scores["perplexity"], rel=1e-5)
    assert set(result.metrics) == {"perplexity", "acc", "acc_last_token"}
    return theirs


def test_log_likelihoods_accuracy_and_perplexity_are_lm_evals(twin: oracle.Twin, tmp_path: Path) -> None:
    file = oracle.write_rows(tmp_path / "lambada_test.jsonl", made_rows())
    compare(twin, file, tmp_path)


def test_what_is_cut_is_counted(twin: oracle.Twin, tmp_path: Path) -> None:
    oracle.write_rows(tmp_path / "lambada_test.jsonl", made_rows())
    result, records = oracle.score(twin, "lambada", tmp_path, tmp_path / "ours")
    assert result.truncated == 1
    assert records[-1]["truncated"] == result.truncated_tokens > 256


def test_a_trained_model_is_right_now_and_then(tmp_path: Path) -> None:
    # Else equal accuracies would say nothing.
    texts = ["the dog sees the cat and the cat sees the dog.\n" * 40]
    twin = oracle.twin(tmp_path / "twin", Tokenizer.train_bpe(texts, 270), texts, n_positions=64)
    rows = [{"text": f"the {a} sees the {b}"} for a in ("dog", "cat") for b in ("dog", "cat", "house")]
    theirs = compare(twin, oracle.write_rows(tmp_path / "lambada_test.jsonl", rows), tmp_path)
    assert 0 < theirs.scores["acc"] < 1


def test_the_papers_protocol_is_another(twin: oracle.Twin, tmp_path: Path) -> None:
    oracle.write_rows(tmp_path / "lambada_test.jsonl", made_rows())
    ours = [oracle.score(twin, "lambada", tmp_path, tmp_path / "ours", protocol=name) for name in ("paper", "lm-eval")]
    assert ours[0][0].metrics["perplexity"].value != ours[1][0].metrics["perplexity"].value
    assert ours[0][1][0]["context"].startswith("\n") and not ours[1][1][0]["context"].startswith("\n")


def test_real_passages_agree(data: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(data / "gpt2_tokenizer")
    file = data / "lambada" / "lambada_test.jsonl"
    twin = oracle.twin(tmp_path / "twin", tokenizer, n_positions=1024)
    theirs = compare(twin, file, tmp_path, limit=150)
    assert math.isfinite(theirs.scores["perplexity"])


@pytest.mark.slow
def test_every_real_passage_is_asked_as_lm_eval_asks_it(data: Path, tmp_path: Path) -> None:
    """All 5,153 requests, token by token, without a model."""
    tokenizer = Tokenizer.load(data / "gpt2_tokenizer")
    file = data / "lambada" / "lambada_test.jsonl"
    twin = oracle.twin(tmp_path / "twin", tokenizer, n_positions=1024, d_model=4)
    task = oracle.load("lambada_openai", {"test": file}, tmp_path / "theirs")
    examples, requests = oracle.requests(twin, "lambada", file.parent)
    assert len(examples) == len(task.eval_docs) == 5153
    for request, doc in zip(requests, task.eval_docs, strict=True):
        pair = twin.lm._encode_pair(task.doc_to_text(doc), task.doc_to_target(doc))
        assert (list(request[0].context), list(request[0].target)) == pair


def test_the_command_scores_by_lm_evals_protocol(tmp_path: Path, twin: oracle.Twin) -> None:
    (result,) = score_cards(
        twin.model,
        twin.tokenizer,
        ["lambada"],
        source="sample",
        data_dir=None,
        out=tmp_path,
        weights_hash="w",
        protocol="lm-eval",
    )
    assert result.protocol == "lm-eval"
    assert result.assumptions == []
