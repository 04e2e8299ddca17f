"""Plans against numbers worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroscale.errors import ZeroscaleError
from zeroscale.scaling.budget import plan_cell, render

SMALL = dict(name="small", n_layer=12, d_model=768, n_head=12, vocab_size=50257, n_positions=1024, context=1024)
RUN = dict(tokens=8_912_896_000, batch_tokens=524_288, micro_batch_rows=16, devices=8, precision="bf16-mixed", lr=6e-4)
H100 = dict(hardware="H100_SXM", mfu=0.4)


def test_gpt2_small_on_eight_h100s():
    plan = plan_cell(**SMALL, **RUN, **H100)
    assert plan.params.total == 124_439_808
    assert plan.steps == 17_000
    assert plan.accumulation == 4  # 524,288 / (16 rows x 1,024 x 8 devices)
    # 124,439,808 - 1,024 x 768 weights meet a token; attention is 12 x 12 layers x 768 x 1,024.
    per_token = 6 * 123_653_376 + 113_246_208
    assert plan.flops == per_token * 8_912_896_000
    assert plan.flops_6nd == 6 * 85_056_000 * 8_912_896_000
    assert plan.hours == pytest.approx(per_token * 8_912_896_000 / (8 * 989.4e12 * 0.4) / 3600, rel=1e-12)
    assert plan.warnings == ()


def test_memory_in_fp32_on_one_device_by_hand():
    tiny = dict(name="tiny", n_layer=2, d_model=4, n_head=2, vocab_size=10, n_positions=8, context=8)
    plan = plan_cell(**tiny, tokens=64, batch_tokens=32, micro_batch_rows=2)
    total = 2 * (12 * 16 + 13 * 4) + 8 + 10 * 4 + 8 * 4
    assert plan.params.total == total
    assert plan.memory.parameters == 4 * total
    assert plan.memory.gradients == 4 * total
    assert plan.memory.optimizer == 8 * total
    # 16 tokens; 16 d values of 4 bytes in each of 2 layers, 3 d behind them, logits and their gradient.
    assert plan.memory.activations == 16 * (2 * 16 * 4 * 4 + 3 * 4 * 4) + 16 * 10 * 8
    assert plan.memory.total == 16 * total + plan.memory.activations
    assert (plan.steps, plan.accumulation, plan.hours) == (2, 2, None)


def test_mixed_precision_and_devices_change_memory_as_stated():
    alone = plan_cell(**SMALL, **{**RUN, "devices": 1, "precision": "fp32"}).memory
    mixed = plan_cell(**SMALL, **{**RUN, "devices": 1}).memory
    ddp = plan_cell(**SMALL, **RUN).memory
    fsdp = plan_cell(**SMALL, **RUN, strategy="fsdp").memory
    total = 124_439_808
    assert mixed.parameters - alone.parameters == 2 * total
    # 36 d bytes a token and layer instead of 64 d.
    assert alone.activations - mixed.activations == 16 * 1024 * 12 * 28 * 768
    assert ddp.gradients == mixed.gradients == 4 * total
    assert fsdp.optimizer == total
    assert fsdp.parameters == 6 * total // 8 + 8 * (85_056_000 // 12)


def test_bf16_weights_and_recomputed_blocks_take_what_is_stated():
    run = {**RUN, "devices": 1}
    true = plan_cell(**SMALL, **{**run, "precision": "bf16-true"}).memory
    total = 124_439_808
    assert (true.parameters, true.gradients, true.optimizer) == (2 * total, 2 * total, 4 * total)
    kept = plan_cell(**SMALL, **run).memory
    recomputed = plan_cell(**SMALL, **run, activation_checkpointing=True).memory
    # Of 12 layers' 36 d bytes a token, 12 inputs of 4 d and one layer's 36 d stay.
    assert kept.activations - recomputed.activations == 16 * 1024 * 768 * (12 * 36 - 12 * 4 - 36)


def test_without_rows_a_step_is_one_micro_batch_on_each_device():
    plan = plan_cell(**SMALL, tokens=32_768, batch_tokens=16_384, devices=4)
    assert (plan.micro_batch_rows, plan.accumulation) == (4, 1)


@given(rows=st.integers(1, 8), devices=st.integers(1, 8), accumulation=st.integers(1, 8), steps=st.integers(1, 50))
def test_the_batch_is_always_what_the_devices_do_together(rows, devices, accumulation, steps):
    batch = 1024 * rows * devices * accumulation
    plan = plan_cell(**SMALL, tokens=steps * batch, batch_tokens=batch, micro_batch_rows=rows, devices=devices)
    assert (plan.steps, plan.accumulation) == (steps, accumulation)
    assert plan.flops_6nd < plan.flops


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tokens": 524_289}, "not a whole number of batches"),
        (
            {"batch_tokens": 500_000},
            r"not divisible by context 1024 x devices 8 x micro_batch_rows 16 = 131072; 524288",
        ),
        ({"devices": 0}, "at least 1"),
        ({"mfu": 40}, "a share, such as 0.4"),
        ({"context": 4096}, "longer than n_positions"),
    ],
)
def test_what_does_not_divide_is_said(change, says):
    with pytest.raises(ZeroscaleError, match=says):
        plan_cell(**{**SMALL, **RUN, **H100, **change})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hardware": "NVIDIA H100 PCIe"}, "not in the table of peaks"),
        ({"precision": "fp32"}, "no peak for fp32"),
        ({"mfu": None}, "give mfu"),
    ],
)
def test_no_hours_where_nothing_is_known(change, says):
    plan = plan_cell(**{**SMALL, **RUN, **H100, **change})
    assert plan.hours is None
    assert len(plan.warnings) == 1
    assert says in plan.warnings[0]


def test_a_run_that_will_not_fit_is_warned_of():
    plan = plan_cell(**{**SMALL, **RUN, **H100, "micro_batch_rows": 512, "devices": 1})
    assert plan.hours is not None
    assert "will not fit H100_SXM's 80 GiB" in plan.warnings[0]


def test_the_table_shows_units_totals_and_each_warning_once():
    cell = {**SMALL, **RUN, "hardware": "abacus", "mfu": 0.4}
    text = render([plan_cell(**{**cell, "name": "a"}), plan_cell(**{**cell, "name": "b"})])
    assert "124M" in text
    assert "85.1M" in text
    assert "17,000" in text
    total = next(line for line in text.splitlines() if "total of 2" in line)
    assert "17.8B" in total
    assert "34,000" in total
    assert text.count("abacus is not in the table") == 1
    assert "warning (a, b)" in text
    assert "\x1b" not in text
    hours = render([plan_cell(**SMALL, **RUN, **H100)])
    assert "40 min" in hours
    assert "8 x H100_SXM" in hours
