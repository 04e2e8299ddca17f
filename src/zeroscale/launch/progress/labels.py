"""What a reader calls the runs of a sweep before they have begun: by what they and their study's other runs vary."""

from collections.abc import Sequence
from pathlib import Path

from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.jsonl import Row
from zeroscale.runs import layout
from zeroscale.runs.axes import Axes
from zeroscale.runs.run import Run


class PlannedRun(Run):
    """A run with the settings that it is going to have."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(layout.run_directory(config))
        self._planned = as_dict(config)

    @property
    def settings(self) -> Row:
        return self._planned


def planned_axes(configs: Sequence[TrainConfig]) -> Axes:
    """The axes of these runs together with those that lie in their study already; damaged ones are left out."""
    planned: dict[str, Run] = {config.cell: PlannedRun(config) for config in configs}
    for directory in dict.fromkeys(layout.run_directory(config).parent for config in configs):
        for other in layout.run_directories(directory):
            if other.name not in planned and (run := _readable(other)):
                planned[run.name] = run
    return Axes(run for run in planned.values())


def _readable(directory: Path) -> Run | None:
    run = Run(directory)
    try:
        _ = run.settings, run.manifest
    except ZeroscaleError:
        return None
    return run


def labels(configs: Sequence[TrainConfig]) -> dict[str, str]:
    """A label for each run, by its name: "pocket-s lr=0.003 seed=0"."""
    known = planned_axes(configs).labels
    return {config.cell: known[config.cell] for config in configs}
