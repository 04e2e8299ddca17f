"""Hydra's one place: command-line overrides in, plain settings out."""

import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from zeroscale.cli import override_checks, slips
from zeroscale.cli.help import VERBATIM
from zeroscale.config.raw import RawConfig
from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from zeroscale.config.study import LaunchConfig
    from zeroscale.runs.where import Wanted

# Verbatim text passes Hydra and OmegaConf as hexadecimal: no quoting survives all backslashes before a `${`.
AS_HEX = "bytes in hexadecimal: "


def quote(text: str) -> str:
    """Text as a quoted string of Hydra's grammar."""
    # Inside quotes Hydra unescapes \' and a run of backslashes before it; OmegaConf then does the same for \${.
    text = re.sub(r"(\\*)\$\{", lambda match: match.group(1) * 2 + "\\${", text)
    text = re.sub(r"(\\*)'", lambda match: match.group(1) * 2 + "\\'", text)
    text = re.sub(r"(\\+)$", lambda match: match.group(1) * 2, text)
    return f"'{text}'"


def quote_homes(value: str) -> str:
    """A value with every bare element that holds `~` quoted, in lists too: Hydra's grammar lacks the sign."""
    parts, depth = [], 0
    for part in re.findall(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[\[\](){},]|[^\[\](){},'\"]+|['\"]", value):
        depth += {"{": 1, "}": -1}.get(part, 0)
        if "~" in part and part[0] not in "'\"":
            key, colon, text = part.partition(":") if depth else ("", "", part)
            bare = text.strip()
            part = key + colon + text.replace(bare, quote(bare)) if bare else part
        parts.append(part)
    return "".join(parts)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for an error message: the known word that is most like this one, if any is."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def read_value(text: str) -> "Wanted":
    """A value by Hydra's grammar: a number, true, null, a text; several as `a,b` or `[a,b]` are a list. What the
    grammar does not know is a text."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, QuotedString
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(f"value={quote_homes(text)}")
    except HydraException:
        return text
    value = override._value
    parts = value.list if isinstance(value, ChoiceSweep) else value if isinstance(value, list) else None

    def plain(part: object) -> str | int | float | bool | None:
        part = part.text if isinstance(part, QuotedString) else part
        return part if part is None or isinstance(part, str | int | float | bool) else str(part)

    return plain(value) if parts is None else [plain(part) for part in parts]


class Jobs(NamedTuple):
    """What a command line composes to.

    Attributes:
        configs: the jobs as (label, plain settings).
        sweep: whether it is a multirun.
        launcher: which of Hydra's launchers starts it.
        study: of `train` and `plan`, the settings that are the study's and not a run's.
    """

    configs: list[tuple[str, RawConfig]]
    sweep: bool
    launcher: str
    study: "LaunchConfig | None"


@contextmanager
def hydra_ready() -> Iterator[None]:
    """Hydra set up to compose, from the shipped configurations and the user's own."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from zeroscale.cli.composing import search_path

    search_path.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(paths.conf()), version_base="1.3"):
        yield


def compose(command: str, overrides: list[str], multirun: bool = False, config_name: str | None = None) -> Jobs:
    """Composes every job of a command line without running one, so that all faults are known before the first starts.

    Args:
        config_name: of the file in conf/ that is composed in place of the command's own.

    Raises:
        ZeroscaleError: an override that Hydra cannot place, with the nearest key.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    name = config_name or command
    with hydra_ready():
        try:
            for text in overrides:
                override_checks.check_text(text)
            parsed = OverridesParser.create().parse_overrides(overrides)
            loader = GlobalHydra.instance().config_loader()
            override_checks.check_choices(parsed, loader)
            fixed = [text for text, override in zip(overrides, parsed, strict=True) if not override.is_sweep_override()]
            base = compose_one(name, fixed, with_hydra=True)
            sweep = multirun or str(base.hydra.mode or "").endswith("MULTIRUN")
            if not sweep:
                swept = [text for text in overrides if text not in fixed]
                if swept:
                    raise ZeroscaleError(f"{swept[0]} names several values; add -m to run once per value")
                config, study = _settings(command, compose_one(name, overrides))
                return Jobs([("", config)], sweep=False, launcher="basic", study=study)
            given = {override.key_or_group for override in parsed}
            extra = [f"{key}={value}" for key, value in (base.hydra.sweeper.params or {}).items() if key not in given]
            lists = OverridesParser.create().parse_overrides(overrides + extra)
            override_checks.check_number_of_jobs(lists)
            (batches,) = BasicSweeper.split_arguments(lists, max_batch_size=None)
            varying = {item.key_or_group for item in lists if item.is_sweep_override()}
            configs: list[tuple[str, RawConfig]] = []
            study = None
            for batch in batches:
                label = " ".join(text for text in batch if text.lstrip("+").partition("=")[0] in varying)
                config, study = _settings(command, compose_one(name, batch))
                configs.append((label, config))
            return Jobs(configs, sweep=True, launcher=_launcher(base), study=study)
        except (HydraException, OmegaConfBaseException) as error:
            raise ZeroscaleError(message_for(name, error)) from error


def _settings(command: str, composed: "DictConfig") -> "tuple[RawConfig, LaunchConfig | None]":
    """A job's plain settings; of `train` and `plan`, those of the study apart."""
    from zeroscale.config.spelling import normalise

    config = _plain(composed)
    normalise(config)
    if command not in ("train", "plan"):
        return config, None
    from zeroscale.config.study import pop_study_settings

    return config, pop_study_settings(config)


def _launcher(composed: "DictConfig") -> str:
    name = str(composed.hydra.runtime.choices["hydra/launcher"])
    if name == "joblib":
        raise ZeroscaleError("several cells at once on this machine: cells_at_once=N instead of hydra/launcher=joblib")
    return name


def compose_one(command: str, overrides: list[str], with_hydra: bool = False) -> "DictConfig":
    """One configuration, where Hydra is ready; with `with_hydra` its own settings too."""
    from hydra import compose

    return compose(command, overrides=overrides, return_hydra_config=with_hydra)


def _plain(config: "DictConfig") -> RawConfig:
    """A composed configuration as plain mappings, lists and scalars."""
    from omegaconf import OmegaConf

    def without_missing(node: Any) -> Any:
        # A value that YAML leaves to the user (???) is absent: validation then reports it with all other faults.
        if isinstance(node, dict):
            return {key: _decoded(key, without_missing(value)) for key, value in node.items() if value != "???"}
        return node

    return without_missing(OmegaConf.to_container(config, resolve=True))


def _decoded(key: str, value: object) -> object:
    """Decodes verbatim text; what the shell passed on as bytes that are no UTF-8 becomes U+FFFD."""
    if key in VERBATIM and isinstance(value, str) and value.startswith(AS_HEX):
        return bytes.fromhex(value.removeprefix(AS_HEX)).decode("utf-8", "replace")
    return value


def message_for(command: str, error: Exception) -> str:
    """Hydra's own message without its advice for programmers, and the nearest key that exists."""
    if (value := _failing_interpolation(error)) is not None:
        return value
    text = re.sub(r"\n\s*(full_key|object_type|reference_type)[:=].*", "", str(error))
    text = re.sub(r"\n?Config search path:.*", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*To append to your (config|default list) use .*", "", text)
    text = re.sub(r"See https?://\S+ for details", "", text)
    text = re.sub(r"\n\s*", "\n    ", text.strip())
    if text.startswith("Cannot find primary config"):
        return f"--config-name {command}: there is no conf/{command}.yaml, shipped or in your own folder"
    if type(error).__name__ == "OverrideParseException":
        return f"cannot read the override {error.override!r}: {text}. Quote text with spaces or brackets: key='a b'"  # type: ignore[attr-defined]
    if "'hydra/launcher/" in text:
        return f"{text}\n    several cells at once on this machine: cells_at_once=N; SLURM: the extra zeroscale[slurm]"
    match = re.search(r"Could not override '([^']+)'", str(error))
    hint = _nearest_key(command, match.group(1)) if match else ""
    return f"{text}{hint}"


def _failing_interpolation(error: Exception) -> str | None:
    """The message for a `${…}` that has no value, by its key; None of another error."""
    from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException, UnsupportedInterpolationType

    kinds = (InterpolationResolutionError, UnsupportedInterpolationType)
    if not isinstance(error, OmegaConfBaseException) or not isinstance(error, kinds):
        return None
    key = f"{error.full_key}: " if error.full_key else ""
    reason = str(error.msg or error).splitlines()[0]
    # What a resolver itself raised is Python's own: a wrong number of arguments, a variable that is not set.
    inner = re.match(r"(\w+) raised while resolving interpolation: (.*)", reason)
    if inner:
        known = "not found" in inner[2]
        reason = inner[2].strip('"') if known else "its name or its arguments are not what OmegaConf takes"
    return f"{key}the interpolation ${{…}} has no value: {reason}. Give the value itself, or \\${{…}} for the text"


def _nearest_key(command: str, wrong: str) -> str:
    if (other := slips.other_name(command, wrong)) is not None:
        return f"\n    {other}"
    keys: list[str] = []

    def walk(node: RawConfig, prefix: str) -> None:
        for key, value in node.items():
            keys.append(prefix + key)
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")

    from omegaconf import OmegaConf

    walk(cast(RawConfig, OmegaConf.to_container(compose_one(command, []), resolve=False)), "")
    wrong = wrong.split("@")[0]
    keys = [key for key in keys if key != wrong]
    near = difflib.get_close_matches(wrong, keys, n=1, cutoff=0.6)
    if not near:
        same_leaf = [key for key in keys if key.rpartition(".")[2] == wrong.rpartition(".")[2]]
        near = same_leaf[:1]
    return f"\n    the nearest key is {near[0]}" if near else ""


def launch_sweep(overrides: list[str], multirun: bool, study: Path, config_name: str) -> None:
    """Hydra's multirun, for launchers that start jobs elsewhere; each leaves its outcome in the run's status.json.

    Args:
        study: the study's folder; Hydra's own files lie beside it.
    """
    import hydra

    from zeroscale.cli.commands import train
    from zeroscale.cli.composing import search_path

    search_path.register()

    def job(composed: "DictConfig") -> None:
        config, launch = _settings("train", composed)
        assert launch is not None
        train.run_job(config, launch)

    own_overrides = [
        # Hydra's own directories and logs stay out of the study: runs name their directories by their settings.
        "hydra.output_subdir=null",
        "hydra.run.dir=.",
        f"hydra.sweep.dir={quote(str(study.parent / '.hydra' / study.name))}",
        "hydra.sweep.subdir=.",
        "hydra/job_logging=disabled",
        "hydra/hydra_logging=disabled",
    ]
    argv = sys.argv
    sys.argv = ["zeroscale train", *own_overrides, *overrides, *(["-m"] if multirun else [])]
    try:
        hydra.main(version_base="1.3", config_path=str(paths.conf()), config_name=config_name)(job)()
    finally:
        sys.argv = argv
