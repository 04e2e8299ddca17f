"""How fast this machine trains a run: from earlier runs, or from a few steps measured now. Never a guess."""

from zeroscale.launch.speed.earlier import from_earlier_runs
from zeroscale.launch.speed.measure import from_measurement
from zeroscale.launch.speed.speed import Speed

__all__ = ["Speed", "from_earlier_runs", "from_measurement"]
