"""Where each file of a run lies."""

from pathlib import Path

from zeroscale.config.train import TrainSettings


def directory(settings: TrainSettings) -> Path:
    """outputs/<study>/<cell>."""
    return Path(settings.output_dir) / settings.study / settings.cell
