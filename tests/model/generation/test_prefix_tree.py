"""Shared beginnings, laid out in one row, against each sequence computed alone."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zeroscale.model.config import GPTConfig
from zeroscale.model.generation import prefix_tree
from zeroscale.model.gpt import GPT


def families(draw: random.Random, count: int = 6) -> list[tuple[int, ...]]:
    """Sequences of which several begin alike, some are whole beginnings of others, and two are the same."""
    found = []
    for _ in range(count):
        stem = [draw.randrange(97) for _ in range(draw.randint(18, 40))]
        found += [tuple(stem + [draw.randrange(97) for _ in range(draw.randint(0, 12))]) for _ in range(4)]
        found.append(tuple(stem))
    return [*found, found[0]]


@pytest.mark.parametrize("largest", [1, 60, 10_000])
def test_states_are_those_of_each_sequence_alone(largest):
    model = GPT(GPTConfig(vocab_size=97, n_positions=64, n_layer=3, d_model=32, n_head=4), seed=1).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(8.0)  # so that looking at a wrong token shows
    sequences = families(random.Random(3))
    planted = list(prefix_tree.build_tries(sequences, range(len(sequences)), largest))
    assert sorted(member for tree in planted for member in tree.members) == list(range(len(sequences)))
    layout = prefix_tree.pack(planted)
    with torch.inference_mode():
        hidden = model.hidden(layout.tokens, positions=layout.positions, mask=layout.mask)
        for row, tree in enumerate(planted):
            for member, path in zip(tree.members, tree.paths, strict=True):
                alone = model.hidden(torch.tensor([sequences[member]]))[0]
                torch.testing.assert_close(hidden[row, path], alone, rtol=1e-4, atol=1e-5)
    if largest > 60:
        assert sum(map(len, planted)) < 0.6 * sum(map(len, sequences)), "nothing was shared"


def test_turns_that_begin_with_all_turns_before_them_need_no_mask():
    model = GPT(GPTConfig(vocab_size=97, n_positions=64, n_layer=3, d_model=32, n_head=4), seed=1).eval()
    turns = [tuple(range(size)) for size in (30, 20, 41, 20)]
    (tree,) = prefix_tree.build_tries(turns, range(4), 64)
    layout = prefix_tree.pack([tree, prefix_tree.single(tuple(range(50, 60)), 4)])
    assert layout.mask is None and not tree.branched
    with torch.inference_mode():
        hidden = model.hidden(layout.tokens, positions=layout.positions)
        for member, path in zip(tree.members, tree.paths, strict=True):
            alone = model.hidden(torch.tensor([turns[member]]))[0]
            torch.testing.assert_close(hidden[0, path], alone, rtol=1e-4, atol=1e-5)
    (tree,) = prefix_tree.build_tries([*turns, (*range(20), 90)], range(5), 64)
    assert tree.branched and prefix_tree.pack([tree]).mask is not None


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=40).map(tuple), min_size=1, max_size=12))
def test_a_path_spells_its_sequence(sequences):
    for tree in prefix_tree.build_tries(sequences, range(len(sequences)), 50):
        for member, path in zip(tree.members, tree.paths, strict=True):
            assert tuple(tree.tokens[place] for place in path) == sequences[member]
            assert [tree.depths[place] for place in path] == list(range(len(path)))


def cheapest(lengths: list[int], budget: int, constant: int) -> int:
    """The least cost of cutting sorted lengths into neighbours, by trying every way."""
    if not lengths:
        return 0
    sizes = [size for size in range(1, len(lengths) + 1) if size == 1 or size * lengths[0] <= budget]
    return min(size * lengths[0] + constant + cheapest(lengths[size:], budget, constant) for size in sizes)


@given(st.lists(st.integers(1, 30), max_size=9), st.integers(1, 120), st.integers(0, 40))
def test_batches_hold_each_trie_once_at_the_least_cost(lengths, budget, constant):
    tries = [prefix_tree.single(range(length), member) for member, length in enumerate(lengths)]
    found = prefix_tree.batches(tries, budget, constant)
    assert sorted(tree.members[0] for batch in found for tree in batch) == list(range(len(lengths)))
    sizes = [len(tree) for batch in found for tree in batch]
    assert sizes == sorted(sizes, reverse=True), "the longest first: what does not fit shows at once"
    costs = [len(batch) * len(batch[0]) for batch in found]
    assert all(cost <= budget or len(batch) == 1 for cost, batch in zip(costs, found, strict=True))
    assert sum(costs) + constant * len(found) == cheapest(sizes, budget, constant)


@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)))
def test_common_beginnings(a, b):
    size = prefix_tree.common_prefix(a, b)
    assert a[:size] == b[:size]
    assert size == min(len(a), len(b)) or a[size] != b[size]


def test_the_part_that_is_plain_needs_no_mask_and_changes_no_state(monkeypatch):
    generator = torch.Generator().manual_seed(3)
    story = tuple(torch.randint(0, 100, (90,), generator=generator).tolist())
    sequences = [(*story, 7, 8), (*story, 7, 9, 4), (*story[:70], 5)]
    planted = list(prefix_tree.build_tries(sequences, range(3), 500))
    layout = prefix_tree.pack(planted)
    assert layout.mask.shape[2] < layout.mask.shape[3] - 64
    monkeypatch.setattr(prefix_tree, "MIN_PLAIN", 1000)
    whole = prefix_tree.pack(planted)
    assert whole.mask.shape[2] == whole.mask.shape[3]
    model = GPT(GPTConfig(n_layer=2, d_model=32, n_head=4, vocab_size=100, n_positions=128)).eval()
    with torch.inference_mode():
        states = [model.hidden(one.tokens, positions=one.positions, mask=one.mask) for one in (layout, whole)]
    torch.testing.assert_close(*states, rtol=1e-5, atol=1e-6)
