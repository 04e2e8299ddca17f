"""`eval`, `compare`, `sample` and `export`: what takes checkpoints."""

from pathlib import Path

from zeroscale.cli.commands import Config
from zeroscale.config.commands import CompareConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError


def compare(config: Config) -> int:
    """Two scored checkpoints, example by example; or two studies, law by law."""
    wanted = build_config(CompareConfig, config)
    if bool(wanted.runs) == bool(wanted.studies):
        raise ZeroscaleError(
            "compare takes two of one kind: runs=[ONE,OTHER], scored checkpoints, or studies=[ONE,OTHER], studies or "
            "CSVs of runs"
        )
    if wanted.studies:
        return compare_laws(wanted)
    from zeroscale.eval import compare as comparing

    return comparing.compare(wanted)


def compare_laws(wanted: CompareConfig) -> int:
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
