"""Where each file of a run lies."""

from pathlib import Path

from zeroscale.config.train import TrainConfig


def directory(settings: TrainConfig) -> Path:
    """outputs/<study>/<cell>."""
    return Path(settings.output_dir) / settings.study / settings.cell
