"""Rows on shared prefixes: the same answers as from caches of their own, whichever rows are added or dropped."""

import random
import weakref
from functools import partial

import pytest
import torch

from zeroscale.model.config import GPTConfig
from zeroscale.model.generation import continuous_batching, grouping, prefix_tree
from zeroscale.model.generation.continuous_batching import ContinuousBatch, SharedPrefixBatch
from zeroscale.model.generation.decode_step import DecodeStep
from zeroscale.model.generation.generate import GenerationStats, stream
from zeroscale.model.generation.shared_prefix import Prefix, PrefixBuffer, SharedPrefixCache
from zeroscale.model.gpt import GPT
from zeroscale.model.weights import from_pretrained

NEW = 12


@pytest.fixture
def always(monkeypatch) -> None:
    """Shared prefixes for whatever begins alike, be it as small as here."""
    monkeypatch.setattr(grouping, "_CPU_SPARED", 0)
    monkeypatch.setattr(grouping, "_SHARE_SPARED", 0)


def families(vocabulary: int = 257) -> list[list[int]]:
    """Turns that begin with the turns before them, questions after one header, the same prompt four times, and a pair,
    in no order."""
    draw = random.Random(11)

    def words(low: int, high: int | None = None) -> list[int]:
        return [draw.randrange(vocabulary) for _ in range(draw.randint(low, high or low))]

    turns = [words(17)]
    for _ in range(4):
        turns.append([*turns[-1], *words(2, 5)])
    header, story, stem = words(20), words(30), words(24)
    found = [*turns, *([*header, *words(1, 15)] for _ in range(7)), *[story] * 4, [*stem, 5], [*stem, 9, 9]]
    draw.shuffle(found)
    return found


def singles(vocabulary: int = 257) -> list[list[int]]:
    draw = random.Random(12)
    return [[draw.randrange(vocabulary) for _ in range(draw.randint(1, 36))] for _ in range(6)]


_recomputed: dict[tuple[int, ...], list[int]] = {}


@torch.no_grad()
def recomputed(lively: GPT, prompt: list[int]) -> list[int]:
    """Greedy tokens with neither cache nor batch. `lively` has the same weights in every test."""
    key = tuple(prompt)
    if key not in _recomputed:
        row = list(prompt)
        for _ in range(NEW):
            row.append(lively(torch.tensor([row]))[0, -1].argmax().item())
        _recomputed[key] = row[-NEW:]
    return _recomputed[key]


def rows_of(pieces, count: int) -> list[list[int]]:
    found = [[] for _ in range(count)]
    for one in pieces:
        found[one.prompt].append(one.token)
    return found


def groups(model: GPT, prompts, batch_size: int = 64, columns: int | None = None, share: bool = True) -> list:
    made = grouping.group_prompts(model, [tuple(row) for row in prompts], NEW, batch_size, columns, share)
    return [one.func for one in made]


@pytest.mark.parametrize(
    "fields",
    [{}, {"scale_attn_by_inverse_layer_idx": True}, {"scale_attn_weights": False}, {"activation": "relu"}],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_on_shared_prefixes_gives_what_the_whole_model_gives(fields, dtype):
    """Two tries, rows that joined at different steps, one that left: all against plain passes over whole sequences."""
    model = GPT(GPTConfig(vocab_size=257, n_positions=48, n_layer=3, d_model=32, n_head=4, **fields), seed=3).eval()
    for parameter in model.parameters():
        parameter.data.mul_(4.0 if parameter.dim() > 1 else 1.0)
    reference = GPT(model.config).eval()
    reference.load_state_dict(model.to(dtype).state_dict())  # what bf16 holds, computed in fp32
    sequences = [tuple(row) for row in families()]
    with torch.inference_mode():
        read = list(prefix_tree.build_tries(sequences, range(len(sequences)), 60))
        layout = prefix_tree.pack(read)
        cache = model.new_cache(*layout.tokens.shape)
        model.hidden(layout.tokens, cache, layout.positions, layout.mask)
        shared = SharedPrefixCache(model.config, 16, 4, dtype)
        said: list[list[int]] = []

        def join(number: int) -> None:
            prefix = Prefix(*cache.columns(number, len(read[number])), read[number].paths, PrefixBuffer(0, 0))
            for path, member in enumerate(read[number].members):
                shared.attach(prefix, path)
                said.append(list(sequences[member]))

        join(0)
        step = DecodeStep(model, shared.batch, 4)
        for number in range(4):
            if number < 3:
                join(number + 1)
            if number == 2:
                said[:] = [said[row] for row in shared.drop([0, 5])]
            tokens = torch.tensor([(7 * row + number) % 257 for row in range(shared.batch)])
            found = step(tokens, shared)
            for row, token, logits in zip(said, tokens.tolist(), found, strict=True):
                row.append(token)
                expected = reference(torch.tensor([row]))[0, -1]
                exact = {"rtol": 1e-4, "atol": 2e-5} if dtype == torch.float32 else {"rtol": 0.1, "atol": 0.2}
                torch.testing.assert_close(logits.float(), expected, **exact)


@pytest.mark.parametrize(("batch_size", "columns"), [(2, 60), (3, None), (5, 300), (64, 60), (64, 300), (64, None)])
def test_families_and_singles_get_what_each_gets_alone(lively, always, monkeypatch, batch_size, columns):
    prompts = [*families(), *singles()]
    random.Random(batch_size).shuffle(prompts)
    monkeypatch.setattr(grouping, "_shares_enough_prefix", _every_group)
    assert groups(lively, prompts, batch_size, columns) == [SharedPrefixBatch, ContinuousBatch]
    stats = GenerationStats()
    pieces = stream(lively, prompts, NEW, batch_size=batch_size, columns=columns, stats=stats)
    assert rows_of(pieces, len(prompts)) == [recomputed(lively, prompt) for prompt in prompts]
    tries = prefix_tree.build_tries([tuple(row) for row in prompts], range(len(prompts)), 72)
    assert stats.read == sum(map(len, tries)), "each trie is read once, however few rows there are"
    assert stats.read + stats.saved == sum(map(len, prompts))


def _every_group(model, tries, prompts, new_tokens):
    return [trie for trie in tries if len(trie.members) > 1]


@pytest.mark.parametrize("batch_size", [2, 4, 64])
def test_rows_are_removed_and_admitted_in_the_middle(lively, always, batch_size):
    prompts = families()
    assert groups(lively, prompts, batch_size) == [SharedPrefixBatch]

    def cut(row: list[int]) -> list[int]:
        ends = [place for place, token in enumerate(row) if token % 5 == 0]
        return row[: ends[0] + 1] if ends else row

    expected = [cut(recomputed(lively, prompt)) for prompt in prompts]
    assert len(set(map(len, expected))) > 4, "rows must end at different times"
    found = stream(lively, prompts, NEW, batch_size=batch_size, stop=lambda new: new[-1] % 5 == 0)
    assert rows_of(found, len(prompts)) == expected


def test_the_order_of_the_prompts_changes_nothing(lively, always):
    prompts = [*families(), *singles()]
    options = {"batch_size": 6, "temperature": 1.3, "top_k": 20, "logprobs": True}
    order = list(range(len(prompts)))
    random.Random(2).shuffle(order)
    straight = list(stream(lively, prompts, NEW, seed=order, **options))
    seeds = [order[place] for place in order]
    mixed = list(stream(lively, [prompts[place] for place in order], NEW, seed=seeds, **options))
    for place, prompt in enumerate(order):
        mine = [one for one in straight if one.prompt == prompt]
        other = [one for one in mixed if one.prompt == place]
        assert [one.token for one in mine] == [one.token for one in other]
        expected = torch.tensor([one.logprob for one in mine])
        torch.testing.assert_close(torch.tensor([one.logprob for one in other]), expected, rtol=0, atol=1e-5)


def test_greedy_equals_transformers(reference, always, tmp_path):
    theirs = reference(initializer_range=0.3, n_positions=64)
    theirs.save_pretrained(tmp_path)
    ours = from_pretrained(tmp_path)
    prompts = families(211)
    assert groups(ours, prompts) == [SharedPrefixBatch]
    found = rows_of(stream(ours, prompts, NEW, batch_size=7), len(prompts))
    for prompt, row in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt])
        made = theirs.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=NEW, pad_token_id=0
        )
        assert made[0, len(prompt) :].tolist() == row


def test_a_trie_goes_with_its_last_row_and_no_more_stand_than_there_is_room_for(lively, always, monkeypatch):
    """Rows for four, room for two tries or so: the next is read when one has gone."""
    alive: weakref.WeakSet[Prefix] = weakref.WeakSet()
    made, held = [], []

    class Watched(Prefix):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            alive.add(self)
            made.append(self.keys.shape[2])

    monkeypatch.setattr(continuous_batching, "Prefix", Watched)
    prompts = families()
    tries = list(prefix_tree.build_tries([tuple(row) for row in prompts], range(len(prompts)), 72))
    room = 70
    monkeypatch.setattr(
        "zeroscale.model.generation.generate.group_prompts",
        lambda model, kept, *_: [partial(SharedPrefixBatch, model, kept, tries, 4, NEW, room)],
    )
    for _ in stream(lively, prompts, NEW, stop=lambda new: new[-1] % 5 == 0):
        held.append([prefix.keys.shape[2] for prefix in alive])
    assert sorted(made) == sorted(map(len, tries))
    assert all(len(columns) == 1 or sum(columns) <= room for columns in held)
    assert max(map(len, held)) > 1
    assert not alive


def test_what_is_not_worth_a_shared_prefix_has_caches_of_its_own(lively):
    prompts = [*families(), *singles()]
    assert groups(lively, prompts) == [ContinuousBatch], "a few columns are read faster than products are started"
    long = [tuple(range(40))] * 200
    assert groups(lively, long) == [SharedPrefixBatch]
    assert groups(lively, long, share=False) == [ContinuousBatch]
    assert groups(lively, long, batch_size=1) == [ContinuousBatch]
    assert groups(lively, [*long, *singles()]) == [SharedPrefixBatch, ContinuousBatch]
    wide = GPT(GPTConfig(vocab_size=257, n_positions=48, n_layer=1, d_model=512, n_head=4))
    some = [tuple(range(40))] * 10
    assert groups(wide, some) == [SharedPrefixBatch]
    assert groups(wide, [*some, *singles()]) == [ContinuousBatch], (
        "further steps read more weights than shared prefixes spare"
    )


def test_samples_of_one_prompt_are_those_of_prompts_apart(lively, always):
    options = {"temperature": 1.0, "top_k": 50, "seed": 4}
    prompts = [singles()[0] or [1]] * 3 + [list(range(30))] * 9
    together = rows_of(stream(lively, prompts, NEW, **options), 12)
    assert together == rows_of(stream(lively, prompts, NEW, share=False, **options), 12)
    assert len({tuple(row) for row in together[3:]}) == 9
