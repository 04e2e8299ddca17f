"""Requests made ahead, and progress in words."""

import threading

import pytest

from zeroscale.core.errors import ZeroscaleError
from zeroscale.eval.engine import prefetch


def test_the_next_is_made_while_this_one_is_worked_on_and_no_more_than_that():
    made: list[int] = []
    second = threading.Event()

    def make(number: int) -> str:
        made.append(number)
        if number == 1:
            second.set()
        return f"made of {number}"

    found = []
    for number, get in prefetch.prefetch(range(5), make):
        found.append((number, get()))
        if number == 0:
            assert second.wait(5), "the second is made before it is asked for"
        assert len(made) <= number + 2
    assert found == [(number, f"made of {number}") for number in range(5)]


def test_a_fault_is_raised_where_its_own_is_asked_for_and_the_others_go_on():
    def make(number: int) -> int:
        if number == 1:
            raise ZeroscaleError("nothing to ask")
        return number

    found = []
    for number, get in prefetch.prefetch(range(3), make):
        if number == 1:
            with pytest.raises(ZeroscaleError, match="nothing to ask"):
                get()
        else:
            found.append(get())
    assert found == [0, 2]
    assert list(prefetch.prefetch([], make)) == []


def test_time_left_counts_what_this_attempt_did(monkeypatch):
    clock = iter([0.0, 0.0, 30.0, 30.9, 60.0, 70.0])
    monkeypatch.setattr(prefetch.time, "monotonic", lambda: next(clock))
    said: list[str] = []
    tick = prefetch.progress_printer("lambada", 5153, said.append)
    for share in (0.4, 0.5, 0.52, 0.6, 1.0):  # an earlier attempt did the first 40 %
        tick(share)
    assert said == [
        "lambada: 50 % of 5,153 examples, 2:30 left",
        "lambada: 60 % of 5,153 examples, 2:00 left",
    ]
