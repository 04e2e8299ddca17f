"""Schedules of your own. `schedule.name: schedules:steps` chooses the function below."""

from zeroscale.config.optimizer import ScheduleConfig
from zeroscale.training.lr_schedule import Position


def steps(position: Position, schedule: ScheduleConfig) -> float:
    """The learning rate after warm-up, as a share of its peak: times `factor` at each of the `drops`."""
    done = position.progress_since(schedule.warmup_tokens)
    passed = sum(done > drop for drop in schedule.options["drops"])
    return schedule.options["factor"] ** passed
