"""The cells of a study as their files tell it: state, settings, manifest, metrics and results, step by step."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json

State = Literal["done", "running", "failed", "resumable", "unknown"]


@dataclass(frozen=True)
class Cell:
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


def read_cells(study: Path) -> list[Cell]:
    """Every subdirectory of a study that has a config.yaml, in order of name, whatever its state.

    Raises:
        ZeroscaleError: the study is no directory, or a file in it is damaged.
    """
    study = Path(study)
    if not study.is_dir():
        raise ZeroscaleError(f"{study} is not a directory: give a study's, such as outputs/pocket")
    return [_read_cell(path.parent) for path in sorted(study.glob("[!.]*/config.yaml"))]


def _read_cell(directory: Path) -> Cell:
    status = _optional(directory / "status.json")
    state = status.get("state", "unknown")
    if (directory / "DONE").exists():
        state = "done"
    elif state == "done":
        # DONE is written last: without it the run was cut off between the two.
        state = "resumable"
    elif state not in ("running", "failed", "resumable"):
        state = "unknown"
    return Cell(
        name=directory.name,
        directory=directory,
        state=state,
        reason=str(status.get("reason") or ""),
        step=status.get("step"),
        settings=_read_yaml(directory / "config.yaml"),
        manifest=_optional(directory / "manifest.json"),
    )


def recorded_steps(cell: Cell) -> list[int]:
    """Steps that have a checkpoint or a result, in order."""
    checkpoints = cell.directory.glob("checkpoints/step-*")
    scored = {path.parent for path in cell.directory.glob("evals/step-*/*.json")}
    found = (re.fullmatch(r"step-(\d+)", path.name) for path in [*checkpoints, *scored] if path.is_dir())
    return sorted({int(match[1]) for match in found if match})


def read_metrics(cell: Cell) -> dict[int, dict[str, Any]]:
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


def read_results(cell: Cell, step: int) -> list[dict[str, Any]]:
    """The results of the cards scored at a step, in order of file name."""
    results = []
    for path in sorted(cell.directory.glob(f"evals/step-{step:08d}/[!.]*.json")):
        result = read_json(path)
        if not isinstance(result, dict) or not isinstance(result.get("metrics"), dict) or "card" not in result:
            raise ZeroscaleError(f"{path} is not a result: it needs 'card' and 'metrics'. Score the checkpoint again")
        results.append(result)
    return results


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
