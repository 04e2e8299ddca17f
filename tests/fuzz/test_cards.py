"""Cards of one's own, and their rows, that are damaged."""

import pytest
from fuzz.hunter import Hunter
from fuzz.model_kinds import cards


def test_cards(hunter: Hunter) -> None:
    hunter.by_number(cards, 14)


@pytest.mark.slow
def test_cards_at_length(hunter: Hunter) -> None:
    hunter.by_time(cards)
