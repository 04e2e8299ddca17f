"""`fit`, `report` and the comparison of two studies' laws: what comes of a study."""

import os
from pathlib import Path
from typing import Any

from zeroscale.config.commands import CompareSettings, FitSettings, StudySettings
from zeroscale.config.validate import build
from zeroscale.core.errors import ZeroscaleError

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
    from zeroscale.scaling.compare import compare_studies
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
    """Writes the dashboard, serves it, or says it in text; then a tracker gets what it lacks."""
    wanted = build(StudySettings, config)
    studies = [Path(study) for study in wanted.study]
    tracked = wanted.tracker.name != "none"
    if wanted.watch and (tracked or wanted.format == "text"):
        raise ZeroscaleError("watch=true serves the page and nothing else: leave tracker= and format=text out")
    if wanted.out and (wanted.watch or wanted.format == "text"):
        raise ZeroscaleError("out= is the folder of the page: leave it out with watch=true and format=text")
    if tracked and len(studies) > 1:
        raise ZeroscaleError("tracker= takes one study at a time: give study=DIR")
    if wanted.watch:
        from zeroscale.report import live

        live.watch(studies, wanted.port)
        return 0
    if wanted.format == "text":
        from zeroscale.report import terminal

        print(terminal.report(studies), end="")
        if not tracked:
            return 0
    from zeroscale.report import dashboard

    index = dashboard.write(studies, Path(wanted.out) if wanted.out else None)
    print(f"open {index}")
    if not tracked:
        return 0
    from zeroscale.commands import tracking

    return 0 if tracking.send_study(studies[0], index.parent, wanted.tracker) else 1
