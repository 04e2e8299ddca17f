"""Examples in a prompt: drawn by seed from a pool, or from what is scored, which is then left out and counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval.tasks import fewshot


@given(st.integers(2, 50), st.integers(1, 10), st.integers(0, 5))
def test_without_a_pool_they_come_from_what_is_scored_and_are_left_out(size: int, n: int, seed: int) -> None:
    examples = list(range(size))
    if size <= n:
        with pytest.raises(ZeroscaleError, match=f"{size} examples are too few: {n} are used up"):
            fewshot.draw(examples, [], n, seed)
        return
    drawn = fewshot.draw(examples, [], n, seed)
    assert sorted(drawn.shots + drawn.rest) == examples
    assert drawn.rest == sorted(drawn.rest)
    assert (len(drawn.shots), drawn.left_out) == (n, n)
    assert fewshot.draw(examples, [], n, seed) == drawn


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 5))
def test_with_a_pool_all_is_scored(size: int, n: int, seed: int) -> None:
    pool = list(range(100, 100 + size))
    if size < n:
        with pytest.raises(ZeroscaleError, match="the pool holds"):
            fewshot.draw([1, 2], pool, n, seed)
        return
    drawn = fewshot.draw([1, 2], pool, n, seed)
    assert drawn.rest == [1, 2] and drawn.left_out == 0
    assert len(set(drawn.shots)) == n and set(drawn.shots) <= set(pool)


def test_none_are_drawn_where_none_are_asked_for() -> None:
    assert fewshot.draw([1, 2], [3], 0, 0) == fewshot.FewshotSplit([], [1, 2], 0)


def test_another_seed_draws_others() -> None:
    assert len({tuple(fewshot.draw(range(100), [], 5, seed).shots) for seed in range(10)}) == 10
