"""`fit`, `report` and the comparison of two studies' laws: what comes of a study."""

import os
from pathlib import Path

from zeroscale.cli.commands import Config
from zeroscale.config.commands import FitConfig
from zeroscale.config.validate import build_config


def fit(config: Config) -> int:
    """Fits the laws and prints them with their doubts."""
    wanted = build_config(FitConfig, config)
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
