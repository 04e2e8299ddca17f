"""`fit` and `report`: what comes of a study."""

import os
from pathlib import Path
from typing import Any

from zeroscale.command_settings import FitSettings, StudySettings
from zeroscale.strict import build

Config = dict[str, Any]


def fit(config: Config) -> int:
    """Fits the law and prints it with its doubts."""
    wanted = build(FitSettings, config)
    from zeroscale.scaling import fit as fitting

    out = Path(wanted.out) if wanted.out else None
    law = fitting.fit_study(
        Path(wanted.runs),
        out,
        convention=wanted.convention,
        bootstrap=wanted.bootstrap,
        seed=wanted.seed,
        command=os.environ.get("ZEROSCALE_COMMAND"),
    )
    print(fitting.describe(law))
    return 0


def report(config: Config) -> int:
    """Writes the dashboard."""
    wanted = build(StudySettings, config)
    from zeroscale.report import dashboard

    print(f"open {dashboard.write(Path(wanted.study))}")
    return 0
