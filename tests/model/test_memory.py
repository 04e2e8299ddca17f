"""The plan's memory beside the allocations that torch's profiler sees, and what a training process measures."""

from dataclasses import replace
from itertools import accumulate
from types import SimpleNamespace

import pytest

from zeroscale.model.flops import params
from zeroscale.model.memory import Shape, Step, memory_per_device

NEAR = 0.15


def sizes(n_layer: int, d_model: int, n_head: int, vocab_size: int, context: int) -> Shape:
    counted = params(n_layer=n_layer, d_model=d_model, vocab_size=vocab_size, n_positions=context)
    return Shape(n_layer, d_model, n_head, 4 * d_model, vocab_size, counted)


def tracked_peak(shape: Shape, context: int, step: Step) -> int:
    """Bytes of live tensors at the peak of the second step: every allocation and release that torch's profiler sees."""
    torch = pytest.importorskip("torch")
    from zeroscale.model.config import GPTConfig
    from zeroscale.model.gpt import GPT
    from zeroscale.training import distributed
    from zeroscale.training.optimizer import adamw

    config = GPTConfig(
        vocab_size=shape.vocab_size,
        n_positions=context,
        n_layer=shape.n_layer,
        d_model=shape.d_model,
        n_head=shape.n_head,
    )
    gpt = GPT(config)
    if step.precision == "bf16-true":
        gpt.to(torch.bfloat16)
    if step.activation_checkpointing:
        distributed.checkpoint_activations(gpt)
    optimizer = adamw(list(gpt.parameters()), SimpleNamespace(weight_decay=0.1, betas=(0.9, 0.95), eps=1e-8), 1e-3)
    ids = torch.randint(0, shape.vocab_size, (step.micro_batch_tokens // context, context))

    def one_step() -> None:
        for _ in range(step.accumulation):
            with torch.autocast("cpu", torch.bfloat16, enabled=step.precision == "bf16-mixed"):
                loss = gpt.loss(ids, ids)
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    one_step()
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, profile_memory=True) as profile:
        one_step()
    events = profile.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    before = sum(parameter.nbytes for parameter in gpt.parameters()) * 3  # with AdamW's moments
    return before + max(accumulate(change for _, change in changes))


SHAPES = (
    (sizes(4, 128, 4, 2048, 128), 128, {}),
    (sizes(4, 128, 4, 2048, 128), 128, {"micro_batch_tokens": 8192}),
    (sizes(4, 128, 4, 2048, 128), 128, {"accumulation": 2}),
    (sizes(6, 128, 4, 2048, 128), 128, {"micro_batch_tokens": 8192, "activation_checkpointing": True}),
    (sizes(2, 256, 4, 50257, 256), 256, {}),
)
# Without instructions of its own a processor computes bf16 many times slower than fp32: the first shape stands for it.
SLOW = pytest.mark.slow
PRECISIONS = [
    pytest.param(*case, precision, marks=SLOW if precision != "fp32" and number else ())
    for number, case in enumerate(SHAPES)
    for precision in ("fp32", "bf16-mixed", "bf16-true")
]


@pytest.mark.parametrize(("shape", "context", "change", "precision"), PRECISIONS)
def test_the_peak_is_what_torchs_profiler_sees(shape, context, change, precision):
    base = Step(micro_batch_tokens=1024, accumulation=1, devices=1, strategy="auto", precision=precision, device="cpu")
    step = replace(base, **change)
    measured = tracked_peak(shape, context, step)
    assert memory_per_device(shape, step).peak == pytest.approx(measured, rel=NEAR)
