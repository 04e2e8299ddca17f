"""Finished runs that other code than this trained: none is trusted silently."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zeroscale.config.train import TrainConfig
from zeroscale.runs import layout, status
from zeroscale.runs.identity import code
from zeroscale.runs.identity.code import CodeFacts
from zeroscale.runs.run import Run

DIGITS = 8
"""Of the code's hash, in the name of a run that was trained beside one of other code."""


@dataclass(frozen=True)
class Changed:
    """A finished run of other code."""

    run: Run
    config: TrainConfig
    now: CodeFacts

    @property
    def files(self) -> list[str]:
        """Those that differ."""
        return code.differing(self.run.manifest.get("code", {}), self.now)


@dataclass(frozen=True)
class Found:
    """Where a run with these settings stands: `config` names the directory to look in or to train in."""

    config: TrainConfig
    changed: tuple[Changed, ...] = ()
    """Finished runs of other code that it rests on: itself, and the trunk that it would leave."""
    unrecorded: bool = False
    """Whether it was finished before the code was recorded."""


def find(config: TrainConfig) -> Found:
    """The run of these settings and of this code; one of other code where there is no other."""
    now = code.of(config)
    own = Run.of(config)
    beside = [Run(path) for path in sorted(own.directory.parent.glob(f"{own.name}-code*")) if layout.is_run(path)]
    for run in (own, *beside):
        if is_finished(run, config) and is_trusted(run, config):
            return Found(_in(config, run.directory), unrecorded="code" not in run.manifest)
    rerun = rerun_of(config, now)
    if layout.is_run(layout.run_directory(rerun)):
        return Found(rerun)
    if is_finished(own, config):
        return Found(config, (Changed(own, config, now),))
    if config.init_from.run == "trunk":
        trunk = find(config.trunk())
        if trunk.config.code is not None and not layout.is_run(own.directory):
            # Its trunk has been trained anew: so is the branch, which begins from that one.
            return Found(rerun)
        return Found(config, trunk.changed)
    return Found(config)


def is_finished(run: Run, config: TrainConfig) -> bool:
    """Whether it is trained to its end with these settings, whatever it has been scored on."""
    done = status.read_done(run.directory)
    return done is not None and done["settings_hash"] == config.hash()


def is_trusted(run: Run, config: TrainConfig) -> bool:
    """Whether a finished run was trained by this code, or its result accepted under it, or its code not recorded."""
    recorded = run.manifest.get("code")
    if recorded is None or code.is_now(recorded, code.own_files(config)):
        return True
    return code.of(config)["hash"] in status.adopted(run.directory)


def rerun_of(config: TrainConfig, now: CodeFacts) -> TrainConfig:
    """The settings of a run that is trained by this code beside one of other code."""
    return dataclasses.replace(config, code=now["hash"][:DIGITS])


def _in(config: TrainConfig, directory: Path) -> TrainConfig:
    _, beside, suffix = directory.name.partition(f"{config.cell}-code")
    return dataclasses.replace(config, code=suffix) if beside else config


def refusal(changed: list[Changed], name: Callable[[str], str]) -> str:
    """The message for a user who has not said what becomes of them: each once, those of the same files together."""
    by_files: dict[str, list[str]] = {}
    for change in changed:
        by_files.setdefault(code.describe(change.files), []).append(name(change.run.name))
    lines = [f"  - {code.describe(names, 8)}: {files}" for files, names in by_files.items()]
    count = len(changed)
    cells, them, their = ("run was", "it", "its result") if count == 1 else ("runs were", "them", "their results")
    accepted = "is accepted" if count == 1 else "are accepted"
    example = layout.run_directory(rerun_of(changed[0].config, changed[0].now)).name
    return "\n".join(
        [
            f"{count} finished {cells} trained by other code than this; the files that differ:",
            *lines,
            f"say what becomes of {them}:",
            f"  on_code_change=keep   trusts {their} this time",
            f"  on_code_change=rerun  trains {them} anew by this code, beside the old (in {example})",
            f"  on_code_change=adopt  records that {their} {accepted} under this code, too",
        ]
    )
