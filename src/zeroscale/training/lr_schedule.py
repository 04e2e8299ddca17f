"""The learning rate as a function of the step: nothing to restore when a run goes on.

A new schedule is an entry of `SCHEDULES` here, its name in `config.optimizer.ScheduleConfig` and
conf/schedule/NAME.yaml.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from zeroscale.config.optimizer import ScheduleConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.own import code as own_code
from zeroscale.core.own.code import is_own


@dataclass(frozen=True)
class Position:
    """Where in a run a step stands, once its warm-up is over."""

    step: int
    """From 0."""
    steps: int
    """Of the whole run."""
    batch_tokens: int
    decay_start: int
    """Steps before a WSD schedule's decay."""

    @property
    def tokens(self) -> int:
        """Tokens seen when the step is done."""
        return (self.step + 1) * self.batch_tokens

    def progress_since(self, tokens: int) -> float:
        """The share of the run after its first `tokens` tokens that is over when the step is done, from 0 to 1."""
        progress = (self.tokens - tokens) / max(1, self.steps * self.batch_tokens - tokens)
        return min(1.0, max(0.0, progress))


def lr_at(
    step: int, *, peak: float, steps: int, batch_tokens: int, schedule: ScheduleConfig, decay_start: int = 0
) -> float:
    """The learning rate of optimizer step `step` (from 0).

    Warm-up is linear in tokens and reaches the peak with the step that completes `warmup_tokens`; the rest of the run
    follows the named schedule.
    """
    position = Position(step, steps, batch_tokens, decay_start)
    if position.tokens < schedule.warmup_tokens:
        return peak * position.tokens / schedule.warmup_tokens
    if is_own(schedule.name):
        return peak * _own(position, schedule)
    return peak * SCHEDULES[schedule.name](position, schedule)


def _own(position: Position, schedule: ScheduleConfig) -> float:
    """A schedule of the user's own, called as those of `SCHEDULES`.

    Raises:
        ZeroscaleError: it is no function, or gives no share of the peak.
    """
    function = own_code.load(schedule.name, "schedule.name")
    if not callable(function):
        raise ZeroscaleError(f"schedule.name={schedule.name}: is no function")
    share = function(position, schedule)
    if not isinstance(share, int | float) or not math.isfinite(share) or share < 0:
        raise ZeroscaleError(
            f"schedule.name={schedule.name}: gave {share!r} at step {position.step}; a share of the peak is a number "
            "of at least 0"
        )
    return float(share)


def constant(position: Position, schedule: ScheduleConfig) -> float:
    """The peak to the end."""
    return 1.0


def linear(position: Position, schedule: ScheduleConfig) -> float:
    """In a straight line over tokens down to `final_lr_fraction` of the peak."""
    return _down_to_final(1 - position.progress_since(schedule.warmup_tokens), schedule)


def cosine(position: Position, schedule: ScheduleConfig) -> float:
    """Half a period of a cosine over tokens, down to `final_lr_fraction` of the peak (Loshchilov and Hutter 2017)."""
    return _down_to_final(0.5 * (1 + math.cos(math.pi * position.progress_since(schedule.warmup_tokens))), schedule)


def wsd(position: Position, schedule: ScheduleConfig) -> float:
    """Warm-up, stable, decay (Hu et al. 2024, section 4): at the peak for `decay_start` steps, then down to
    `final_lr_fraction` of it in a straight line (`linear`) or as 1 - √progress (`sqrt`; Hägele et al. 2024, section 3:
    the better of the two)."""
    progress = (position.step + 1 - position.decay_start) / (position.steps - position.decay_start)
    progress = min(1.0, max(0.0, progress))
    return _down_to_final(1 - (math.sqrt(progress) if schedule.decay == "sqrt" else progress), schedule)


def _down_to_final(height: float, schedule: ScheduleConfig) -> float:
    """`height` 1 is the peak, 0 the end of the run."""
    return schedule.final_lr_fraction + (1 - schedule.final_lr_fraction) * height


SCHEDULES: dict[str, Callable[[Position, ScheduleConfig], float]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "wsd": wsd,
}
"""By name: the learning rate after warm-up, as a share of the peak."""
