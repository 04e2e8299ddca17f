"""The key-value cache against computing everything anew."""

import pytest
import torch

from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.kv_cache import KVCache

LENGTHS = [9, 4, 1, 6]


def ragged(model) -> tuple[list[torch.Tensor], torch.Tensor, KVCache]:
    """Rows of several lengths, the same left-padded with a token that would be noticed, and a cache for them."""
    rows = [torch.randint(0, model.config.vocab_size, (length,)) for length in LENGTHS]
    starts = [max(LENGTHS) - length for length in LENGTHS]
    padded = torch.full((len(rows), max(LENGTHS)), 13)
    for row, start, tokens in zip(padded, starts, rows, strict=True):
        row[start:] = tokens
    return rows, padded, KVCache(model.config, len(rows), 20, starts=starts)


@torch.no_grad()
def test_ragged_rows_continue_as_if_each_were_alone(lively):
    rows, padded, cache = ragged(lively)
    first = lively(padded, cache=cache)
    more = torch.randint(0, 257, (4, 3))  # several tokens at once
    second = lively(more, cache=cache)
    last = torch.randint(0, 257, (4, 1))
    third = lively(last, cache=cache)
    for index, row in enumerate(rows):
        whole = lively(torch.cat([row, more[index], last[index]])[None])[0]
        found = torch.cat([first[index, -len(row) :], second[index], third[index]])
        torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_equal_rows_continue_token_by_token_and_in_pieces(lively):
    tokens = torch.randint(0, 257, (2, 12))
    whole = lively(tokens)
    cache = KVCache(lively.config, 2, 12)
    pieces = [lively(piece, cache=cache) for piece in tokens.split([1, 4, 1, 6], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("gone", [[0], [3], [1, 3], [0, 1, 2]])
def test_rows_leave_and_the_others_go_on(lively, gone):
    rows, padded, cache = ragged(lively)
    lively(padded, cache=cache)
    order = cache.drop(gone)
    assert sorted(order) == [row for row in range(4) if row not in gone]
    assert cache.batch == len(order)
    token = torch.randint(0, 257, (len(order), 1))
    found = lively(token, cache=cache)
    for index, former in enumerate(order):
        whole = lively(torch.cat([rows[former], token[index]])[None])[0, -1]
        torch.testing.assert_close(found[index, 0], whole, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_one_prefix_has_many_endings(lively):
    rows, padded, cache = ragged(lively)
    lively(padded, cache=cache)
    copy = cache.select([1, 1, 0])
    endings = torch.randint(0, 257, (3, 2))
    found = lively(endings, cache=copy)
    for index, former in enumerate([1, 1, 0]):
        whole = lively(torch.cat([rows[former], endings[index]])[None])[0, -2:]
        torch.testing.assert_close(found[index], whole, rtol=1e-4, atol=1e-5)
    assert cache.length == 9, "the copy's tokens are not the original's"


def test_too_many_tokens_are_refused(lively):
    cache = KVCache(lively.config, 1, 4)
    with pytest.raises(ZeroscaleError, match="5 tokens do not fit the cache's 4 columns"):
        lively(torch.zeros(1, 5, dtype=torch.long), cache=cache)
    with pytest.raises(ZeroscaleError, match="49 tokens do not fit the model's context of 48"):
        lively(torch.zeros(1, 49, dtype=torch.long), cache=KVCache(lively.config, 1, 60))
    with pytest.raises(ZeroscaleError, match="has 2 rows"):
        KVCache(lively.config, 2, 4, starts=[1])
