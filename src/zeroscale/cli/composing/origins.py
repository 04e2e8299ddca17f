"""Where each value of a composed configuration comes from: a line of a file, or an override."""

from dataclasses import dataclass
from pathlib import Path

import yaml
from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.types import RunMode

from zeroscale.core import paths


@dataclass(frozen=True)
class Origin:
    """A file's line (0: the whole), or the override as it was typed."""

    place: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.place}:{self.line}" if self.line else self.place


def of(config_name: str, overrides: list[str]) -> dict[str, Origin]:
    """The origin of each value by dotted key: of a mapping's values, each its own; within Hydra's context."""
    loader = GlobalHydra.instance().config_loader()
    defaults = loader.compute_defaults_list(config_name, overrides, RunMode.RUN)
    found: dict[str, Origin] = {}
    for part in defaults.defaults:
        if (path := _file(part)) is not None:
            for key, line in _lines(path, part.package or "").items():
                _set(found, key, Origin(_shown(path), line))
    for override in defaults.config_overrides:
        _set(found, override.key_or_group, Origin(_text(override)))
    return found


def _text(override: Override) -> str:
    return f"override {override.input_line or override.key_or_group}"


def _set(found: dict[str, Origin], key: str, value: Origin) -> None:
    """What is set anew hides what was said of values inside it."""
    for inner in [known for known in found if known.startswith(f"{key}.")]:
        del found[inner]
    found[key] = value


def _file(part: ResultDefault) -> Path | None:
    if part.config_path is None:
        return None
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.scheme() in ("file", "sweeps") and source.is_config(part.config_path):
            return Path(source.path) / f"{part.config_path}.yaml"
    return None


def _shown(path: Path) -> str:
    """`conf/optimizer/adamw.yaml` of a shipped file, `./conf/…` of one here, else the whole path."""
    if path.is_relative_to(paths.share()):
        return str(path.relative_to(paths.share()))
    return f"./{path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else str(path)


def _lines(path: Path, package: str) -> dict[str, int]:
    """The line of every value of a YAML file, by dotted key."""
    found: dict[str, int] = {}

    def walk(node: yaml.Node, prefix: str) -> None:
        if not isinstance(node, yaml.MappingNode) or not node.value:
            found[prefix] = node.start_mark.line + 1
            return
        for key, value in node.value:
            if prefix or package or key.value not in ("defaults", "hydra"):
                walk(value, f"{prefix}.{key.value}" if prefix else str(key.value))

    root = yaml.compose(path.read_text(encoding="utf-8"))
    if isinstance(root, yaml.MappingNode):
        root.value = [(key, value) for key, value in root.value if key.value not in ("defaults", "hydra")]
        walk(root, package)
    return found
