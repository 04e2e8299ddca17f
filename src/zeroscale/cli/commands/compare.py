"""`zeroscale compare`: two scored checkpoints on the same examples, or two studies by their laws."""

from pathlib import Path
from typing import Literal

from zeroscale.config.commands.compare import CompareConfig
from zeroscale.config.raw import RawConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError


def run(raw: RawConfig) -> int:
    """Compares two scored checkpoints, example by example; or two studies, law by law."""
    config = build_config(CompareConfig, raw)
    if bool(config.runs) == bool(config.studies):
        raise ZeroscaleError(
            "compare takes two of one kind: runs=[ONE,OTHER], scored checkpoints, or studies=[ONE,OTHER], studies or "
            "CSVs of runs"
        )
    if config.studies:
        return compare_laws(config)
    from zeroscale.eval import compare

    return compare.compare(config)


def compare_laws(config: CompareConfig) -> int:
    """Compares two studies, or CSVs of runs, by the law fitted to each."""
    from zeroscale.scaling.compare import compare_studies
    from zeroscale.scaling.options import Options

    laws = config.laws
    options = Options(
        convention=laws.convention,
        flops=laws.flops,
        bootstrap=laws.bootstrap,
        seed=config.seed,
        budgets=laws.budgets,
        columns=vars(laws.columns),
    )
    paired: dict[str, bool | Literal["auto"]] = {"auto": "auto", "yes": True, "no": False}
    comparison = compare_studies.compare_studies(
        [Path(study) for study in config.studies], options, law=laws.law, paired=paired[laws.paired]
    )
    print(compare_studies.as_text(comparison))
    if config.out:
        paths = compare_studies.write(Path(config.out), comparison)
        print(f"\nwritten to {config.out}: {', '.join(path.name for path in paths)}")
    return 0
