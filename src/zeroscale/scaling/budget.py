"""What a run will cost before it starts: parameters, steps, FLOPs, memory per device, hours on named hardware."""

import math
from collections.abc import Sequence
from typing import Literal

from zeroscale.errors import ZeroscaleError
from zeroscale.scaling import hardware as table
from zeroscale.scaling.flops import Params, flops_6nd, flops_per_token, params
from zeroscale.scaling.plan import Memory, Plan

Precision = Literal["fp32", "bf16-mixed", "fp16-mixed", "bf16-true"]
Strategy = Literal["auto", "ddp", "fsdp"]
HEAD_CHUNK_TOKENS = 1024


def plan_cell(
    *,
    name: str,
    n_layer: int,
    d_model: int,
    n_head: int,
    vocab_size: int,
    n_positions: int,
    context: int,
    tokens: int,
    batch_tokens: int,
    micro_batch_rows: int | None = None,
    devices: int = 1,
    strategy: Strategy = "auto",
    precision: Precision = "fp32",
    lr: float | None = None,
    tied: bool = True,
    d_inner: int | None = None,
    hardware: str | None = None,
    mfu: float | None = None,
    head_chunk_tokens: int = HEAD_CHUNK_TOKENS,
    activation_checkpointing: bool = False,
) -> Plan:
    """Plans one cell from plain numbers.

    Args:
        tokens: trained on in all; a whole number of batches.
        batch_tokens: of one optimizer step, over all devices.
        micro_batch_rows: sequences of `context` tokens in one forward pass on one device; None: no accumulation.
        hardware: a device of `scaling.hardware`; others give no hours.
        mfu: share of the dense peak that the run is assumed to reach, of FLOPs with full attention counted.

    Raises:
        ZeroscaleError: sizes that do not divide, or a share outside (0, 1].
    """
    shape = dict(
        n_layer=n_layer, d_model=d_model, vocab_size=vocab_size, n_positions=n_positions, tied=tied, d_inner=d_inner
    )
    per_token = flops_per_token(**shape, context=context, n_head=n_head)
    rows, accumulation = _split_batch(batch_tokens, context, micro_batch_rows, devices)
    if tokens < 1 or tokens % batch_tokens:
        raise ZeroscaleError(f"{name}: tokens={tokens} is not a whole number of batches of batch_tokens={batch_tokens}")
    if mfu is not None and not 0 < mfu <= 1:
        raise ZeroscaleError(f"{name}: mfu={mfu} is impossible: it is a share, such as 0.4")
    counted = params(**shape, n_head=n_head)
    memory = memory_per_device(
        counted,
        n_layer=n_layer,
        d_model=d_model,
        d_inner=d_inner,
        vocab_size=vocab_size,
        micro_batch_tokens=rows * context,
        devices=devices,
        strategy=strategy,
        precision=precision,
        head_chunk_tokens=head_chunk_tokens,
        activation_checkpointing=activation_checkpointing,
    )
    hours, warnings = _hours(per_token * tokens, hardware, mfu, precision, devices, memory.total)
    return Plan(
        name=name,
        params=counted,
        tokens=tokens,
        steps=tokens // batch_tokens,
        batch_tokens=batch_tokens,
        micro_batch_rows=rows,
        accumulation=accumulation,
        lr=lr,
        flops=per_token * tokens,
        flops_6nd=flops_6nd(counted.non_embedding, tokens),
        memory=memory,
        devices=devices,
        strategy=strategy,
        precision=precision,
        hardware=hardware,
        mfu=mfu,
        hours=hours,
        warnings=warnings,
    )


def memory_per_device(
    counted: Params,
    *,
    n_layer: int,
    d_model: int,
    d_inner: int | None,
    vocab_size: int,
    micro_batch_tokens: int,
    devices: int,
    strategy: Strategy,
    precision: Precision,
    head_chunk_tokens: int = HEAD_CHUNK_TOKENS,
    activation_checkpointing: bool = False,
) -> Memory:
    """Bytes on one device, P weights, AdamW, attention that keeps no T x T scores.

        parameters   4 P, and 2 P more for the half-precision copies that autocast keeps until backward (mixed)
        gradients    4 P; the buckets that DDP sums over devices are these very numbers
        optimizer    8 P: AdamW's two moments in fp32
        activations  tokens · L · (8 d + h · (6 d + 2 i)) + tokens · 12 d + chunk · V · 8

    FSDP divides the first three by the number of devices, and holds one gathered block (8 bytes a weight, weights and
    gradients) besides. Activations, i = d_inner (4 d), h = 4 bytes (fp32) or 2 (mixed): of each layer backward needs
    the inputs of both layer norms (fp32: the residual stream stays so under autocast), and in h the outputs of both
    norms (2 d), q, k, v (3 d), attention's output (d), and the MLP's values before and after GELU (2 i). After the
    last layer: the final norm's input and output and the gradient (12 d in fp32), and one chunk of the head's logits
    with their gradient in fp32. Compare Korthikanti et al. 2022, equation 1 (34 s b h for bf16 with dropout masks;
    here 36 without them, because the residual stream is fp32).

    With bf16-true weights, gradients, moments and the residual stream take 2 bytes a number instead of 4, and autocast
    keeps no copies. With activation checkpointing each layer keeps its input alone, and one layer at a time the rest.
    """
    sharded = strategy == "fsdp" and devices > 1
    mixed, stored = precision.endswith("-mixed"), 2 if precision == "bf16-true" else 4
    inner = 4 * d_model if d_inner is None else d_inner
    share = devices if sharded else 1
    parameters = math.ceil(counted.total * (stored + (2 if mixed else 0)) / share)
    gradients = math.ceil(counted.total * stored / share)
    if sharded:
        parameters += 2 * stored * (counted.non_embedding // n_layer)
    width = 4 if precision == "fp32" else 2
    per_layer = 2 * stored * d_model + width * (6 * d_model + 2 * inner)
    layers = n_layer * stored * d_model + per_layer if activation_checkpointing else n_layer * per_layer
    logits = min(micro_batch_tokens, head_chunk_tokens) * vocab_size * 8
    activations = micro_batch_tokens * (layers + 3 * stored * d_model) + logits
    return Memory(parameters, gradients, math.ceil(2 * counted.total * stored / share), activations)


def render(plans: Sequence[Plan]) -> str:
    """A table with readable units, its total, and the warnings, for the terminal; without colours."""
    from zeroscale.scaling.plan_table import render_plans

    return render_plans(plans)


def _split_batch(batch_tokens: int, context: int, rows: int | None, devices: int) -> tuple[int, int]:
    """(rows of a micro-batch, micro-batches of a step): batch_tokens = context · rows · devices · accumulation."""
    if min(batch_tokens, context, devices, 1 if rows is None else rows) < 1:
        raise ZeroscaleError(
            f"batch_tokens={batch_tokens}, context={context}, micro_batch_rows={rows}, devices={devices}: "
            "each must be at least 1"
        )
    piece = context * devices * (rows or 1)
    if batch_tokens % piece:
        factors = f"context {context} x devices {devices}" + (f" x micro_batch_rows {rows}" if rows else "")
        near = max(1, round(batch_tokens / piece)) * piece
        raise ZeroscaleError(f"batch_tokens={batch_tokens} is not divisible by {factors} = {piece}; {near} would be")
    return (rows, batch_tokens // piece) if rows else (batch_tokens // piece, 1)


def _hours(
    flops: int, hardware: str | None, mfu: float | None, precision: str, devices: int, memory: int
) -> tuple[float | None, tuple[str, ...]]:
    if hardware is None:
        return None, ()
    entry = table.find(hardware)
    if entry is None:
        known = ", ".join(item.name for item in table.HARDWARE)
        return None, (f"{hardware} is not in the table of peaks, so there are no hours; known are {known}",)
    warnings = []
    if entry.memory_bytes is not None and memory > entry.memory_bytes:
        warnings.append(
            f"{memory / 2**30:.1f} GiB per device will not fit {entry.name}'s {entry.memory_bytes / 2**30:.0f} GiB: "
            "take fewer rows per micro-batch, or more devices with fsdp"
        )
    peak = table.peak_flops(hardware, precision)
    if peak is None:
        known = " or ".join(f"{dtype}-mixed" for dtype in entry.peaks)
        warnings.append(f"{entry.name} has no peak for {precision} in the table, so there are no hours; it has {known}")
    if mfu is None:
        warnings.append("no hours without a share of the peak: give mfu, such as mfu=0.4")
    if peak is None or mfu is None:
        return None, tuple(warnings)
    return flops / (peak * mfu * devices) / 3600, tuple(warnings)
