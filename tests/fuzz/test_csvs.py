"""CSVs of runs with odd cells, heads and bytes."""

import pytest
from fuzz.csv_kinds import csvs
from fuzz.hunter import Hunter, seeded
from hypothesis import given
from hypothesis.strategies import DataObject, data


@seeded(examples=14)
@given(drawn=data())
def test_csvs(hunter: Hunter, drawn: DataObject) -> None:
    hunter.drawn(csvs, drawn)


@pytest.mark.slow
def test_csvs_at_length(hunter: Hunter) -> None:
    hunter.by_time(csvs)
