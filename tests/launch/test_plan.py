"""Plans against numbers worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch.plan import plan_run
from zeroscale.launch.plan_table import render
from zeroscale.model.memory import HEAD_BUFFER, RECOMPUTE_FROM

SMALL = dict(name="small", n_layer=12, d_model=768, n_head=12, vocab_size=50257, n_positions=1024, context=1024)
RUN = dict(tokens=8_912_896_000, batch_tokens=524_288, micro_batch_rows=16, devices=8, precision="bf16-mixed", lr=6e-4)
H100 = dict(hardware="H100_SXM", mfu=0.4)


def test_gpt2_small_on_eight_h100s():
    plan = plan_run(**SMALL, **RUN, **H100)
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
    tiny = dict(name="tiny", n_layer=2, d_model=4, n_head=2, vocab_size=100, n_positions=8, context=8)
    plan = plan_run(**tiny, tokens=64, batch_tokens=32, micro_batch_rows=2, device="cpu")
    total = 2 * (12 * 16 + 13 * 4) + 8 + 100 * 4 + 8 * 4
    assert plan.params.total == total
    memory = plan.memory
    assert (memory.parameters, memory.gradients, memory.optimizer) == (4 * total, 4 * total, 8 * total)
    # 16 tokens; in each of 2 layers 16 d values of 4 bytes, 2 heads' sums and 4 of the norms; the last norm's input and
    # output and the gradient by it; the logits.
    kept, last, logits = 16 * 2 * (16 * 4 * 4 + 4 * 2 + 16), 16 * 3 * 4 * 4, 16 * 100 * 4
    assert memory.activations == kept + last + logits
    # Two micro-batches: the first one's gradients are there in the second one's head.
    assert memory.peak == 16 * total + kept + last + logits + 100 * 4 * 4
    assert (plan.steps, plan.accumulation, plan.hours, plan.memory_ddp) == (2, 2, None, None)


def test_mixed_precision_and_devices_change_memory_as_stated():
    alone = plan_run(**SMALL, **{**RUN, "devices": 1, "precision": "fp32"}).memory
    mixed = plan_run(**SMALL, **{**RUN, "devices": 1}).memory
    plan = plan_run(**SMALL, **RUN)
    total = 124_439_808
    assert mixed.parameters == alone.parameters == 4 * total
    assert plan.memory == plan.memory_ddp and plan.memory_fsdp == plan_run(**SMALL, **RUN, strategy="fsdp").memory
    assert plan.memory_ddp.gradients == mixed.gradients == 4 * total
    assert plan.memory_fsdp.optimizer == total
    outside = total - (85_056_000 - 2 * 768)
    assert plan.memory_fsdp.parameters == 4 * total // 8 + 4 * (outside + 2 * 7_087_872)
    assert plan.memory_fsdp.peak < plan.memory_ddp.peak


def test_bf16_weights_and_recomputed_blocks_take_what_is_stated():
    run = {**RUN, "devices": 1}
    true = plan_run(**SMALL, **{**run, "precision": "bf16-true"}).memory
    total = 124_439_808
    assert (true.parameters, true.gradients, true.optimizer) == (2 * total, 2 * total, 4 * total)
    kept = plan_run(**SMALL, **run).memory
    recomputed = plan_run(**SMALL, **run, activation_checkpointing=True).memory
    # Of 12 layers' 36 d + 64 bytes a token, 12 inputs of 4 d and one layer's whole stay.
    assert kept.activations - recomputed.activations == 16 * 1024 * (11 * (36 * 768 + 64) - 12 * 4 * 768)


def test_the_heads_buffer_and_what_is_made_again_are_the_models_own():
    head = pytest.importorskip("zeroscale.model.loss")
    assert HEAD_BUFFER == {"cpu": head._CPU_BUFFER, "cuda": head._GPU_BUFFER}
    lean = pytest.importorskip("zeroscale.model.recompute")
    assert RECOMPUTE_FROM == lean.MIN_NUMBERS


def test_cost_is_hours_times_devices_times_price():
    plan = plan_run(**SMALL, **RUN, **H100, price=3.5)
    assert plan.cost == pytest.approx(plan.hours * 8 * 3.5)
    assert "cost: at 3.5 for one device and hour." in render([plan]) and "cost" not in render(
        [plan_run(**SMALL, **RUN)]
    )
    assert plan_run(**SMALL, **RUN, hardware="abacus", mfu=0.4, price=3.5).cost is None


def test_without_rows_a_step_is_one_micro_batch_on_each_device():
    plan = plan_run(**SMALL, tokens=32_768, batch_tokens=16_384, devices=4)
    assert (plan.micro_batch_rows, plan.accumulation) == (4, 1)


@given(rows=st.integers(1, 8), devices=st.integers(1, 8), accumulation=st.integers(1, 8), steps=st.integers(1, 50))
def test_the_batch_is_always_what_the_devices_do_together(rows, devices, accumulation, steps):
    batch = 1024 * rows * devices * accumulation
    plan = plan_run(**SMALL, tokens=steps * batch, batch_tokens=batch, micro_batch_rows=rows, devices=devices)
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
        plan_run(**{**SMALL, **RUN, **H100, **change})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hardware": "NVIDIA H100 PCIe"}, "not in the table of peaks"),
        ({"precision": "fp32"}, "no peak for fp32"),
        ({"mfu": None}, "give mfu"),
    ],
)
def test_no_hours_where_nothing_is_known(change, says):
    plan = plan_run(**{**SMALL, **RUN, **H100, **change})
    assert plan.hours is None
    assert len(plan.warnings) == 1
    assert says in plan.warnings[0]


def test_a_run_that_will_not_fit_is_warned_of():
    plan = plan_run(**{**SMALL, **RUN, **H100, "micro_batch_rows": 512, "devices": 1})
    assert plan.hours is not None
    assert "will not fit H100_SXM's 80 GiB" in plan.warnings[0]
    assert "trainer.activation_checkpointing=true" in plan.warnings[0]


def test_what_fits_sharded_says_so():
    xl = dict(name="xl", n_layer=48, d_model=1600, n_head=25, vocab_size=50257, n_positions=1024, context=1024)
    plan = plan_run(**xl, **{**RUN, "micro_batch_rows": 8}, hardware="A100_40GB", mfu=0.4)
    assert plan.memory_fsdp.peak < 39 * 2**30 < plan.memory.peak
    assert f"trainer.strategy=fsdp ({plan.memory_fsdp.peak / 2**30:.1f} GiB)" in plan.warnings[0]


def test_the_table_shows_units_totals_and_each_warning_once():
    cell = {**SMALL, **RUN, "hardware": "abacus", "mfu": 0.4}
    text = render([plan_run(**{**cell, "name": "a"}), plan_run(**{**cell, "name": "b"})])
    assert "124M" in text
    assert "85.1M" in text
    assert "17,000" in text
    total = next(line for line in text.splitlines() if "total of 2" in line)
    assert "17.8B" in total
    assert "34,000" in total
    assert text.count("abacus is not in the table") == 1
    assert "warning (a, b)" in text
    assert "\x1b" not in text
    hours = render([plan_run(**SMALL, **RUN, **H100)])
    assert "40 min" in hours
    assert "8 x H100_SXM" in hours
