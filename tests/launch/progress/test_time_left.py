"""What a sweep says of the time that is left, by a clock of the test's own."""

import pytest

from zeroscale.launch.progress.time_left import Cost, TimeLeft


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def costs(*flops: float) -> dict[str, Cost]:
    return {f"run-{place}": Cost(one, one) for place, one in enumerate(flops)}


def test_nothing_is_said_before_anything_is_known(clock):
    left = TimeLeft(costs(1, 1), clock=clock)
    left.begin("run-0")
    assert left.whole() is None


def test_a_run_of_the_same_kind_takes_as_long_as_the_one_before(clock):
    left = TimeLeft(costs(1, 1, 1), clock=clock)
    left.begin("run-0")
    clock.now += 40
    assert left.end("run-0", done=True) == 40
    assert left.whole() == pytest.approx(80)
    left.begin("run-1")
    clock.now += 10
    assert left.whole() == pytest.approx(70)
    left.progress("run-1", 90)
    assert left.whole() == pytest.approx(90 + 40)


def test_a_kind_that_nobody_has_finished_takes_what_its_flops_take(clock):
    left = TimeLeft(costs(1, 3), clock=clock)
    left.begin("run-0")
    clock.now += 5
    left.progress("run-0", 15)
    # 20 s for the first, 60 s for the second.
    assert left.whole() == pytest.approx(15 + 60)


def test_several_at_once_share_what_is_left(clock):
    left = TimeLeft(costs(1, 1, 1, 1), at_once=2, clock=clock)
    for name in ("run-0", "run-1"):
        left.begin(name)
        left.progress(name, 30)
    assert left.whole() == pytest.approx((30 + 30 + 30 + 30) / 2)
    clock.now += 30
    for name in ("run-0", "run-1", "run-2"):
        left.end(name, done=name != "run-2")
    # The last one cannot be shared.
    left.begin("run-3")
    assert left.whole() == pytest.approx(30)


def test_what_was_done_before_and_what_is_no_run_of_the_sweep_is_not_counted(clock):
    left = TimeLeft(costs(1, 1), clock=clock)
    left.end("run-0", done=False)
    left.begin("a trunk")
    assert left.end("a trunk", done=True) is None
    left.begin("run-1")
    left.progress("run-1", 12)
    assert left.whole() == pytest.approx(12)
