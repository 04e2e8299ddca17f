"""`overlap`: what benchmarks and a training corpus share."""

from typing import Any

from zeroscale.command_settings import OverlapSettings
from zeroscale.strict import build

Config = dict[str, Any]


def overlap(config: Config) -> int:
    """Looks benchmarks' n-grams up in a corpus."""
    wanted = build(OverlapSettings, config)
    from zeroscale.commands.corpora import Progress
    from zeroscale.overlap import run

    with Progress() as progress:
        text, code = run.overlap(wanted, progress)
    print(text)
    return code
