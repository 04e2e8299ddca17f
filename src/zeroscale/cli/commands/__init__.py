"""What each command does, given plain settings: one module each, imported when its command is run."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from zeroscale.core.errors import ZeroscaleError

Config = dict[str, Any]
Labelled = tuple[str, Config]

# Where each command stands: MODULE.FUNCTION. These take all configurations of a multirun at once.
_TOGETHER = {"plan": "plan.plan", "eval": "eval.evaluate"}
# These take one, and run once for each.
_ONE_BY_ONE = {
    "train": "train.train",
    "data": "data.data",
    "batch": "batch.batch",
    "fit": "fit.fit",
    "report": "report.report",
    "sample": "sample.sample",
    "export": "export.export",
    "compare": "compare.compare",
    "status": "train.show_status",
    "reproduce": "provenance.reproduce",
    "explain": "provenance.explain",
    "bundle": "provenance.bundle",
    "verify": "provenance.verify",
    "overlap": "overlap.overlap",
}


def run(command: str, configs: list[Labelled]) -> int:
    """Runs a command once per configuration; a failure of one is said and the others go on."""
    if command in _TOGETHER:
        return _function(_TOGETHER[command])(configs)
    if command in ("sample", "export"):
        refuse_shared_out(configs)
    function = _function(_ONE_BY_ONE[command])
    return max(_guarded(function, label, config) for label, config in configs)


def _function(place: str) -> Callable[..., int]:
    module, _, name = place.rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), name)


def _guarded(command: Callable[[Config], int], label: str, config: Config) -> int:
    if not label:
        return command(config)
    try:
        return command(config)
    except ZeroscaleError as error:
        print(f"zeroscale: {label}: {error}", file=sys.stderr)
        return 2


def refuse_shared_out(configs: list[Labelled]) -> None:
    """Refuses a multirun whose jobs would write one `out=`, each over the other."""
    outs = [config["out"] for _, config in configs if config.get("out")]
    if twice := sorted({str(out) for out in outs if outs.count(out) > 1}):
        raise ZeroscaleError(
            f"several jobs of this multirun would write out={twice[0]}, each over the other; run them one by one"
        )
