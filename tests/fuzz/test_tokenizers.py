"""Tokenizer files that are damaged, in a model's folder and for a corpus."""

import pytest
from fuzz.hunter import Hunter
from fuzz.model_kinds import tokenizers


def test_tokenizers(hunter: Hunter) -> None:
    hunter.by_number(tokenizers, 14)


@pytest.mark.slow
def test_tokenizers_at_length(hunter: Hunter) -> None:
    hunter.by_time(tokenizers)
