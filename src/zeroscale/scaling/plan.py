"""What a plan says: plain numbers, made by `budget` and shown by `plan_table`."""

from dataclasses import dataclass

from zeroscale.scaling.flops import Params


@dataclass(frozen=True)
class Memory:
    """Bytes on one device at the peak of a step: an estimate by the formulas of `budget.memory_per_device`."""

    parameters: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.parameters + self.gradients + self.optimizer + self.activations


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
    devices: int
    strategy: str
    precision: str
    hardware: str | None
    mfu: float | None
    hours: float | None
    """Wall-clock hours of all devices together, training steps only: flops / (peak · mfu · devices) / 3600."""
    warnings: tuple[str, ...]
