"""What a run will cost before it starts: parameters, steps, FLOPs, memory per device, hours on named hardware."""

from dataclasses import dataclass, replace

from zeroscale.core import accelerators as table
from zeroscale.core.errors import ZeroscaleError
from zeroscale.launch.speed.speed import Speed
from zeroscale.model.flops import Params, flops_6nd, flops_per_token, params
from zeroscale.model.memory import Device, Memory, Precision, Shape, Step, Strategy, memory_per_device
from zeroscale.training.optimizer import states_of

# What CUDA, its libraries' workspaces and the allocator's gaps take beside the tensors: none of it is in `Memory`.
RESERVED_BYTES = 2**30


@dataclass(frozen=True)
class Plan:
    """What one run will cost. `hours` is None where the hardware is unknown or not given; then a warning says why."""

    name: str
    params: Params
    tokens: int
    steps: int
    batch_tokens: int
    micro_batch_rows: int
    accumulation: int
    lr: float | None
    flops: int
    """Forward and backward over all tokens, full attention: 6 matmul + 12 L d T for each."""
    flops_6nd: int
    memory: Memory
    """With this strategy, on this many devices; beside it what DDP and FSDP would take, None on one device."""
    memory_ddp: Memory | None
    memory_fsdp: Memory | None
    devices: int
    strategy: str
    precision: str
    device: str
    """"cpu" or "cuda": what the memory is reckoned for."""
    hardware: str | None
    mfu: float | None
    hours: float | None
    """Wall-clock hours of all devices together, training steps only: flops / (peak · mfu · devices) / 3600."""
    cost: float | None
    """hours · devices · price, in the price's currency."""
    price: float | None
    warnings: tuple[str, ...]
    speed: Speed | None = None
    """Of this machine, where the hours are by that."""

    def at(self, speed: Speed) -> "Plan":
        """The same with the hours that this machine takes at a speed that was seen on it."""
        middle, _, _ = speed.hours(self.tokens)
        cost = None if self.price is None else middle * self.devices * self.price
        return replace(self, hours=middle, speed=speed, cost=cost)

    @property
    def hours_range(self) -> tuple[float, float] | None:
        """The fewest and the most hours by the speeds that were seen on this machine."""
        return None if self.speed is None else self.speed.hours(self.tokens)[1:]


def plan_run(
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
    optimizer: str = "adamw",
    tied: bool = True,
    d_inner: int | None = None,
    hardware: str | None = None,
    mfu: float | None = None,
    price: float | None = None,
    device: Device = "cuda",
    activation_checkpointing: bool = False,
    compiled: bool = False,
) -> Plan:
    """Plan one run from plain numbers.

    Args:
        tokens: trained on in all; a whole number of batches.
        batch_tokens: of one optimizer step, over all devices.
        optimizer: a name of `training.optimizer.OPTIMIZERS` or module:name, for the memory of its states.
        micro_batch_rows: sequences of `context` tokens in one forward pass on one device; None: no accumulation.
        hardware: a device of `scaling.hardware`; others give no hours.
        mfu: share of the dense peak that the run is assumed to reach, of FLOPs with full attention counted.
        price: of one device for an hour.
        device: what a step is computed on, for its memory.

    Raises:
        ZeroscaleError: sizes that do not divide, or a share outside (0, 1].
    """
    counts = params(
        n_layer=n_layer,
        d_model=d_model,
        n_head=n_head,
        vocab_size=vocab_size,
        n_positions=n_positions,
        tied=tied,
        d_inner=d_inner,
    )
    per_token = flops_per_token(
        n_layer=n_layer,
        d_model=d_model,
        n_head=n_head,
        vocab_size=vocab_size,
        n_positions=n_positions,
        tied=tied,
        d_inner=d_inner,
        context=context,
    )
    rows, accumulation = _split_batch(batch_tokens, context, micro_batch_rows, devices)
    if tokens < 1 or tokens % batch_tokens:
        raise ZeroscaleError(f"{name}: tokens={tokens} is not a whole number of batches of batch_tokens={batch_tokens}")
    if mfu is not None and not 0 < mfu <= 1:
        raise ZeroscaleError(f"{name}: mfu={mfu} is impossible: it is a share, such as 0.4")
    sizes = Shape(n_layer, d_model, n_head, 4 * d_model if d_inner is None else d_inner, vocab_size, counts)
    states = states_of(optimizer)
    step = Step(
        rows * context, accumulation, devices, strategy, precision, device, activation_checkpointing, compiled, states
    )
    memory = memory_per_device(sizes, step)
    sharded = memory_per_device(sizes, replace(step, strategy="fsdp")) if devices > 1 else None
    hours, warnings = _hours(per_token * tokens, hardware, mfu, precision, devices)
    warnings = (*_misfit(hardware, memory, sharded, step), *warnings)
    return Plan(
        name=name,
        params=counts,
        tokens=tokens,
        steps=tokens // batch_tokens,
        batch_tokens=batch_tokens,
        micro_batch_rows=rows,
        accumulation=accumulation,
        lr=lr,
        flops=per_token * tokens,
        flops_6nd=flops_6nd(counts.non_embedding, tokens),
        memory=memory,
        memory_ddp=memory_per_device(sizes, replace(step, strategy="ddp")) if devices > 1 else None,
        memory_fsdp=sharded,
        devices=devices,
        strategy=strategy,
        precision=precision,
        device=device,
        hardware=hardware,
        mfu=mfu,
        hours=hours,
        cost=None if hours is None or price is None else hours * devices * price,
        price=price,
        warnings=warnings,
    )


def _split_batch(batch_tokens: int, context: int, rows: int | None, devices: int) -> tuple[int, int]:
    """(rows of a micro-batch, micro-batches of a step): batch_tokens = context · rows · devices · accumulation."""
    if min(batch_tokens, context, devices, 1 if rows is None else rows) < 1:
        raise ZeroscaleError(
            f"batch_tokens={batch_tokens}, context={context}, micro_batch_rows={rows}, devices={devices}: "
            "each must be at least 1"
        )
    unit = context * devices * (rows or 1)
    if batch_tokens % unit:
        factors = f"context {context} x devices {devices}" + (f" x micro_batch_rows {rows}" if rows else "")
        near = max(1, round(batch_tokens / unit)) * unit
        raise ZeroscaleError(f"batch_tokens={batch_tokens} is not divisible by {factors} = {unit}; {near} would be")
    return (rows, batch_tokens // unit) if rows else (batch_tokens // unit, 1)


def _misfit(hardware: str | None, memory: Memory, sharded: Memory | None, step: Step) -> tuple[str, ...]:
    """Whether the peak of a step fits the device, and what to do where it does not."""
    entry = table.find(hardware) if hardware else None
    if entry is None or entry.memory_bytes is None:
        return ()
    available = entry.memory_bytes - RESERVED_BYTES
    if memory.peak <= available:
        return ()
    remedies = []
    if sharded is not None and not step.sharded and sharded.peak <= available:
        remedies.append(f"trainer.strategy=fsdp ({sharded.peak / 2**30:.1f} GiB)")
    if not step.activation_checkpointing:
        remedies.append("trainer.activation_checkpointing=true")
    remedies.append("a smaller trainer.micro_batch_tokens")
    remedies.append("more devices with trainer.strategy=fsdp")
    return (
        f"{memory.peak / 2**30:.1f} GiB per device will not fit {entry.name}'s {entry.memory_bytes / 2**30:.0f} GiB "
        f"(1 GiB of them is CUDA's own): take {', '.join(remedies[:-1])}, or {remedies[-1]}",
    )


def _hours(
    flops: int, hardware: str | None, mfu: float | None, precision: str, devices: int
) -> tuple[float | None, tuple[str, ...]]:
    if hardware is None:
        return None, ()
    entry = table.find(hardware)
    if entry is None:
        known = ", ".join(item.name for item in table.HARDWARE)
        return None, (f"{hardware} is not in the table of peaks, so there are no hours; known are {known}",)
    warnings = []
    peak = table.peak_flops(hardware, precision)
    if peak is None:
        known = " or ".join(f"{dtype}-mixed" for dtype in entry.peaks)
        warnings.append(
            f"{entry.name} has no peak for {precision} in the table, so there are no hours; it has one for "
            f"trainer.precision={known}"
        )
    if mfu is None:
        warnings.append("no hours without a share of the peak: give mfu, such as mfu=0.4")
    if peak is None or mfu is None:
        return None, tuple(warnings)
    return flops / (peak * mfu * devices) / 3600, tuple(warnings)
