"""`zeroscale show COMMAND …`: the composed configuration with the origin of every value."""

import json
from collections.abc import Iterator

from zeroscale.cli import compose
from zeroscale.cli.composing import inspect
from zeroscale.config.raw import RawConfig
from zeroscale.core.errors import ZeroscaleError

HELP = """zeroscale show COMMAND [group=choice ...] [key=value ...]: what a command's settings come to, and why.

Each value stands with its origin: the file and line that set it last, or the override. A setting that no file and no
override gives has the default of its dataclass; one that a rule gives by the model's size is said so. Of a sweep the
first run is shown, after the list of what varies.
"""
DEFAULT = "default of its dataclass"


def print_settings(command: str, overrides: list[str], multirun: bool, config_name: str | None) -> int:
    """Prints the settings; returns the exit code.

    Raises:
        ZeroscaleError: they cannot be composed.
    """
    jobs = compose.compose(command, overrides, multirun, config_name)
    label, config = jobs.configs[0]
    fixed = [text for text in overrides if not _is_swept(text, label)]
    origins = inspect.origins_of(config_name or command, fixed, label.split(" ") if label else [])
    if jobs.sweep:
        print(f"# {len(jobs.configs)} runs:")
        for each, _ in jobs.configs[:12]:
            print(f"#   {each}")
        print(f"#   … and {len(jobs.configs) - 12} more" if len(jobs.configs) > 12 else "# the first:")
    settled, note = _settled(command, config)
    rows = list(_rows(settled))
    width = min(44, max(len(key) + len(value) + 3 for key, value in rows))
    raw = dict(_rows(config))
    for key, value in rows:
        print(f"{f'{key} = {value}':<{width}}  # {_said(key, value, raw, origins)}")
    if note:
        print(f"# {note}")
    return 0


def _is_swept(text: str, label: str) -> bool:
    key = text.lstrip("+").partition("=")[0]
    return any(part.lstrip("+").partition("=")[0] == key for part in label.split(" ")) if label else False


def _said(key: str, value: str, raw: dict[str, str], origins: dict[str, str]) -> str:
    where = key
    while where and where not in origins:
        where = where.rpartition(".")[0]
    if key not in raw:
        return DEFAULT if where not in origins else f"by a rule, from {origins[where]}"
    if raw[key] != value:
        return f"{raw[key]} by {origins.get(where, DEFAULT)}; the value follows from the other settings"
    return origins.get(where, DEFAULT)


def _settled(command: str, config: RawConfig) -> tuple[RawConfig, str]:
    """A run's settings with rules resolved and defaults of the dataclasses; others as they were composed."""
    if command not in ("train", "plan"):
        return config, ""
    from dataclasses import fields

    from zeroscale.cli.commands.plan import PlanConfig
    from zeroscale.config.hashing import as_dict
    from zeroscale.config.train import TrainConfig
    from zeroscale.config.validate import build_config

    rest = {
        field.name: config[field.name] for field in fields(PlanConfig) if command == "plan" and field.name in config
    }
    try:
        settings = build_config(TrainConfig, {key: value for key, value in config.items() if key not in rest})
    except ZeroscaleError as error:
        return config, str(error).replace("\n", "\n# ")
    return {**as_dict(settings), **rest}, ""


def _rows(node: RawConfig, prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _rows(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value, ensure_ascii=False)
