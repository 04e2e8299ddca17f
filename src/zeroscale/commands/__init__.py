"""What each command does, given plain settings. Heavy imports wait until a command needs them."""

import sys
from collections.abc import Callable
from typing import Any

from zeroscale.commands import checkpoints, corpora, findings, overlap, planning, provenance, studies
from zeroscale.core.errors import ZeroscaleError

Config = dict[str, Any]
Labelled = tuple[str, Config]

# Commands that take all their configurations at once.
_TOGETHER: dict[str, Callable[[list[Labelled]], int]] = {"plan": planning.plan, "eval": checkpoints.evaluate}
_ONE_BY_ONE: dict[str, Callable[[Config], int]] = {
    "train": studies.train,
    "data": corpora.data,
    "batch": corpora.batch,
    "fit": findings.fit,
    "report": findings.report,
    "sample": checkpoints.sample,
    "export": checkpoints.export,
    "compare": checkpoints.compare,
    "status": studies.show_status,
    "reproduce": provenance.reproduce,
    "explain": provenance.explain,
    "bundle": provenance.bundle,
    "verify": provenance.verify,
    "overlap": overlap.overlap,
}


def run(command: str, configs: list[Labelled]) -> int:
    """Runs a command once per configuration; a failure of one is said and the others go on."""
    if command in _TOGETHER:
        return _TOGETHER[command](configs)
    if command in ("sample", "export"):
        checkpoints.refuse_shared_out(configs)
    return max(_guarded(_ONE_BY_ONE[command], label, config) for label, config in configs)


def _guarded(command: Callable[[Config], int], label: str, config: Config) -> int:
    if not label:
        return command(config)
    try:
        return command(config)
    except ZeroscaleError as error:
        print(f"zeroscale: {label}: {error}", file=sys.stderr)
        return 2
