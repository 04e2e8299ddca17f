"""What fit.json says of the runs that count: `choice`, the settings that were chosen, and `options`."""

from dataclasses import dataclass, field

from zeroscale.core.json_records import Record

Value = str | int | float | bool | None
"""Of a setting; as runs/axes.py has it."""


@dataclass(frozen=True, kw_only=True)
class SettingMean(Record):
    """One setting of a size: its runs' mean loss in nats per token, and the standard deviation of that mean.

    `difference` is how much worse its mean is than the chosen one's, on the seeds that both have, with the ends of its
    95 % interval; None of the chosen one itself, and of ends where no seed was repeated.
    """

    label: str | None = None
    settings: dict[str, Value] = field(default_factory=dict)
    cells: tuple[str, ...] = ()
    seeds: tuple[int | None, ...] = ()
    loss: float | None = None
    loss_sd: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    within_noise: bool | None = None


@dataclass(frozen=True, kw_only=True)
class SizeChoice(Record):
    """The setting chosen for one size (and training length), and the others, the best first.

    `bias`: nats by which choosing lowers the chosen mean, by the bootstrap; `edges`: of each axis at whose end the
    chosen value lies, which end ("smallest", "largest"); `further`: the settings to type to look beyond those ends.
    """

    name: str | None = None
    model: str | None = None
    params: float | None = None
    tokens: float | None = None
    chosen: SettingMean | None = None
    others: tuple[SettingMean, ...] = ()
    same_seeds: bool | None = None
    """Whether the means that were compared are over the same seeds."""
    bias: float | None = None
    edges: dict[str, str] = field(default_factory=dict)
    further: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Choice(Record):
    """By what rule the runs of a size are those of one setting, and what that left out, in words and in numbers."""

    select: str | None = None
    axes: tuple[str, ...] = ()
    """Dotted keys of the settings among whose values was chosen."""
    summary: str | None = None
    notes: tuple[str, ...] = ()
    """Where the choice is by less than the noise, at an end of what was tried, or on different seeds."""
    sizes: tuple[SizeChoice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class IsoflopOptions(Record):
    """What belongs to a budget's parabola: nats above its lowest loss, and how far runs may differ in C."""

    window: float | None = None
    tolerance: float | None = None


@dataclass(frozen=True, kw_only=True)
class RecordedOptions(Record):
    """What decides which runs count, and how."""

    select: str | None = None
    where: dict[str, object] = field(default_factory=dict)
    law: tuple[str, ...] = ()
    flops: str | None = None
    checkpoints: str | None = None
    delta: float | None = None
    keep: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    isoflop: IsoflopOptions | None = None
