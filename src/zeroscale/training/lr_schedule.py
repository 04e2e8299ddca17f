"""The learning rate as a function of the step: nothing to restore when a run goes on."""

import math

from zeroscale.config.optimizer import ScheduleConfig


def lr_at(
    step: int, *, peak: float, steps: int, batch_tokens: int, schedule: ScheduleConfig, decay_start: int = 0
) -> float:
    """The learning rate of optimizer step `step` (from 0).

    Warm-up is linear in tokens and reaches the peak with the step that completes `warmup_tokens`; the rest of the run
    follows the named form and ends with its last step at `final_lr_fraction` of the peak. `wsd` (warm-up, stable,
    decay; Hu et al. 2024, section 4) stays at the peak for `decay_start` steps, then falls in a straight line
    (`linear`) or as 1 - √progress (`sqrt`; Hägele et al. 2024, section 3: the better of the two).
    """
    seen = (step + 1) * batch_tokens
    if seen < schedule.warmup_tokens:
        return peak * seen / schedule.warmup_tokens
    if schedule.name == "constant":
        return peak
    if schedule.name == "wsd":
        progress = min(1.0, max(0.0, (step + 1 - decay_start) / (steps - decay_start)))
        fall = 1 - (math.sqrt(progress) if schedule.decay == "sqrt" else progress)
    else:
        total = steps * batch_tokens
        progress = (seen - schedule.warmup_tokens) / max(1, total - schedule.warmup_tokens)
        progress = min(1.0, max(0.0, progress))
        fall = 0.5 * (1 + math.cos(math.pi * progress)) if schedule.name == "cosine" else 1 - progress
    return peak * (schedule.final_lr_fraction + (1 - schedule.final_lr_fraction) * fall)
