"""Folders of texts of every kind, some of them damaged."""

import pytest
from fuzz.corpus_kinds import corpora
from fuzz.hunter import Hunter


def test_corpora(hunter: Hunter) -> None:
    hunter.by_number(corpora, 25)


@pytest.mark.slow
def test_corpora_at_length(hunter: Hunter) -> None:
    hunter.by_time(corpora)
