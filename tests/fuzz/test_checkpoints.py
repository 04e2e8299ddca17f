"""Checkpoints whose settings, weights or names are damaged."""

import pytest
from fuzz.hunter import Hunter
from fuzz.model_kinds import checkpoints


def test_checkpoints(hunter: Hunter) -> None:
    hunter.by_number(checkpoints, 14)


@pytest.mark.slow
def test_checkpoints_at_length(hunter: Hunter) -> None:
    hunter.by_time(checkpoints)
