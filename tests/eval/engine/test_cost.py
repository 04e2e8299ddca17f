"""What answering took: sums, differences, words."""

import pytest

from zeroscale.eval.engine.cost import Usage, add_costs, describe, with_rate


def test_costs_add_up_and_of_memory_the_largest_counts():
    first = Usage(seconds=1.5, tokens=10, padding=1, saved=5, peak_memory=300)
    both = first.add(Usage(seconds=0.5, tokens=20, new_tokens=4, peak_memory=200))
    assert both == Usage(2.0, 30, 1, 5, 4, 300)
    assert both.since(first) == Usage(0.5, 20, 0, 0, 4, 300)
    assert add_costs({}, {"tokens": 3, "peak_memory": 7}) == {"tokens": 3, "peak_memory": 7}


def test_the_rate_is_tokens_over_seconds_and_nothing_for_nothing():
    assert with_rate({"tokens": 30, "seconds": 2.0})["tokens_per_second"] == 15
    assert with_rate({})["tokens_per_second"] == 0


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ({}, ""),
        ({"tokens": 9000, "seconds": 3.0}, "9,000 tokens computed (3,000/s)"),
        (
            {"tokens": 900, "seconds": 3.0, "saved": 2700, "padding": 100, "peak_memory": 3 * 2**29},
            "900 tokens computed (300/s), 75% saved by sharing, 10% padding, peak memory 1.5 GiB",
        ),
    ],
)
def test_in_words(cost, expected):
    assert describe(cost) == expected
