"""Counts of parameters and FLOPs against the published figures of the GPT-2 models."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.flops import flops_6nd, flops_per_token, params

# Sizes: Radford et al. 2019, table 2; counts: of the released weights. Vocabulary 50257, context 1024.
GPT2 = {
    "small": dict(n_layer=12, d_model=768, n_head=12),
    "medium": dict(n_layer=24, d_model=1024, n_head=16),
    "large": dict(n_layer=36, d_model=1280, n_head=20),
    "xl": dict(n_layer=48, d_model=1600, n_head=25),
}
TOTAL = {"small": 124_439_808, "medium": 354_823_168, "large": 774_030_080, "xl": 1_557_611_200}
NON_EMBEDDING = {"small": 85_056_000, "medium": 302_311_424, "large": 708_390_400, "xl": 1_475_561_600}
# GFLOPs per token, forward and backward: 6 (N - position embeddings) + 12 L d T, and + 6 L d T.
GFLOPS_FULL = {"small": 0.8552, "medium": 2.4246, "large": 5.2025, "xl": 10.2796}
GFLOPS_CAUSAL = {"small": 0.7985, "medium": 2.2736, "large": 4.9194, "xl": 9.8077}


def shape(size: str) -> dict[str, int]:
    return {**GPT2[size], "vocab_size": 50257, "n_positions": 1024}


@pytest.mark.parametrize("size", GPT2)
def test_parameters_are_those_of_the_released_models(size):
    counted = params(**shape(size))
    assert counted.total == TOTAL[size]
    assert counted.non_embedding == NON_EMBEDDING[size]
    assert counted.matmul == TOTAL[size] - 1024 * GPT2[size]["d_model"]


@pytest.mark.parametrize("size", GPT2)
def test_flops_per_token_are_the_published_ones(size):
    full = flops_per_token(**shape(size), context=1024)
    causal = flops_per_token(**shape(size), context=1024, attention="causal")
    assert round(full / 1e9, 4) == GFLOPS_FULL[size]
    assert round(causal / 1e9, 4) == GFLOPS_CAUSAL[size]


@pytest.mark.parametrize(("size", "full_misses", "causal_misses"), [("small", 40, 36), ("xl", 14, 10)])
def test_6nd_misses_the_published_share(size, full_misses, causal_misses):
    short = flops_6nd(NON_EMBEDDING[size], 1)
    full = flops_per_token(**shape(size), context=1024)
    causal = flops_per_token(**shape(size), context=1024, attention="causal")
    assert round(100 * (1 - short / full)) == full_misses
    assert round(100 * (1 - short / causal)) == causal_misses


@given(
    n_layer=st.integers(1, 100),
    d_model=st.integers(1, 10_000),
    vocab_size=st.integers(1, 300_000),
    n_positions=st.integers(1, 100_000),
    tied=st.booleans(),
)
def test_an_untied_head_changes_only_the_total(n_layer, d_model, vocab_size, n_positions, tied):
    sizes = dict(n_layer=n_layer, d_model=d_model, vocab_size=vocab_size, n_positions=n_positions)
    counted = params(**sizes, tied=tied)
    assert counted.non_embedding < counted.matmul < counted.total
    assert counted.matmul - counted.non_embedding == vocab_size * d_model
    other = params(**sizes, tied=not tied)
    assert (other.non_embedding, other.matmul) == (counted.non_embedding, counted.matmul)
    assert abs(other.total - counted.total) == vocab_size * d_model


def test_a_narrow_mlp_is_counted():
    narrow = params(**shape("small"), d_inner=768)
    # Two matrices 768 x 3072 become 768 x 768, and one bias of 3072 becomes 768, in each of 12 blocks.
    assert TOTAL["small"] - narrow.total == 12 * (2 * 768 * (3072 - 768) + (3072 - 768))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n_layer": 0}, "n_layer=0"),
        ({"context": 2048}, "longer than n_positions=1024"),
        ({"attention": "half"}, "'full' or 'causal'"),
    ],
)
def test_impossible_sizes_are_named(change, says):
    with pytest.raises(ZeroscaleError, match=says):
        flops_per_token(**{**shape("small"), "context": 1024, **change})


def test_import_stays_light():
    code = (
        "import sys; import zeroscale.model.flops, zeroscale.launch.plan, zeroscale.core.accelerators;"
        "heavy = {'torch', 'numpy', 'pandas', 'scipy', 'rich', 'yaml'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
