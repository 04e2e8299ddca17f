"""What a plan says: plain numbers, made by `budget` and shown by `plan_table`."""

from dataclasses import dataclass

from zeroscale.model.flops import Params
from zeroscale.model.memory import Memory


@dataclass(frozen=True)
class Plan:
    """What one cell will cost. `hours` is None where the hardware is unknown or not given; then a warning says why."""

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
