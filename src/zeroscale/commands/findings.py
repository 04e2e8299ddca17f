"""`fit`, `report` and the comparison of two studies' laws: what comes of a study."""

import os
from pathlib import Path
from typing import Any

from zeroscale.command_settings import CompareSettings, FitSettings, StudySettings
from zeroscale.strict import build

Config = dict[str, Any]


def fit(config: Config) -> int:
    """Fits the laws and prints them with their doubts."""
    wanted = build(FitSettings, config)
    from zeroscale.scaling import fit as fitting
    from zeroscale.scaling.options import Options

    options = Options(
        law=wanted.law,
        convention=wanted.convention,
        flops=wanted.flops,
        checkpoints=wanted.checkpoints,
        bootstrap=wanted.bootstrap,
        seed=wanted.seed,
        delta=wanted.delta,
        budgets=wanted.budgets,
        keep=vars(wanted.keep),
        leave_out=wanted.leave_out,
        columns=vars(wanted.columns),
        window=wanted.isoflop.window,
        tolerance=wanted.isoflop.tolerance,
        chance=wanted.chance or {},
        tokens_per_step=wanted.tokens_per_step,
    )
    out = Path(wanted.out) if wanted.out else None
    laws = fitting.fit_study(Path(wanted.runs), out, options=options, command=os.environ.get("ZEROSCALE_COMMAND"))
    print(fitting.describe(laws))
    return 0


def compare_laws(wanted: CompareSettings) -> int:
    """Two studies, or CSVs of runs, each by the law fitted to it."""
    from zeroscale.scaling import compare_studies
    from zeroscale.scaling.options import Options

    laws = wanted.laws
    options = Options(
        convention=laws.convention,
        flops=laws.flops,
        bootstrap=laws.bootstrap,
        seed=wanted.seed,
        budgets=laws.budgets,
        columns=vars(laws.columns),
    )
    studies = [Path(study) for study in wanted.studies]
    paired = {"auto": "auto", "yes": True, "no": False}[laws.paired]
    found = compare_studies.compare_studies(studies, options, law=laws.law, paired=paired)
    print(compare_studies.as_text(found))
    if wanted.out:
        paths = compare_studies.write(Path(wanted.out), found)
        print(f"\nwritten to {wanted.out}: {', '.join(path.name for path in paths)}")
    return 0


def report(config: Config) -> int:
    """Writes the dashboard."""
    wanted = build(StudySettings, config)
    from zeroscale.report import dashboard

    print(f"open {dashboard.write(Path(wanted.study))}")
    return 0
