"""sweep.json: which runs the commands of a study asked for, so that those that have not begun are known."""

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import lock, write_json
from zeroscale.runs import layout
from zeroscale.runs.axes import flat
from zeroscale.runs.study import Command, Planned, Study, SweepFile

_WAIT_SECONDS = 30.0


def add(study: Path, configs: Sequence[TrainConfig], labels: Sequence[str]) -> None:
    """Records what a command asks for beside what the commands before it asked for.

    A run that several asked for is listed once, as the last of them called it. A record that is damaged is replaced.

    Raises:
        ZeroscaleError: the study's directory cannot be written.
    """
    command = os.environ.get("ZEROSCALE_COMMAND", "")
    new = {
        config.cell: Planned(cell=config.cell, settings=label, steps=config.steps, values=dict(flat(as_dict(config))))
        for config, label in zip(configs, labels, strict=True)
    }
    with _held(study):
        before: SweepFile = {}
        with contextlib.suppress(ZeroscaleError):
            before = Study(study).sweep
        cells = {run["cell"]: _whole(run, before.get("shared", {})) for run in before.get("cells", [])}
        entry = Command(command=command, cells=list(new))
        commands = [*(known for known in _commands(before) if known != entry), entry]
        _write(study, command, commands, cells | new)


def forget(study: Path, cells: Collection[str]) -> None:
    """Takes runs out of the record, so that they are no longer missing.

    Raises:
        ZeroscaleError: the record is damaged, or cannot be written.
    """
    if not (study / layout.SWEEP).exists():
        return
    with _held(study):
        found = Study(study).sweep
        shared = found.get("shared", {})
        left = {run["cell"]: _whole(run, shared) for run in found.get("cells", []) if run["cell"] not in cells}
        commands = [
            Command(command=known["command"], cells=[cell for cell in known["cells"] if cell not in cells])
            for known in _commands(found)
        ]
        _write(study, found.get("command", ""), [known for known in commands if known["cells"]], left)


def _commands(record: SweepFile) -> list[Command]:
    """The commands; of an older version's record the last."""
    if "commands" in record or not record:
        return record.get("commands", [])
    return [Command(command=record.get("command", ""), cells=[run["cell"] for run in record.get("cells", [])])]


def _whole(planned: Planned, shared: Mapping[str, Any]) -> Planned:
    """A planned run with the settings that it shares with all others."""
    return cast(Planned, {**planned, "values": {**shared, **planned["values"]}}) if "values" in planned else planned


def _write(study: Path, command: str, commands: list[Command], cells: Mapping[str, Planned]) -> None:
    """Writes the record: settings that all runs share stand there once."""
    known = [run["values"] for run in cells.values() if "values" in run]
    first = known[0] if known else {}
    shared = {
        key: value for key, value in first.items() if all(key in values and values[key] == value for values in known)
    }
    listed = [
        {**run, **({"values": _without(run["values"], shared)} if "values" in run else {})} for run in cells.values()
    ]
    record = {"command": command, "commands": commands, "shared": shared, "cells": listed}
    write_json(study / layout.SWEEP, record)


def _without(values: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def _held(study: Path) -> contextlib.AbstractContextManager[None]:
    return lock(study / layout.SWEEP_LOCK, _WAIT_SECONDS, f"{study}: another command is writing {layout.SWEEP}")
