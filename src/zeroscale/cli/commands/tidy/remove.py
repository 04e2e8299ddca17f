"""`zeroscale remove`: takes runs out of a study, its ledger and its record of commands."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from pydantic.dataclasses import dataclass

from zeroscale.cli.commands.tidy import removal
from zeroscale.cli.select_runs import named
from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, FilePath, Filters
from zeroscale.config.validate import build_config
from zeroscale.core import files, format
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.tables import Cell, Column, Table
from zeroscale.launch import sweep_record
from zeroscale.runs import layout, status, where
from zeroscale.runs.run import Run, open_run
from zeroscale.runs.study import Study


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RemoveConfig:
    """A study, and which of its runs go."""

    study: FilePath | None
    run: FilePath | None
    """Its directory, or a part of its name that no other run has."""
    where: Filters
    """Settings of the runs that go."""
    yes: bool
    """Without asking."""


def run(raw: RawConfig) -> int:
    """Removes runs after asking; returns 1 where the answer is no."""
    config = build_config(RemoveConfig, raw)
    study, runs = _chosen(config)
    busy = [run.name for run in runs if status.is_locked(run.directory)]
    if busy:
        raise ZeroscaleError(f"{', '.join(busy)}: being trained now; nothing was removed. Stop the training first")
    labels = {run.name: _label(study, run) for run in runs}
    _list(study, runs, labels)
    if not removal.confirmed(f"Remove {format.count(len(runs), 'run')} for good?", config.yes):
        print("nothing was removed")
        return 1
    for run in runs:
        _remove(run)
    _renew(study.directory, [run.name for run in runs])
    return 0


def _chosen(config: RemoveConfig) -> tuple[Study, list[Run]]:
    if config.run is not None:
        if config.where:
            raise ZeroscaleError(f"where.{next(iter(config.where))} and run= both choose: give one of them")
        chosen = open_run(Path(named(config.run, config.study)), "run=")
        return Study(chosen.directory.parent), [chosen]
    if config.study is None:
        raise ZeroscaleError("which runs? remove study=DIR with where.KEY=VALUE or run=PART, or run=DIR")
    study = Study(Path(config.study))
    study.require_runs()
    if not config.where:
        raise ZeroscaleError(
            f"which runs of {config.study}? where.KEY=VALUE or run=PART chooses, "
            f"`zeroscale runs study={config.study}` lists them; a whole study goes by deleting its directory"
        )
    return study, where.matching(study.axes, config.where)


def _label(study: Study, run: Run) -> str:
    return study.axes.labels.get(run.name, run.name)


def _list(study: Study, runs: Sequence[Run], labels: dict[str, str]) -> None:
    sizes = {run.name: removal.size_of(run.directory) for run in runs}
    rows = [[Cell(labels[run.name]), Cell(_state(run)), Cell(format.size(sizes[run.name]))] for run in runs]
    print(Table([Column("run"), Column("state"), Column("size", number=True)], rows).text())
    of = len(study.runs)
    print(f"\n{len(runs)} of {format.count(of, 'run')} in {study.directory}, {format.size(sum(sizes.values()))}")
    for child, parent in _children(study, runs):
        print(f"{child.directory} goes on from {labels[parent.name]}: it cannot be made again without it")


def _state(run: Run) -> str:
    return "damaged" if run.fault else run.state


def _children(study: Study, going: Sequence[Run]) -> Iterator[tuple[Run, Run]]:
    """The runs that stay and began with the weights of one that goes, with that one; of all studies beside it."""
    names = {run.directory.resolve() for run in going}
    for folder in sorted(path for path in study.outputs.iterdir() if path.is_dir()):
        for run in map(Run, layout.run_directories(folder)):
            if run.directory.resolve() in names or not (parent := _parent(run)):
                continue
            # A trunk is recorded by its settings hash, another parent by its name.
            yield from ((run, gone) for gone in going if gone.name == parent or gone.name.endswith(f"-{parent}"))


def _parent(run: Run) -> str | None:
    try:
        if recorded := run.manifest.get("init_from"):
            return recorded["parent"]
        if not (run.settings.get("init_from") or {}).get("run"):
            return None
        return run.config.parent()["parent"]
    except ZeroscaleError:
        return None


def _remove(run: Run) -> None:
    """Removes a run while its locks are held, so that no training begins in it meanwhile."""
    with ExitStack() as stack:
        for name in (layout.LAUNCH_LOCK, layout.WORKER_LOCK):
            stack.enter_context(files.lock(run.directory / name, 0.0, f"{run.directory}: a training has just begun"))
        removal.remove(run.directory)


def _renew(directory: Path, names: Sequence[str]) -> None:
    """Takes removed runs out of the records of their study, and says which of its files still know them."""
    sweep_record.forget(directory, names)
    study = Study(directory)
    if study.runs:
        study.write_ledger()
    else:
        study.ledger_path.unlink(missing_ok=True)
    print(f"removed {format.count(len(names), 'run')}; {format.count(len(study.runs), 'run')} left in {directory}")
    if study.fit_path.exists():
        print(f"{study.fit_path} is older and counts what is gone: zeroscale fit study={directory} fits anew")
    if study.report_directory.exists():
        print(f"{study.report_directory} is older, too: zeroscale report study={directory} makes it anew")
