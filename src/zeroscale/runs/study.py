"""A study: the runs in one directory."""

from pathlib import Path

from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs.run import Run, read_run


def read_runs(study: Path) -> list[Run]:
    """Every subdirectory of a study that has a config.yaml, in order of name, whatever its state.

    Raises:
        ZeroscaleError: the study is no directory, or a file in it is damaged.
    """
    study = Path(study)
    if not study.is_dir():
        raise ZeroscaleError(f"{study} is not a directory: give a study's, such as outputs/pocket")
    return [read_run(path.parent) for path in sorted(study.glob("[!.]*/config.yaml"))]
