"""Published rules by size, against numbers that their papers print."""

import pytest

from zeroscale.config.published_rules import RULES
from zeroscale.launch.plan import plan_run
from zeroscale.launch.plan_table import render
from zeroscale.model.flops import Params

RULE = {rule.name: rule for rule in RULES}


def size(number: int) -> Params:
    return Params(total=number, non_embedding=number, matmul=number)


def test_porian_et_al():
    # Their reference: 0.0047, 160 sequences of 2,048 tokens and a warm-up of N tokens at N = 108 M.
    at_reference = RULE["porian"].advise(size(108_000_000))
    assert at_reference.lr == pytest.approx(0.0047)
    assert at_reference.batch_tokens == pytest.approx(160 * 2048)
    assert at_reference.warmup_tokens == 108_000_000
    larger = RULE["porian"].advise(size(8 * 108_000_000))
    assert larger.lr == pytest.approx(0.0047 / 2) and larger.batch_tokens == pytest.approx(4 * 160 * 2048)


def test_kaplan_et_al():
    # Appendix D.6's formula by hand: ln 5e5 = 13.12, ln 1.5e9 = 21.13.
    assert RULE["kaplan"].advise(size(500_000)).lr == pytest.approx(0.003239 - 0.0001395 * 13.1224, rel=1e-5)
    assert RULE["kaplan"].advise(size(1_500_000_000)).lr == pytest.approx(0.003239 - 0.0001395 * 21.1287, rel=1e-4)
    assert RULE["kaplan"].advise(size(1_500_000_000)).batch_tokens is None


def test_the_plan_prints_the_rules_for_each_size_once_and_marks_what_they_do_not_cover():
    cell = {"n_layer": 12, "d_model": 768, "n_head": 12, "vocab_size": 50257, "n_positions": 1024, "context": 1024}
    small = {**cell, "n_layer": 1, "d_model": 16, "n_head": 1, "vocab_size": 257}
    run = {"tokens": 5_242_880, "batch_tokens": 524_288}
    text = render([plan_run(name=name, **cell, **run) for name in "ab"] + [plan_run(name="c", **small, **run)])
    assert text.count("rule porian: lr = 0.0047 (N/108M)^(-1/3)") == 1 and "Porian et al. 2024" in text
    porian = text.partition("rule porian")[2].partition("rule kaplan")[0].splitlines()
    assert [line for line in porian if "N = 124M" in line] == ["  N = 124M: lr 0.0045, batch 359k, warm-up 124M tokens"]
    assert [line.endswith("*") for line in porian if line.startswith("  N = ")] == [False, True]
