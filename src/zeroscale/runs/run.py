"""The cells of a study as their files tell it: state, settings, manifest, metrics and results, step by step."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json
from zeroscale.runs import status
from zeroscale.runs.layout import directory

State = Literal["done", "running", "failed", "resumable", "unknown"]


@dataclass(frozen=True)
class Run:
    """One run directory. `settings` and `manifest` are {} where the file is not there yet."""

    name: str
    directory: Path
    state: State
    """`done` only with the file DONE, which is written last; `unknown` where status.json is missing."""
    reason: str
    step: int | None
    settings: dict[str, Any]
    manifest: dict[str, Any]

    @property
    def model(self) -> str | None:
        return (self.settings.get("model") or {}).get("name")

    @property
    def seed(self) -> int | None:
        return self.settings.get("seed")


def read_run(directory: Path) -> Run:
    status = _optional(directory / "status.json")
    state = status.get("state", "unknown")
    if (directory / "DONE").exists():
        state = "done"
    elif state == "done":
        # DONE is written last: without it the run was cut off between the two.
        state = "resumable"
    elif state not in ("running", "failed", "resumable"):
        state = "unknown"
    return Run(
        name=directory.name,
        directory=directory,
        state=state,
        reason=str(status.get("reason") or ""),
        step=status.get("step"),
        settings=_read_yaml(directory / "config.yaml"),
        manifest=_optional(directory / "manifest.json"),
    )


def read_metrics(cell: Run) -> dict[int, dict[str, Any]]:
    """metrics.jsonl by step. A partial last line, the mark of a kill, is dropped; of a step logged twice the last wins.

    Raises:
        ZeroscaleError: a line before the last is damaged.
    """
    path = cell.directory / "metrics.jsonl"
    if not path.is_file():
        return {}
    lines = path.read_bytes().split(b"\n")
    rows: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            rows.setdefault(int(row["step"]), {}).update(row)
        except (ValueError, KeyError, TypeError) as error:
            # split() leaves an empty string after the final newline, so a whole file never ends here.
            if number == len(lines):
                break
            raise ZeroscaleError(
                f"{path}, line {number}, is not a metrics record (a JSON object with a step): {line[:60]!r}"
            ) from error
    return rows


def _optional(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    value = read_json(path)
    if not isinstance(value, dict):
        raise ZeroscaleError(f"{path} should hold a JSON object, not a {type(value).__name__}")
    return value


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        # The C loader, where PyYAML has it, is ten times as fast: a study has hundreds of these.
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ZeroscaleError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise ZeroscaleError(f"{path} should hold a mapping of settings")
    return value


def settings_of(cell: Path, key: str = "") -> TrainConfig:
    """A run's settings; `key=` stands before its name in a message.

    Raises:
        ZeroscaleError: it is no run, or its config.yaml cannot be read.
    """
    config = cell / "config.yaml"
    if not config.is_file():
        inside = sorted(path.parent.name for path in cell.glob("*/config.yaml"))
        hint = f"; it is a study, give one of its runs: {', '.join(inside[:4])}" if inside else ""
        raise ZeroscaleError(f"{key}{cell} is not a run: no config.yaml in it{hint}")
    try:
        raw = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ZeroscaleError(f"{config} is no YAML that can be read: {str(error).splitlines()[0]}") from error
    if not isinstance(raw, dict):
        raise ZeroscaleError(f"{config} should hold a run's settings, key by key")
    return build_config(TrainConfig, raw)


def finished(settings: TrainConfig) -> bool:
    """Whether the cell is done with these very settings and has been scored on every card asked for."""
    done = status.read_done(directory(settings))
    if done is None or done["settings_hash"] != settings.hash():
        return False
    return set(settings.cards) <= set(done["cards"]) and (
        not settings.cards or done["cards_from"] == settings.cards_from
    )
