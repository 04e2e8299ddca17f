"""Requests become windows: every token scored once, the right end truncated, counts kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroscale.eval.engine import requests as rq


@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 12), st.integers(2, 14), st.booleans())
def test_rolling_scores_each_token_once_in_order(n: int, window: int, stride: int, positions: int, start: bool) -> None:
    tokens = tuple(range(100, 100 + n))
    windows = rq.rolling_windows(rq.RollingLogLikelihood(tokens, window, stride, 7 if start else None), positions)
    scored = [target for w in windows for target in w.targets]
    assert scored == list(tokens if start else tokens[1:])
    stream = (7, *tokens) if start else tokens
    for w in windows:
        assert len(w.inputs) <= min(window, positions)
        assert w.first + len(w.targets) == len(w.inputs)  # scored up to the window's end
        begin = stream.index(w.inputs[0])
        assert stream[begin : begin + len(w.inputs)] == w.inputs
        assert stream[begin + w.first + 1] == w.targets[0]


def test_the_last_rolling_window_is_moved_back_to_be_full() -> None:
    windows = rq.rolling_windows(rq.RollingLogLikelihood(tuple(range(1, 11)), 4, 4, 0), 100)
    assert [w.inputs for w in windows] == [(0, 1, 2, 3), (4, 5, 6, 7), (6, 7, 8, 9)]
    assert windows[-1].targets == (9, 10)


@pytest.mark.parametrize(("side", "inputs"), [("left", (3, 4, 8)), ("right", (1, 2, 8))])
def test_context_is_truncated_on_the_side_that_was_asked(side: rq.Side, inputs: tuple[int, ...]) -> None:
    window, truncated, unscored = rq.loglikelihood_window(rq.LogLikelihood((1, 2, 3, 4), (8, 9), side), 3)
    assert (window.inputs, window.targets, truncated, unscored) == (inputs, (8, 9), 2, 0)


def test_a_target_longer_than_the_model_is_scored_as_far_as_it_goes() -> None:
    window, truncated, unscored = rq.loglikelihood_window(rq.LogLikelihood((1, 2), (5, 6, 7, 8)), 3)
    assert (window.inputs, window.targets, truncated, unscored) == ((2, 5, 6), (5, 6, 7), 1, 1)


@pytest.mark.parametrize(("side", "kept"), [("left", (4, 5, 9)), ("right", (1, 2, 9))])
def test_the_protected_end_of_a_prompt_stays(side: rq.Side, kept: tuple[int, ...]) -> None:
    request = rq.GenerateUntil((1, 2, 3, 4, 5, 9), 5, rq.Stop("never"), side, protected=1)
    assert rq.generation_prompt(request, 8) == ((1, 2, 3, 9), 4, 2) if side == "right" else True
    assert rq.generation_prompt(request, 6) == (kept, 3, 3)


@pytest.mark.parametrize(("positions", "room"), [(8, 5), (6, 5), (5, 2)])
def test_new_tokens_may_come_first(positions: int, room: int) -> None:
    request = rq.GenerateUntil((1, 2, 3, 4), 5, rq.Stop("never"), new_first=True)
    prompt, new_tokens, dropped = rq.generation_prompt(request, positions)
    assert new_tokens == room  # all that were asked for, where the model has more positions than that
    assert prompt == request.prompt[dropped:] and len(prompt) == min(4, positions - room)


@pytest.mark.parametrize(("side", "kept"), [("left", (3, 4, 5, 6)), ("right", (1, 2, 3, 4))])
def test_a_prompt_without_a_protected_end_is_cut_as_one(side: rq.Side, kept: tuple[int, ...]) -> None:
    request = rq.GenerateUntil((1, 2, 3, 4, 5, 6), 4, rq.Stop("never"), side, protected=0)
    assert rq.generation_prompt(request, 8) == (kept, 4, 2)
