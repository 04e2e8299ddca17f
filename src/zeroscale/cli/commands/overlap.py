"""`zeroscale overlap`: n-grams that benchmarks and a training corpus share."""

from zeroscale.config.commands.contamination import OverlapConfig
from zeroscale.config.raw import RawConfig
from zeroscale.config.validate import build_config


def run(raw: RawConfig) -> int:
    """Looks benchmarks' n-grams up in a corpus."""
    config = build_config(OverlapConfig, raw)
    from zeroscale.cli.commands.data import Progress
    from zeroscale.eval.contamination import run as contamination

    with Progress() as progress:
        text, code = contamination.overlap(config, progress)
    print(text)
    return code
