"""`overlap`: what benchmarks and a training corpus share."""

from zeroscale.cli.commands import Config
from zeroscale.config.commands import OverlapConfig
from zeroscale.config.validate import build_config


def overlap(config: Config) -> int:
    """Looks benchmarks' n-grams up in a corpus."""
    wanted = build_config(OverlapConfig, config)
    from zeroscale.cli.commands.data import Progress
    from zeroscale.eval.contamination import run

    with Progress() as progress:
        text, code = run.overlap(wanted, progress)
    print(text)
    return code
