"""Generation against full recomputation and against transformers' `generate`."""

import random
from collections import Counter

import pytest
import torch

from zeroscale.core import machine
from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.config import GPTConfig
from zeroscale.model.generation.decode_step import DecodeStep
from zeroscale.model.generation.generate import GenerationStats, generate, stream
from zeroscale.model.gpt import GPT
from zeroscale.model.weights import from_pretrained


def prompts(count: int = 11, longest: int = 60, vocabulary: int = 257) -> list[list[int]]:
    """Ragged, some of them longer than the context of 48."""
    draw = random.Random(5)
    return [[draw.randrange(vocabulary) for _ in range(draw.randint(1, longest))] for _ in range(count)]


@torch.no_grad()
def recomputed(model: GPT, prompt: list[int], count: int) -> list[int]:
    """Greedy tokens with neither cache nor batch, by the stated rule for long prompts."""
    row = prompt[-(model.config.n_positions - count) :]
    for _ in range(count):
        row = [*row, model(torch.tensor([row]))[0, -1].argmax().item()]
    return row[-count:]


@pytest.mark.parametrize("batch_size", [1, 2, 4, 32])
def test_greedy_equals_full_recomputation(lively, batch_size):
    found = generate(lively, prompts(), 15, batch_size=batch_size)
    expected = [recomputed(lively, prompt, 15) for prompt in prompts()]
    assert found == expected
    assert len({token for row in found for token in row}) > 20, "a model that says one thing proves nothing"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"activation": "gelu"},
        {"activation": "relu"},
        {"activation": "silu"},
        {"tied": False, "d_inner": 96},
        {"padded_vocab_size": 264},
        {"scale_attn_by_inverse_layer_idx": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("count", [4, 20], ids=["few steps", "many steps"])
@pytest.mark.parametrize("rows", [2, 9, 70])
def test_every_way_to_step_gives_what_the_whole_model_gives(fields, count, rows):
    shape = {"vocab_size": 257, "n_positions": 48, "n_layer": 2, "d_model": 32, "n_head": 4}
    model = GPT(GPTConfig(**shape, **fields), seed=3).eval()
    cache = model.new_cache(rows, 40, [row % 5 for row in range(rows)])
    tokens = torch.randint(0, 257, (rows, 12), generator=torch.Generator().manual_seed(rows))
    with torch.inference_mode():
        model.hidden(tokens[:, :10], cache)
        other = cache.select(range(rows))
        step = DecodeStep(model, rows, count)
        for column in (10, 11):
            found = step(tokens[:, column], cache)
            expected = model.logits(model.hidden(tokens[:, column : column + 1], other))[:, 0]
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)


def test_weights_laid_out_anew_change_no_bit(lively, monkeypatch):
    rows = [prompt[-20:] for prompt in prompts(16)]
    found = {}
    for free in (0, 2**60):
        monkeypatch.setattr(machine, "free_memory", lambda free=free: free)
        step = DecodeStep(lively, 16, 20)
        cache = lively.new_cache(16, 30)
        with torch.inference_mode():
            lively.hidden(torch.tensor([(row * 20)[:20] for row in rows]), cache)
            found[free] = step(torch.arange(16), cache)
    assert torch.equal(found[0], found[2**60])


def families() -> list[list[int]]:
    """Conversations: each turn's prompt begins with the turn before it; and the same question twice."""
    draw = random.Random(9)
    found = []
    for _ in range(3):
        turns = [draw.randrange(257) for _ in range(17)]
        for _ in range(4):
            found.append(list(turns))
            turns = turns + [draw.randrange(257) for _ in range(4)]
    return [*found, found[2]]


@pytest.mark.parametrize("batch_size", [2, 5, 64])
def test_common_beginnings_are_read_once_and_change_nothing(lively, batch_size):
    rows, stats, apart = families(), GenerationStats(), GenerationStats()
    expected = [recomputed(lively, row, 12) for row in rows]
    shared = list(stream(lively, rows, 12, batch_size=batch_size, stats=stats))
    alone = list(stream(lively, rows, 12, batch_size=batch_size, share=False, stats=apart))
    for pieces in (shared, alone):
        assert [[new.token for new in pieces if new.prompt == index] for index in range(len(rows))] == expected
    total = sum(map(len, rows))
    assert (apart.read, apart.saved) == (total, 0)
    assert stats.read + stats.saved == total
    if batch_size > 2:
        assert stats.read < 0.6 * total


def test_log_probabilities_are_those_of_the_whole_model(lively):
    rows = prompts(5, 20)
    options = {"temperature": 1.5, "top_k": 9, "batch_size": 2}
    pieces = list(stream(lively, rows, 8, logprobs=True, **options))
    assert [new[:2] for new in pieces] == [new[:2] for new in stream(lively, rows, 8, **options)]
    for index, row in enumerate(rows):
        new = [one for one in pieces if one.prompt == index]
        with torch.no_grad():
            logits = lively(torch.tensor([row + [one.token for one in new]]))[0, len(row) - 1 : -1]
        expected = logits.log_softmax(-1)[torch.arange(8), [one.token for one in new]]
        torch.testing.assert_close(torch.tensor([one.logprob for one in new]), expected, rtol=1e-4, atol=1e-4)


def test_ids_that_the_tokenizer_has_not_are_never_chosen(lively):
    free = generate(lively, prompts(), 15)
    assert max(max(row) for row in free) > 100
    kept = generate(lively, prompts(), 15, vocab_size=100)
    drawn = generate(lively, prompts(), 15, vocab_size=100, temperature=2.0)
    assert max(max(row) for row in kept + drawn) < 100


def test_greedy_equals_transformers(reference, tmp_path):
    theirs = reference(initializer_range=0.3)
    theirs.save_pretrained(tmp_path)
    ours = from_pretrained(tmp_path)
    rows = prompts(8, 16, 211)
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    expected = theirs.generate(
        ids, attention_mask=mask, do_sample=False, min_new_tokens=16, max_new_tokens=16, pad_token_id=0
    )
    assert generate(ours, rows, 16) == expected[:, longest:].tolist()


def test_a_stop_ends_its_own_row_alone(lively):
    free = generate(lively, prompts(), 15)

    def cut(row: list[int]) -> list[int]:
        ends = [index for index, token in enumerate(row) if token % 5 == 0]
        return row[: ends[0] + 1] if ends else row

    found = generate(lively, prompts(), 15, stop=lambda new: new[-1] % 5 == 0, batch_size=4)
    assert found == [cut(row) for row in free]
    assert len({len(row) for row in found}) > 3, "rows must end at different times"


def test_eos_ends_a_row_and_is_left_out(lively):
    free = generate(lively, prompts(), 15)
    eos = Counter(token for row in free for token in row[2:]).most_common(1)[0][0]
    found = generate(lively, prompts(), 15, eos=eos)
    assert found == [row[: row.index(eos)] if eos in row else row for row in free]
    assert found != free


def test_samples_depend_on_seed_and_prompt_number_alone(lively):
    options = {"temperature": 0.9, "top_k": 40, "top_p": 0.95}
    first = generate(lively, prompts(), 12, seed=1, **options)
    assert generate(lively, prompts(), 12, seed=1, batch_size=3, **options) == first
    assert generate(lively, prompts()[:5], 12, seed=1, **options) == first[:5]
    assert generate(lively, prompts(), 12, seed=2, **options) != first
    same = generate(lively, [prompts()[0]] * 4, 12, seed=1, **options)
    assert len({tuple(row) for row in same}) == 4, "repeating a prompt gives different samples"
    given = generate(lively, prompts()[:3], 12, seed=[7, 8, 9], **options)
    assert generate(lively, prompts()[2:0:-1], 12, seed=[9, 8], **options) == given[:0:-1]


def test_the_global_generator_is_left_alone(lively):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    generate(lively, prompts(), 5, temperature=1.0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.6}, {"top_k": 6, "top_p": 0.8, "temperature": 1.5}],
    ids=str,
)
def test_drawn_tokens_follow_the_distribution_transformers_would_draw_from(lively, options):
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    prompt = [5, 9, 100]
    with torch.no_grad():
        scores = lively(torch.tensor([prompt]))[:, -1]
    scores = TemperatureLogitsWarper(options.get("temperature", 1.0))(None, scores)
    if "top_k" in options:
        scores = TopKLogitsWarper(options["top_k"])(None, scores)
    if "top_p" in options:
        scores = TopPLogitsWarper(options["top_p"])(None, scores)
    expected = scores.softmax(-1)[0]

    count = 4000
    drawn = generate(lively, [prompt] * count, 1, **{"temperature": 1.0, **options}, batch_size=1000)
    found = torch.bincount(torch.tensor(drawn).flatten(), minlength=257) / count
    assert (found[expected == 0] == 0).all()
    # Half the summed difference of two distributions; its mean for k tokens is below √(k / (2π·count)) ≤ 0.11.
    assert 0.5 * (found - expected).abs().sum() < 0.12
    top = expected.argmax()
    deviation = (expected[top] * (1 - expected[top]) / count).sqrt()
    assert abs(found[top] - expected[top]) <= 4 * deviation


def test_k_of_one_and_a_tiny_p_are_greedy(lively):
    greedy = generate(lively, prompts(), 8)
    assert generate(lively, prompts(), 8, temperature=1.0, top_k=1) == greedy
    assert generate(lively, prompts(), 8, temperature=1.0, top_p=1e-9) == greedy


def test_a_stream_gives_the_same_tokens_as_they_come(lively):
    pieces = list(stream(lively, prompts(3, 20), 6))
    assert [new.prompt for new in pieces[:6]] == sorted(range(3), key=lambda i: -len(prompts(3, 20)[i])) * 2
    rows = [[new.token for new in pieces if new.prompt == index] for index in range(3)]
    assert rows == generate(lively, prompts(3, 20), 6)


def test_a_model_in_training_comes_back_so(lively):
    lively.train()
    generate(lively, [[1]], 2)
    assert lively.training


def test_all_faults_come_in_one_message(lively):
    with pytest.raises(ZeroscaleError, match=r"max_new_tokens is 48.*top_p is 1\.5.*prompt 1 has no tokens.*prompt 2"):
        generate(lively, [[1], [], [300]], 48, top_p=1.5)
    with pytest.raises(ZeroscaleError, match="2 seeds for 1 prompts"):
        generate(lively, [[1]], 2, seed=[1, 2])


def test_no_prompts_give_no_tokens(lively):
    assert generate(lively, [], 4) == []
