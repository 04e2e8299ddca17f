"""What in a directory of studies no run needs. In doubt it is needed."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zeroscale.cli.commands.tidy.removal import LEFT
from zeroscale.core import files
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import is_held
from zeroscale.data.prepare import prepare
from zeroscale.runs import layout
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study

HYDRA = ".hydra"
"""Logs of Hydra's launchers, a directory for each study."""
TRACKERS = {"wandb", "tensorboard"}
_HALF_WRITTEN = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")
_OLD_SECONDS = 24 * 3600.0


class Unused(NamedTuple):
    """A file or directory that no run needs, and why it is there no longer for any."""

    path: Path
    why: str


def find(outputs: Path) -> tuple[list[Unused], list[str]]:
    """What is unused in the directory of the studies, and sentences on what had to be left alone."""
    runs = _runs(outputs)
    studies = [Study(path) for path in sorted(outputs.iterdir()) if path.is_dir() and layout.run_directories(path)]
    needs, reason = _needs(outputs, runs, studies)
    corpora = [] if needs is None else list(_corpora(layout.corpora(outputs), needs))
    found = [*corpora, *_logs(outputs, studies), *_tracked(outputs), *_half_written(outputs, runs)]
    return found, [reason] if reason else []


def _runs(outputs: Path) -> list[Run]:
    """All runs below, those of studies one directory deeper too."""
    paths = [path.parent for depth in ("*/*", "*/*/*") for path in outputs.glob(f"{depth}/{layout.CONFIG}")]
    return [Run(path) for path in sorted(paths) if not any(part.startswith(LEFT) for part in path.parts)]


class _Needs(NamedTuple):
    """What runs say of their corpora: names of directories, fingerprints, beginnings of names, and whole settings."""

    names: set[str]
    fingerprints: set[str]
    beginnings: set[str]
    texts: list[str]

    def has(self, directory: Path) -> bool:
        name = directory.name
        if name in self.names or name.startswith(tuple(self.beginnings)) or any(name in text for text in self.texts):
            return True
        return _fingerprint(directory) in self.fingerprints


def _needs(outputs: Path, runs: list[Run], studies: list[Study]) -> tuple[_Needs | None, str]:
    """What corpora are needed; None, with the reason, where a run cannot say."""
    if layout.corpora(outputs).is_symlink():
        return None, f"corpora stay: {layout.corpora(outputs)} is a link, and runs elsewhere may use them"
    for lock in (path for name in (layout.LAUNCH_LOCK, layout.WORKER_LOCK) for path in outputs.glob(f"*/*/{name}")):
        if not layout.is_run(lock.parent) and is_held(lock):
            return None, f"corpora stay: {lock.parent} is about to be trained"
    needs = _Needs(set(), set(), set(), [])
    for run in runs:
        try:
            _add(needs, run)
        except ZeroscaleError as error:
            return None, f"corpora stay, because a run cannot say which one is its own: {error}"
    for study in studies:
        try:
            planned = [run.settings for run in study.missing_runs]
        except ZeroscaleError as error:
            return None, f"corpora stay, because a study cannot say what is still to be trained: {error}"
        for settings in planned:
            name = settings.get("data", {}).get("name")
            if not isinstance(name, str):
                return None, f"corpora stay: {study.directory} has runs that have not begun, of unknown settings"
            needs.beginnings.add(f"{name}-")
            needs.texts.append(json.dumps(settings, default=str))
    return needs, ""


def _add(needs: _Needs, run: Run) -> None:
    settings = run.settings
    needs.texts.append(json.dumps(settings, default=str))
    fingerprint = run.manifest.get("corpus", {}).get("fingerprint")
    if fingerprint is not None:
        needs.fingerprints.add(fingerprint)
    try:
        from zeroscale.data.prepare import prepare

        needs.names.add(prepare.corpus_directory(Path(), run.config.data, run.config.tokenizer).name)
    except ZeroscaleError:
        # Of another version's settings: its fingerprint says enough.
        if fingerprint is None:
            raise
        return
    if fingerprint is None:
        needs.beginnings.add(f"{run.config.data.name}-")


def _fingerprint(directory: Path) -> str | None:
    from zeroscale.data.corpus import INDEX

    try:
        found = files.read_object(directory / INDEX).get("fingerprint")
    except (ZeroscaleError, OSError):
        return None
    return found if isinstance(found, str) else None


def lock_of(path: Path) -> Path:
    """The lock of those who prepare a corpus, of its directory or its unfinished one."""
    return prepare.lock_path(path.with_name(_name(path)))


def verified_of(path: Path) -> Path:
    """The record beside a corpus that its files have been compared with their sha256."""
    return prepare.verified_path(path.with_name(_name(path)))


def _name(path: Path) -> str:
    return path.name.removeprefix(".").removesuffix(".part") if path.name.startswith(".") else path.name


def _corpora(directory: Path, needs: _Needs) -> Iterator[Unused]:
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        if not path.is_dir() or path.name.startswith(LEFT) or is_held(lock_of(path)):
            continue
        part = path.name.startswith(".") and path.name.endswith(".part")
        if path.name.startswith(".") and not part:
            continue
        if not needs.has(path.with_name(_name(path))):
            yield Unused(path, "its preparation was not finished" if part else "no run was trained on this corpus")


def _logs(outputs: Path, studies: list[Study]) -> Iterator[Unused]:
    """Logs of Hydra's launchers, of studies that are finished or gone."""
    by_name = {study.directory.name: study for study in studies}
    for path in sorted((outputs / HYDRA).iterdir()) if (outputs / HYDRA).is_dir() else ():
        study = by_name.get(path.name)
        if study is not None and not _finished(study):
            continue
        if study is None and (outputs / path.name).exists():
            continue  # its runs are about to begin
        yield Unused(path, "logs of a launcher; its study is " + ("finished" if study else "gone"))


def _finished(study: Study) -> bool:
    try:
        return not study.missing_runs and all(run.done for run in study.runs)
    except ZeroscaleError:
        return False


def _tracked(outputs: Path) -> Iterator[Unused]:
    """Directories in which a run once lay, of which only its trackers' files are left."""
    for path in sorted(outputs.glob("[!.]*/[!.]*")):
        if path.is_dir() and not path.is_symlink() and path.parent.name not in (layout.CORPORA, layout.EXTERNAL):
            names = {child.name for child in path.iterdir()}
            if names and names <= TRACKERS and not any(part.name in TRACKERS for part in (path, path.parent)):
                yield Unused(path, "a tracker's files; the run is gone")


def _half_written(outputs: Path, runs: list[Run]) -> Iterator[Unused]:
    """What a killed process left: half-removed at any age, half-written for a day."""
    folders = {outputs, *(path for path in outputs.iterdir() if path.is_dir())}
    folders |= {folder for run in runs for folder in (run.directory, run.directory / layout.CHECKPOINTS)}
    for folder in sorted(path for path in folders if path.is_dir()):
        for path in sorted(folder.glob(".*")):
            if path.name.startswith(LEFT):
                yield Unused(path, "its removal was interrupted")
            elif _HALF_WRITTEN.fullmatch(path.name) and _is_old(path) and not list(folder.glob(".*.old.*.tmp")):
                yield Unused(path, "half-written by a process that was killed")


def _is_old(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime > _OLD_SECONDS
