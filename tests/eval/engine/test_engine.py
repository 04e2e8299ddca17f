"""The engine: equal to a direct computation over the whole vocabulary, in any order, at any batch size."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.tokenizer import Tokenizer
from zeroscale.eval.engine import loglikelihood, logprobs
from zeroscale.eval.engine import requests as rq
from zeroscale.eval.engine.engine import Engine
from zeroscale.eval.engine.generate import Stopping
from zeroscale.model import weights
from zeroscale.model.config import GPTConfig
from zeroscale.model.generation import continuous_batching, grouping
from zeroscale.model.gpt import GPT


def some_requests() -> list[rq.Request]:
    rng = random.Random(0)

    def tokens(low: int, high: int) -> tuple[int, ...]:
        return tuple(rng.randrange(256) for _ in range(rng.randint(low, high)))

    requests: list[rq.Request] = []
    for number in range(12):
        requests.append(rq.LogLikelihood(tokens(1, 200), tokens(1, 9), excluded=(5, 6, 7)))
        requests.append(rq.RollingLogLikelihood(tokens(2, 300), 64, 40, 256 if number % 2 else None))
        requests.append(
            rq.GenerateUntil(tokens(2, 100), 6, rq.Stop("never"), top_k=2 if number % 2 else None, seed=number)
        )
    return requests


def test_log_probabilities_equal_the_direct_computation(model: GPT, tokenizer: Tokenizer) -> None:
    context, target = tuple(b"\nThe cat sat on the"), tuple(b" mat")
    (answer,) = Engine(model, tokenizer).run([rq.LogLikelihood(context, target)])
    with torch.no_grad():
        full = model(torch.tensor([context + target])).log_softmax(-1)[0]
    places = range(len(context) - 1, len(context) + len(target) - 1)
    direct = [full[place, token].item() for place, token in zip(places, target, strict=True)]
    np.testing.assert_allclose(answer.logprobs, direct, atol=1e-5)
    assert answer.greedy.tolist() == [full[p].argmax().item() == t for p, t in zip(places, target, strict=True)]


def test_rolling_equals_the_direct_computation_window_by_window(model: GPT, tokenizer: Tokenizer) -> None:
    tokens = tuple(b"It was a bright cold day in April, and the clocks were striking thirteen.")
    (answer,) = Engine(model, tokenizer).run([rq.RollingLogLikelihood(tokens, 32, 32, tokenizer.eos)])
    stream = (tokenizer.eos, *tokens)
    direct: list[float] = []
    while len(direct) < len(tokens):
        end = min(len(direct) + 32, len(tokens))
        begin = max(0, end - 32)
        with torch.no_grad():
            scores = model(torch.tensor([stream[begin:end]])).log_softmax(-1)[0]
        direct += [scores[i - begin, stream[i + 1]].item() for i in range(len(direct), end)]
    np.testing.assert_allclose(answer.logprobs, direct, atol=1e-5)


def test_flags_mark_the_greedy_token_and_the_one_that_is_left_when_others_are_excluded(
    model: GPT, tokenizer: Tokenizer
) -> None:
    context = tuple(b"\nOnce upon a")
    with torch.no_grad():
        first, second = model(torch.tensor([context]))[0, -1].topk(2).indices.tolist()
    answers = Engine(model, tokenizer).run(
        [
            rq.LogLikelihood(context, (first,)),
            rq.LogLikelihood(context, (first,), excluded=(first,)),
            rq.LogLikelihood(context, (second,)),
            rq.LogLikelihood(context, (second,), excluded=(first,)),
        ]
    )
    assert [(bool(a.greedy[0]), a.first_filtered) for a in answers] == [
        (True, True),
        (True, False),
        (False, False),
        (False, True),
    ]


@pytest.mark.parametrize("batch_tokens", [1, 200, 100_000])
def test_order_and_batch_size_do_not_matter(model: GPT, tokenizer: Tokenizer, batch_tokens: int) -> None:
    requests = some_requests()
    expected = Engine(model, tokenizer).run(requests)
    order = list(range(len(requests)))
    random.Random(1).shuffle(order)
    shuffled = Engine(model, tokenizer, batch_tokens).run([requests[index] for index in order])
    for index, answer in zip(order, shuffled, strict=True):
        wanted = expected[index]
        assert type(answer) is type(wanted)
        if isinstance(answer, rq.GenerateResult):
            assert answer == wanted
        else:
            np.testing.assert_allclose(answer.logprobs, wanted.logprobs, atol=1e-5)


def test_a_shared_context_changes_no_score_and_saves_its_tokens(model: GPT, tokenizer: Tokenizer) -> None:
    context = tuple(b"\nThere were ten of them, and each of them was")
    targets = [b" tall", b" a small one", b" x", b"", b" ten feet tall, if not more"]
    requests = [rq.LogLikelihood(context, tuple(b" " + target), excluded=(32,)) for target in targets]
    together = Engine(model, tokenizer)
    for answer, request in zip(together.run(requests), requests, strict=True):
        (alone,) = Engine(model, tokenizer).run([request])
        np.testing.assert_allclose(answer.logprobs, alone.logprobs, atol=1e-5)
        assert (answer.greedy == alone.greedy).all()
        assert answer.first_filtered == alone.first_filtered
    asked = sum(len(request.context) + len(request.target) - 1 for request in requests)
    assert together.usage.saved >= 4 * len(context)
    assert together.usage.tokens + together.usage.saved == asked


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_head_in_small_pieces_changes_nothing(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, dtype) -> None:
    model = GPT(GPTConfig(257, 128, 2, 32, 2), seed=3).to(dtype)
    barred = tuple(range(0, 257, 3))
    requests = [rq.LogLikelihood(tuple(range(n, n + 20)), tuple(range(9, 20)), excluded=barred) for n in range(8)]
    requests += [rq.LogLikelihood((7, 8), (n,), excluded=(n, 255 - n)) for n in range(5)]
    whole = Engine(model, tokenizer).run(requests)
    monkeypatch.setattr(logprobs, "CPU_COLUMNS", 50)
    monkeypatch.setattr(logprobs, "CPU_CHUNK", 150)
    for answer, other in zip(Engine(model, tokenizer).run(requests), whole, strict=True):
        np.testing.assert_allclose(answer.logprobs, other.logprobs, atol=2e-6)
        assert (answer.greedy == other.greedy).all() and answer.first_filtered == other.first_filtered


def test_of_equal_logits_the_first_is_the_greedy_choice(model: GPT, tokenizer: Tokenizer, monkeypatch) -> None:
    twins = GPT(model.config).eval()
    twins.load_state_dict(model.state_dict())
    context = (1, 2, 3)
    with torch.no_grad():
        best = twins(torch.tensor([context]))[0, -1].argmax().item()
        twins.wte.weight[200 if best < 200 else 100] = twins.wte.weight[best]
    low, high = sorted((best, 200 if best < 200 else 100))
    for columns in (257, 50):
        monkeypatch.setattr(logprobs, "CPU_COLUMNS", columns)
        answers = Engine(twins, tokenizer).run([rq.LogLikelihood(context, (token,)) for token in (low, high)])
        assert [bool(answer.greedy[0]) for answer in answers] == [True, False]
        assert answers[0].logprobs == pytest.approx(answers[1].logprobs, abs=1e-6)


def test_never_makes_logits_for_all_positions(
    model: GPT, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    states = logprobs.token_logprobs
    monkeypatch.setattr(
        loglikelihood,
        "token_logprobs",
        lambda gpt, picked, *rest: rows.append(len(picked)) or states(gpt, picked, *rest),
    )
    monkeypatch.setattr(model, "logits", None)
    Engine(model, tokenizer).run([rq.LogLikelihood(tuple(range(n, 100)), (1, 2)) for n in range(4)])
    assert sum(rows) == 8


def test_newline_and_sentences_stop_a_generation(tokenizer: Tokenizer) -> None:
    engine = Engine(GPT(GPTConfig(257, 8, 1, 8, 1)), tokenizer)

    def stop(rule: rq.Stop) -> Any:
        return Stopping(engine, rule).function

    assert stop(rq.Stop("never")) is None
    newline, sentences = stop(rq.Stop("newline")), stop(rq.Stop("sentences", 1))
    assert newline is not None and sentences is not None
    assert [newline(list(text)) for text in (b"a", b"a\n", b"a b")] == [False, True, False]
    assert [sentences(list(text)) for text in (b"A b.", b"A b. ", b"A b. C")] == [False, False, True]


def conversations() -> list[rq.Request]:
    """Turns that begin with the turns before them, ten endings of one story, and questions after the same examples."""
    rng = random.Random(4)

    def words(size: int) -> tuple[int, ...]:
        return tuple(rng.randrange(256) for _ in range(size))

    requests: list[rq.Request] = []
    for _ in range(3):
        said = words(30)
        for _ in range(5):
            requests.append(rq.GenerateUntil(said, 8, rq.Stop("newline"), logprobs=True))
            said += words(rng.randint(5, 12))
        story = words(60)
        requests += [rq.LogLikelihood(story, words(rng.randint(1, 9)), excluded=(3, 4)) for _ in range(10)]
    header = words(40)
    return requests + [rq.LogLikelihood(header + words(rng.randint(3, 20)), words(4)) for _ in range(12)]


def assert_same(found: list[rq.Answer], expected: list[rq.Answer], exactly: bool = False) -> None:
    for answer, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(answer.logprobs, other.logprobs, **({"rtol": 0} if exactly else {"atol": 1e-5}))
        if isinstance(answer, rq.GenerateResult):
            assert answer.tokens == other.tokens
        else:
            assert (answer.greedy == other.greedy).all() and answer.first_filtered == other.first_filtered


@pytest.mark.parametrize("batch_tokens", [100, 8192])
@pytest.mark.parametrize("spared", [0, 2**30], ids=["trunks", "no trunks"])
def test_sharing_changes_no_answer_and_saves_most_of_the_work(
    model: GPT, tokenizer: Tokenizer, batch_tokens: int, spared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "_CPU_SPARED", spared)
    on, off = (Engine(model, tokenizer, batch_tokens, share=share) for share in (True, False))
    assert_same(on.run(conversations()), off.run(conversations()))
    assert off.usage.saved == 0
    assert on.usage.tokens + on.usage.saved == off.usage.tokens
    assert on.usage.tokens < 0.4 * off.usage.tokens


class Other(torch.nn.Module):
    """A model of which the engine knows states, logits and a cache alone, as it does of transformers' own."""

    def __init__(self, gpt: GPT) -> None:
        super().__init__()
        self.gpt, self.config, self.passes = gpt, gpt.config, 0

    def hidden(self, tokens: torch.Tensor, cache: Any = None) -> torch.Tensor:
        self.passes += 1
        return self.gpt.hidden(tokens, cache)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.gpt.logits(hidden)

    def new_cache(self, *arguments: Any) -> Any:
        return self.gpt.new_cache(*arguments)


@pytest.mark.parametrize(("context", "passes"), [(1, 1), (60, 2)])
def test_another_kind_of_model_reads_the_same_context_once_where_it_is_long(
    model: GPT, tokenizer: Tokenizer, context: int, passes: int
) -> None:
    requests = [rq.LogLikelihood(tuple(range(context)), (n, 1, n)) for n in range(10)]
    other = Other(model)
    engine = Engine(other, tokenizer)
    assert_same(engine.run(requests), Engine(model, tokenizer).run(requests))
    assert other.passes == passes
    assert (engine.usage.saved > 0) == (context > 1)


def test_deterministic_answers_are_the_same_to_the_bit_whatever_else_is_asked(model: GPT, tokenizer: Tokenizer) -> None:
    requests = [*conversations(), *(one for one in some_requests() if not isinstance(one, rq.RollingLogLikelihood))]
    together = Engine(model, tokenizer, deterministic=True).run(requests)
    order = list(range(len(requests)))
    random.Random(1).shuffle(order)
    shuffled = Engine(model, tokenizer, 300, deterministic=True).run([requests[place] for place in order[:40]])
    for place, answer in zip(order, shuffled, strict=False):
        alone = together[place]
        if answer.logprobs is not None:
            np.testing.assert_array_equal(answer.logprobs, alone.logprobs)
        if isinstance(answer, rq.GenerateResult):
            assert answer.tokens == alone.tokens


def test_deterministic_answers_do_not_depend_on_the_threads_of_the_process(tokenizer: Tokenizer) -> None:
    """Wide enough for oneDNN's fused products, and for sums that are split among threads."""
    model = GPT(GPTConfig(vocab_size=257, n_positions=64, n_layer=1, d_model=512, n_head=8), seed=4).eval()
    requests = [rq.LogLikelihood(tuple(range(1, 50)), (7, 9)), rq.GenerateUntil((5, 6, 7), 4, rq.Stop("never"))]
    before, answers = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            engine = Engine(model, tokenizer, deterministic=True)
            answers.append(engine.run(requests))
            assert (engine.threads, torch.get_num_threads()) == (1, threads)
    finally:
        torch.set_num_threads(before)
    for other in answers[1:]:
        np.testing.assert_array_equal(other[0].logprobs, answers[0][0].logprobs)
        assert other[1].tokens == answers[0][1].tokens


@pytest.mark.parametrize("spared", [0, 2**30], ids=["trunks", "no trunks"])
def test_without_it_answers_differ_by_rounding_alone(
    model: GPT, tokenizer: Tokenizer, record_property, spared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "_CPU_SPARED", spared)
    exact = Engine(model, tokenizer, deterministic=True).run(conversations())
    largest = {"LogLikelihoodResult": 0.0, "GenerateResult": 0.0}
    for batch_tokens in (64, 500, 8192):
        answers = Engine(model, tokenizer, batch_tokens).run(conversations())
        for a, b in zip(answers, exact, strict=True):
            kind = type(a).__name__
            largest[kind] = max([largest[kind], *np.abs(a.logprobs - b.logprobs).tolist()])
    record_property("largest_deviation", largest)  # in nats; `--junit-xml` shows it
    assert 0 < max(largest.values()) < 2e-5


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("no more"), RuntimeError("DefaultCPUAllocator: can't allocate memory: x")]
)
def test_a_batch_that_does_not_fit_is_halved_and_the_work_goes_on(
    model: GPT, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, error
) -> None:
    expected = Engine(model, tokenizer).run([*some_requests(), *conversations()])
    hidden, steps = model.hidden, []

    def small(tokens, *arguments, **named):
        if tokens.numel() > 400:
            steps.append(tokens.numel())
            raise error
        return hidden(tokens, *arguments, **named)

    monkeypatch.setattr(model, "hidden", small)
    engine = Engine(model, tokenizer)
    answers = engine.run([*some_requests(), *conversations()])
    assert steps and engine.batch_tokens <= 400
    for answer, other in zip(answers, expected, strict=True):
        if answer.logprobs is not None:
            np.testing.assert_allclose(answer.logprobs, other.logprobs, atol=1e-5)
        if isinstance(answer, rq.GenerateResult):
            assert answer.tokens == other.tokens


@pytest.mark.parametrize("limit", ["reading", "rows"])
def test_conversations_whose_trunks_do_not_fit_together_go_on_with_fewer(
    model: GPT, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(grouping, "_CPU_SPARED", 0)
    requests = [one for one in conversations() if isinstance(one, rq.GenerateUntil)]
    whole = Engine(model, tokenizer)
    expected = whole.run(requests)
    hidden, branches, refused = model.hidden, continuous_batching.SharedPrefixCache, []

    def refuse() -> None:
        refused.append(1)
        raise torch.OutOfMemoryError("no more")

    if limit == "reading":
        monkeypatch.setattr(model, "hidden", lambda x, *rest: refuse() if x.numel() > 100 else hidden(x, *rest))
    else:
        monkeypatch.setattr(
            continuous_batching,
            "SharedPrefixCache",
            lambda g, rows, *rest: refuse() if rows > 3 else branches(g, rows, *rest),
        )
    engine = Engine(model, tokenizer)
    assert_same_generations(engine.run(requests), expected)
    assert refused
    assert (engine.usage.tokens, engine.usage.saved) == (whole.usage.tokens, whole.usage.saved), (
        "a failed try is not counted"
    )


def assert_same_generations(found: list[rq.Answer], expected: list[rq.Answer]) -> None:
    assert [answer.tokens for answer in found] == [answer.tokens for answer in expected]
    for answer, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(answer.logprobs, other.logprobs, atol=1e-5)


def test_one_request_that_does_not_fit_is_said(model: GPT, tokenizer: Tokenizer, monkeypatch) -> None:
    def never(*arguments, **named):
        raise torch.OutOfMemoryError("no more")

    monkeypatch.setattr(model, "hidden", never)
    for request in (some_requests()[0], some_requests()[2]):
        with pytest.raises(ZeroscaleError, match=r"a single request of .* tokens does not fit the memory"):
            Engine(model, tokenizer).run([request])


def test_generation_is_the_greedy_continuation(model: GPT, tokenizer: Tokenizer) -> None:
    prompt = list(b"Who is there?")
    (answer,) = Engine(model, tokenizer).run([rq.GenerateUntil(tuple(prompt), 5, rq.Stop("never"))])
    expected = []
    with torch.no_grad():
        for _ in range(5):
            expected.append(model(torch.tensor([prompt + expected]))[0, -1].argmax().item())
    assert list(answer.tokens) == expected


def test_weights_that_are_not_finite_are_refused(tokenizer: Tokenizer) -> None:
    broken = GPT(GPTConfig(vocab_size=257, n_positions=16, n_layer=1, d_model=8, n_head=1))
    broken.ln_f.weight.data.fill_(float("nan"))
    with pytest.raises(ZeroscaleError, match="not finite"):
        Engine(broken, tokenizer).run([rq.LogLikelihood((1,), (2,))])


def test_the_global_generator_and_the_training_mode_stay(tokenizer: Tokenizer) -> None:
    gpt = GPT(GPTConfig(vocab_size=257, n_positions=128, n_layer=1, d_model=8, n_head=1, dropout=0.5)).train()
    before = torch.get_rng_state()
    first = Engine(gpt, tokenizer).run(some_requests())
    assert torch.equal(before, torch.get_rng_state())
    assert gpt.training
    again = Engine(gpt, tokenizer).run(some_requests())
    np.testing.assert_array_equal(first[0].logprobs, again[0].logprobs)


def test_generated_tokens_have_transformers_log_probabilities(model: GPT, tokenizer: Tokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    weights.save_pretrained(model, tmp_path, eos=tokenizer.eos)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, local_files_only=True).eval()
    prompts = [tuple(b"The cat"), tuple(b"A dog and a house, and then")]
    answers = Engine(model, tokenizer).run(
        [rq.GenerateUntil(prompt, 12, rq.Stop("never"), logprobs=True) for prompt in prompts]
    )
    for prompt, answer in zip(prompts, answers, strict=True):
        made = theirs.generate(
            torch.tensor([prompt]),
            max_new_tokens=len(answer.tokens),
            do_sample=False,
            eos_token_id=None,
            pad_token_id=tokenizer.eos,
            output_logits=True,
            return_dict_in_generate=True,
        )
        assert made.sequences[0, len(prompt) :].tolist() == list(answer.tokens)
        expected = [logits[0].log_softmax(-1).max().item() for logits in made.logits]
        np.testing.assert_allclose(answer.logprobs, expected, atol=1e-4)


def test_log_probabilities_of_drawn_tokens_are_among_all_tokens(model: GPT, tokenizer: Tokenizer) -> None:
    prompt = tuple(b"The cat")
    request = rq.GenerateUntil(prompt, 8, rq.Stop("never"), top_k=2, seed=3, logprobs=True)
    engine = Engine(model, tokenizer)
    (answer,) = engine.run([request])
    (scored,) = engine.run([rq.LogLikelihood(prompt, answer.tokens)])
    np.testing.assert_allclose(answer.logprobs, scored.logprobs, atol=1e-5)
    (plain,) = engine.run([replace(request, logprobs=False)])
    assert plain.tokens == answer.tokens and plain.logprobs is None


def test_a_generation_stops_at_the_first_of_several_texts(model: GPT, tokenizer: Tokenizer) -> None:
    prompt = tuple(b"The cat")
    engine = Engine(model, tokenizer)
    (free,) = engine.run([rq.GenerateUntil(prompt, 24, rq.Stop("never"))])
    assert len(free.text) > 6
    stop = free.text[3:5]
    (stopped,) = engine.run([rq.GenerateUntil(prompt, 24, rq.Stop("texts", texts=("never said", stop)))])
    end = free.text.index(stop) + len(stop)
    assert stopped.text == free.text[:end]
