"""Sentences: a plain rule that never changes its mind about what it has seen."""

from hypothesis import given
from hypothesis import strategies as st

from zeroscale.eval.metrics import sentences


def test_splits_at_stops_and_line_breaks() -> None:
    text = ' He came. "Who?" she said! It cost 3.50 dollars.\nEnd '
    assert sentences.split(text) == ["He came.", '"Who?"', "she said!", "It cost 3.50 dollars.", "End"]


@given(st.text('ab.!?"\n ', max_size=40), st.text('ab.!?"\n ', max_size=20), st.integers(1, 3))
def test_the_first_n_stay_once_another_has_begun(text: str, more: str, n: int) -> None:
    if sentences.more_than(text, n):
        assert sentences.split(text + more)[:n] == sentences.split(text)[:n]
