"""Architectures that are not GPT-2's, beside what transformers computes of them by itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import END_OF_TEXT, Tokenizer
from zeroscale.eval import hf_adapter
from zeroscale.eval.engine.engine import Engine
from zeroscale.eval.engine.requests import (
    GenerateResult,
    GenerateUntil,
    LogLikelihood,
    LogLikelihoodResult,
    RollingLogLikelihood,
    Stop,
)

transformers = pytest.importorskip("transformers")

TEXTS = ["The cat sat on the mat", " and then it ran away.", "naïve 🤖\n", "one"]


def saved(kind: str, directory: Path) -> Path:
    """A model with random weights, wide enough that its logits differ, and a tokenizer of bytes."""
    torch.manual_seed(0)
    ids = {"bos_token_id": 256, "eos_token_id": 256}
    shape = {"vocab_size": 257, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, **ids}
    configs = {
        "gpt_neox": lambda: transformers.GPTNeoXConfig(
            **shape, max_position_embeddings=64, intermediate_size=64, initializer_range=0.3
        ),
        "opt": lambda: transformers.OPTConfig(
            **shape, max_position_embeddings=64, ffn_dim=64, word_embed_proj_dim=16, init_std=0.3, pad_token_id=1
        ),
        # Caps its logits after the head. The padding token's embedding, and so its logits, are zeros with and without.
        "gemma2": lambda: transformers.Gemma2Config(
            **shape,
            max_position_embeddings=64,
            intermediate_size=64,
            num_key_value_heads=1,
            head_dim=16,
            initializer_range=0.3,
            final_logit_softcapping=2.0,
            pad_token_id=0,
        ),
    }
    model = transformers.AutoModelForCausalLM.from_config(configs[kind]())
    model.save_pretrained(directory)
    Tokenizer.bytes().save(directory)
    return directory


@pytest.fixture(scope="module", params=["gpt_neox", "opt", "gemma2"])
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def directory(kind, tmp_path_factory) -> Path:
    return saved(kind, tmp_path_factory.mktemp(kind))


@pytest.fixture(scope="module")
def theirs(directory):
    return transformers.AutoModelForCausalLM.from_pretrained(directory).float().eval()


@pytest.fixture(scope="module")
def engine(directory) -> Engine:
    return Engine(*hf_adapter.load(directory), batch_tokens=256)


def logprobs(model, tokens: list[int]) -> np.ndarray:
    """Log-probability of each token but the first, one text at a time, by transformers alone."""
    with torch.no_grad():
        found = model(torch.tensor([tokens])).logits[0, :-1].log_softmax(-1)
    return found[torch.arange(len(tokens) - 1), tokens[1:]].numpy()


def test_the_head_is_computed_apart_only_where_logits_are_nothing_more(engine, kind):
    assert engine.model.split == (kind != "gemma2")


@pytest.mark.parametrize("weight", [1.0, 1e-3, 0.0])
def test_a_scale_after_the_head_is_seen_whatever_the_weights_are(weight):
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    for pad in (0, 1, None):
        cohere = transformers.CohereConfig(
            vocab_size=40, max_position_embeddings=64, num_key_value_heads=2, logit_scale=0.5, pad_token_id=pad, **shape
        )
        torch.manual_seed(0)
        model = transformers.CohereForCausalLM(cohere).eval()
        with torch.no_grad():
            model.get_input_embeddings().weight.mul_(weight)
        ids = torch.arange(20)[None]
        ours = hf_adapter.TransformersModel(model, "here")
        with torch.inference_mode():
            torch.testing.assert_close(ours(ids), model(ids).logits)
        assert not ours.split


def test_log_likelihoods_are_transformers_own(engine, theirs):
    context, *endings = [tuple(engine.tokenizer.encode(text)) for text in TEXTS]
    requests = [LogLikelihood(context, ending) for ending in endings]  # one context, computed once
    requests += [LogLikelihood(ending, context[:5]) for ending in endings]
    for request, answer in zip(requests, engine.run(requests), strict=True):
        assert isinstance(answer, LogLikelihoodResult)
        whole = logprobs(theirs, [*request.context, *request.target])
        np.testing.assert_allclose(answer.logprobs, whole[-len(request.target) :], atol=2e-5)
    (stream,) = engine.run([RollingLogLikelihood(context * 2, 64, 64, engine.tokenizer.eos)])
    np.testing.assert_allclose(stream.logprobs, logprobs(theirs, [engine.tokenizer.eos, *context, *context]), atol=2e-5)


def test_greedy_generation_is_transformers_own(engine, theirs):
    prompts = [engine.tokenizer.encode(text) for text in TEXTS]  # of four lengths: padded in one batch
    answers = engine.run([GenerateUntil(tuple(prompt), 12, Stop("never")) for prompt in prompts])
    for prompt, answer in zip(prompts, answers, strict=True):
        assert isinstance(answer, GenerateResult)
        tokens = torch.tensor([prompt])
        settings = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": 256, "pad_token_id": 256}
        expected = theirs.generate(tokens, attention_mask=torch.ones_like(tokens), **settings)[0, len(prompt) :]
        expected = expected.tolist()
        assert list(answer.tokens) == expected[: expected.index(256) if 256 in expected else None]


def test_a_card_is_scored_by_the_command(zeroscale, directory, kind, tmp_path):
    done = zeroscale("eval", f"checkpoint={directory}", "cards=[lambada,coqa]", "cards_from=sample", "limit=4")
    assert directory.name in done.stdout
    assert len(list(tmp_path.glob(f"outputs/eval/{directory.name}-*/evals/*.paper.json"))) == 2


def test_it_is_sampled_by_the_command_as_transformers_generates(zeroscale, directory, theirs):
    done = zeroscale("sample", f"checkpoint={directory}", "prompt=The cat", "max_new_tokens=12", "temperature=0")
    assert done.returncode == 0, done.stderr
    ids = torch.tensor([list(b"The cat")])
    settings = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": 256, "pad_token_id": 256}
    expected = theirs.generate(ids, attention_mask=torch.ones_like(ids), **settings)[0, 7:].tolist()
    expected = bytes(expected[: expected.index(256) if 256 in expected else None])
    assert expected
    assert done.stdout == expected.decode("utf-8", "replace") + "\n"


def test_the_tokenizer_is_ours_to_the_last_byte(directory):
    _, tokenizer = hf_adapter.load(directory)
    ours = Tokenizer.bytes()
    texts = [*TEXTS, f"a{END_OF_TEXT}b", "", "\ud83d\ude00"]
    ids = tokenizer.encode_batch(texts)
    assert ids == ours.encode_batch(texts) and [tokenizer.decode(one) for one in ids[:4]] == TEXTS
    assert tokenizer.token_byte_lengths().tolist() == ours.token_byte_lengths().tolist()
    assert (tokenizer.eos, tokenizer.vocab_size) == (ours.eos, ours.vocab_size)


def test_without_transformers_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt_neox"}))
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ZeroscaleError, match=r"'gpt_neox', not gpt2; .* pip install 'zeroscale\[hf\]'"):
        hf_adapter.load(tmp_path)


def test_what_transformers_does_not_know_is_said(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nobody_knows"}))
    with pytest.raises(ZeroscaleError, match="cannot load this nobody_knows model"):
        hf_adapter.load(tmp_path)
