"""Runs that a command line names by their settings (`where.optimizer.lr=0.003`) or by a part of their name.

Settled before a command begins, in its plain settings: what takes one run is given that run's directory.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from zeroscale.cli.commands import LabelledConfig
from zeroscale.cli.help import FILTER
from zeroscale.config.raw import RawConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.runs import layout, where
from zeroscale.runs.axes import Axes
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study
from zeroscale.runs.where import Wanted

Filters = Mapping[str, Wanted]


class Selects(NamedTuple):
    """How a command takes runs.

    Attributes:
        key: its setting for a run or a checkpoint; "" where it takes none.
        one: it takes one run: `study=` and filters must leave one. Otherwise it is run for each that they leave.
        filters: it takes filters itself, with its study.
        extra_study: `study` is no setting of its own, and serves to name a run of it.
    """

    key: str = ""
    one: bool = False
    filters: bool = False
    extra_study: bool = False


SELECTS = {
    "eval": Selects("checkpoint"),
    "reproduce": Selects("run"),
    "sample": Selects("checkpoint", one=True, extra_study=True),
    "export": Selects("checkpoint", one=True, extra_study=True),
    "batch": Selects("run", one=True, extra_study=True),
    "explain": Selects("cell", one=True),
    "overlap": Selects("run", one=True),
    "compare": Selects("runs", extra_study=True),
    "fit": Selects(filters=True),
    "report": Selects(filters=True),
    "runs": Selects(filters=True),
    "remove": Selects(filters=True),
    "status": Selects(filters=True),
}
# Settings that may hold the path of a run, of which the last part may be a part of its name.
_PATHS = ("run", "checkpoint")


def resolve(command: str, configs: Sequence[LabelledConfig], filters: Filters) -> list[LabelledConfig]:
    """The jobs of a command with the runs that their settings name by parts, and that the filters leave.

    Raises:
        ZeroscaleError: a part that belongs to no run or to several, or a study
            without such runs.
    """
    selects = SELECTS.get(command)
    if selects is None:
        return list(configs)
    return [(label, job) for label, config in configs for job in _jobs(command, selects, dict(config), filters)]


def check(command: str, filters: Filters) -> None:
    """Checks that a command takes filters.

    Raises:
        ZeroscaleError: it does not; names those that do.
    """
    if filters and command not in SELECTS:
        takers = ", ".join(sorted(SELECTS))
        raise ZeroscaleError(f"{_first(filters)}: `{command}` chooses no runs by their settings; these do: {takers}")


def _first(filters: Filters) -> str:
    return f"{FILTER}{next(iter(filters))}"


def _jobs(command: str, selects: Selects, config: RawConfig, filters: Filters) -> list[RawConfig]:
    study = config.get("study")
    if selects.filters:
        return [{**config, "where": dict(filters)}] if filters else [config]
    given = next((key for key in (*_PATHS, "cell", "runs") if config.get(key)), None)
    if not filters:
        return [_with_names(config, study, selects.extra_study)]
    if given is not None:
        raise ZeroscaleError(f"{_first(filters)} chooses among the runs of study=DIR: leave {given}= out")
    if not isinstance(study, str):
        raise ZeroscaleError(f"{_first(filters)} chooses among the runs of a study: give study=DIR")
    return _chosen(command, selects, config, study, filters)


def _with_names(config: RawConfig, study: object, extra_study: bool) -> RawConfig:
    """The settings with the runs in place of the parts of names that stand for them."""
    found = dict(config)
    for key in _PATHS:
        if isinstance(config.get(key), str):
            found[key] = named(config[key], study)
            if found[key] != config[key] and not extra_study and "study" in config:
                found["study"] = None  # it said where the named run lies
    if isinstance(config.get("runs"), list):
        found["runs"] = [named(run, study) if isinstance(run, str) else run for run in config["runs"]]
    return found


def _chosen(command: str, selects: Selects, config: RawConfig, study: str, filters: Filters) -> list[RawConfig]:
    axes = _axes(study)
    runs = where.matching(axes, filters)
    if command == "compare":
        if len(runs) != 2:
            raise ZeroscaleError(_too_many(axes, runs, "compare takes two runs"))
        return [{**config, "runs": [str(run.directory) for run in runs]}]
    if selects.one and len(runs) != 1:
        raise ZeroscaleError(_too_many(axes, runs, f"{command} takes one run"))
    if selects.key == "cell":
        return [{**config, "cell": runs[0].name}]
    alone = {} if selects.extra_study else {"study": None}
    return [{**config, **alone, selects.key: str(run.directory)} for run in runs]


def _axes(study: str) -> Axes:
    found = Study(Path(study))
    found.require_runs()
    return found.axes


def _too_many(axes: Axes, runs: Sequence[Run], takes: str) -> str:
    labels = [axes.label(run) for run in runs]
    shown = "; ".join(labels[: where.MOST_NAMES]) + ("; …" if len(labels) > where.MOST_NAMES else "")
    free = [axis for axis in axes.varied if len({axes.value(run, axis.key) for run in runs}) > 1]
    hint = f". Add {' or '.join(f'{FILTER}{axis.key}=…' for axis in free)}" if free else ""
    return f"{takes}, and these settings leave {len(runs)}: {shown}{hint}"


def named(given: str, study: object = None) -> str:
    """The path of a run or checkpoint that a user named: as given where that is there; else, where a part of it stands
    for a run of the study before it (or of `study`), with that run's directory.

    Raises:
        ZeroscaleError: the part belongs to no run of that study, or to several.
    """
    path = Path(given)
    if not given or path.exists():
        return given
    if isinstance(study, str):
        inside = Path(study) / given
        if inside.exists():
            return str(inside)
        if Path(study).is_dir():
            return str(where.one(_axes(study), given).directory)
    for parent in path.parents:
        if parent.is_dir():
            rest = path.relative_to(parent).parts
            if parent != Path() and layout.run_directories(parent):
                run = where.one(Study(parent).axes, rest[0]).directory
                return str(run.joinpath(*rest[1:]))
            break
    return given
