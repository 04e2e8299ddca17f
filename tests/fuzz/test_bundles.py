"""Bundles with damaged bytes, and with members that they should not have."""

import pytest
from fuzz.hunter import Hunter
from fuzz.record_kinds import bundles


def test_bundles(hunter: Hunter) -> None:
    hunter.by_number(bundles, 12)


@pytest.mark.slow
def test_bundles_at_length(hunter: Hunter) -> None:
    hunter.by_time(bundles)
