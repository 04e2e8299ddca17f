"""Command lines with strange keys and values."""

import pytest
from fuzz.hunter import PHASES, Hunter
from fuzz.override_kinds import overrides
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import DataObject, data


@settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=list(HealthCheck),
    phases=PHASES,
)
@given(drawn=data())
def test_overrides(hunter: Hunter, drawn: DataObject) -> None:
    hunter.drawn(overrides, drawn)


@pytest.mark.slow
def test_overrides_at_length(hunter: Hunter) -> None:
    hunter.by_time(overrides)
