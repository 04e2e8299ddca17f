"""CSVs of runs with odd cells, heads and bytes."""

import pytest
from fuzz.csv_kinds import csvs
from fuzz.hunter import PHASES, Hunter
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import DataObject, data


@settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=14,
    suppress_health_check=list(HealthCheck),
    phases=PHASES,
)
@given(drawn=data())
def test_csvs(hunter: Hunter, drawn: DataObject) -> None:
    hunter.drawn(csvs, drawn)


@pytest.mark.slow
def test_csvs_at_length(hunter: Hunter) -> None:
    hunter.by_time(csvs)
