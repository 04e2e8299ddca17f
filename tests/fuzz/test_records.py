"""A study's files, damaged, by every command that reads them."""

import pytest
from fuzz.hunter import Hunter
from fuzz.record_kinds import records


def test_records(hunter: Hunter) -> None:
    hunter.by_number(records, 14)


@pytest.mark.slow
def test_records_at_length(hunter: Hunter) -> None:
    hunter.by_time(records)
