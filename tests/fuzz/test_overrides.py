"""Command lines with strange keys and values."""

import pytest
from fuzz.hunter import Hunter, seeded
from fuzz.override_kinds import overrides
from hypothesis import given
from hypothesis.strategies import DataObject, data


@seeded(examples=60)
@given(drawn=data())
def test_overrides(hunter: Hunter, drawn: DataObject) -> None:
    hunter.drawn(overrides, drawn)


@pytest.mark.slow
def test_overrides_at_length(hunter: Hunter) -> None:
    hunter.by_time(overrides)
