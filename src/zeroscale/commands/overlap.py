"""`overlap`: what benchmarks and a training corpus share."""

from typing import Any

from zeroscale.config.commands import OverlapSettings
from zeroscale.config.validate import build

Config = dict[str, Any]


def overlap(config: Config) -> int:
    """Looks benchmarks' n-grams up in a corpus."""
    wanted = build(OverlapSettings, config)
    from zeroscale.commands.corpora import Progress
    from zeroscale.eval.contamination import run

    with Progress() as progress:
        text, code = run.overlap(wanted, progress)
    print(text)
    return code
