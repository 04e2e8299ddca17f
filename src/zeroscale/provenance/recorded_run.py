"""Read a recorded run with all it left behind, and check its files against their recorded hashes."""

from dataclasses import dataclass, field
from pathlib import Path

from zeroscale import __version__
from zeroscale.config import diff
from zeroscale.config.hashing import as_dict
from zeroscale.config.train import TrainConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object, sha256_file
from zeroscale.runs import checkpoint, layout, status
from zeroscale.runs.manifest import FORMAT, Manifest, own_hash
from zeroscale.runs.results import Json, ResultFile, read_result
from zeroscale.runs.run import Run, open_run


@dataclass
class Check:
    """The result of comparing the files of a run with their recorded hashes."""

    good: int = 0
    """How many files are unchanged."""
    faults: list[str] = field(default_factory=list)
    """A message for each file that has changed or is gone."""
    unknown: list[str] = field(default_factory=list)
    """A message for each file without a recorded hash, or that is not here any more."""

    def words(self) -> str:
        text = f"{self.good} {'file is' if self.good == 1 else 'files are'} as the recorded sha256 say"
        return "; ".join([text, *self.faults])


@dataclass(frozen=True)
class Recorded:
    """A run as its directory records it. `manifest` is {} where there is none."""

    directory: Path
    config: TrainConfig
    manifest: Manifest
    metrics: dict[int, Json]
    results: list[ResultFile]
    checks: Check


def read(directory: Path) -> Recorded:
    """Read everything that a reproduction is compared with.

    Raises:
        ZeroscaleError: no run, one of a newer version, damaged, or with settings that are not those it was trained
            with; says what can still be checked.
    """
    directory = Path(directory)
    if layout.run_directories(directory):
        raise ZeroscaleError(f"{directory} is a study and no run: give study=… then, or one of its runs")
    run = open_run(directory)
    checks = check(directory)
    try:
        manifest = run.manifest
    except ZeroscaleError as error:
        raise ZeroscaleError(f"{error}. {_checkable(checks)}") from error
    if manifest.get("format", 1) > FORMAT:
        raise ZeroscaleError(
            f"{directory / layout.MANIFEST} was written by a newer zeroscale (format {manifest['format']}, this one "
            f"knows {FORMAT}; {_versions(manifest)}): use that one. {_checkable(checks)}"
        )
    settings = _settings(run, manifest, checks)
    try:
        metrics = run.metrics
    except ZeroscaleError as error:
        raise ZeroscaleError(f"{error}. {_checkable(checks)}") from error
    return Recorded(directory, settings, manifest, metrics, run.results, checks)


def check(directory: Path) -> Check:
    """Compares every file of a run with the sha256 that was recorded of it."""
    checks = Check()
    check_hashed_files(directory, checks)
    for path in checkpoint.all_of(directory):
        check_checkpoint(path, checks)
    for path in layout.step_directories(directory / layout.EVALS).values():
        for result in layout.result_files(path):
            check_result(result, checks)
    return checks


def check_hashed_files(directory: Path, checks: Check) -> None:
    """Check the files whose hashes DONE holds."""
    try:
        done = status.read_done_file(directory)
    except ZeroscaleError as error:
        checks.faults.append(str(error))
        return
    hashes = done.get("sha256", {}) if done else {}
    for name, expected in hashes.items():
        _compare(directory / name, expected, f"{layout.DONE} says", checks)
    if not hashes:
        why = f"{layout.DONE} holds no sha256 of them" if done else "the run is not finished"
        checks.unknown.append(f"{layout.CONFIG}, {layout.MANIFEST}, {layout.METRICS}: {why}")


def check_checkpoint(path: Path, checks: Check) -> None:
    """Check the files of a checkpoint, whose hashes its meta.json holds."""
    try:
        hashes = checkpoint.meta(path)["sha256"]
    except ZeroscaleError as error:
        checks.faults.append(str(error))
        return
    if layout.WEIGHTS not in hashes:
        checks.faults.append(f"{_short(path / layout.META)} holds no sha256 of {layout.WEIGHTS}")
    for name, expected in hashes.items():
        if (path / name).is_file():
            _compare(path / name, expected, f"{layout.META} says", checks)
        else:
            checks.unknown.append(f"{_short(path / name)} is not here")


def check_result(path: Path, checks: Check) -> None:
    """Check a result and its rows per example, by the hashes that it holds."""
    try:
        read_result(path)
        content = read_object(path)  # as it stands there, for its own hash
    except ZeroscaleError as error:
        checks.faults.append(str(error))
        return
    if "sha256" not in content:
        checks.unknown.append(f"{_short(path)}: written before results had a sha256 of their own")
    elif own_hash(content) != content["sha256"]:
        checks.faults.append(f"{_short(path)} has been changed since it was written (its own sha256 says so)")
    else:
        checks.good += 1
    records = layout.examples_file(path)
    if not records.is_file():
        checks.unknown.append(f"{_short(records)} is not here")
    elif content.get("records_sha256"):
        _compare(records, content["records_sha256"], f"{path.name} says", checks)
    else:
        checks.unknown.append(f"{_short(records)}: written before results held a sha256 of it")


def _compare(path: Path, expected: str, says: str, checks: Check) -> None:
    if not path.is_file():
        checks.faults.append(f"{_short(path)} is gone")
    elif sha256_file(path) == expected:
        checks.good += 1
    else:
        checks.faults.append(f"{_short(path)} has been changed since it was written ({says} another sha256)")


def _short(path: Path) -> str:
    """A path below its run."""
    parts = path.parts
    for inner in (layout.CHECKPOINTS, layout.EVALS, layout.TOKENIZER):
        if inner in parts:
            return "/".join(parts[len(parts) - 1 - parts[::-1].index(inner) :])
    return path.name


def _settings(run: Run, manifest: Manifest, checks: Check) -> TrainConfig:
    """The run's configuration, if it is what the run was trained with."""
    directory, path = run.directory, run.directory / layout.CONFIG
    try:
        settings = run.config
    except ZeroscaleError as error:
        raise ZeroscaleError(f"{path} ({_versions(manifest)}): {error}\n{_checkable(checks)}") from error
    done, meta = status.read_done(directory), _meta(directory)
    expected = manifest.get("settings_hash") or (done and done["settings_hash"]) or meta.get("settings_hash")
    if expected and settings.hash() != expected:
        changed = diff.differences(meta.get("settings") or {}, as_dict(settings)) if meta.get("settings") else []
        what = f": {'; '.join(changed)}" if changed else f" (settings hash {settings.hash()[:12]}, not {expected[:12]})"
        raise ZeroscaleError(
            f"{path} is not what the run was trained with{what}. Put it back; the settings of a checkpoint also stand "
            f"in its {layout.META}. {_checkable(checks)}"
        )
    return settings


def _meta(directory: Path) -> checkpoint.Meta:
    """The meta.json of the newest checkpoint that can be read."""
    for path in reversed(checkpoint.all_of(directory)):
        try:
            return checkpoint.meta(path)
        except ZeroscaleError:
            continue
    return {"sha256": {}}


def _versions(manifest: Manifest) -> str:
    wrote = manifest.get("source", {}).get("version")
    return f"written by zeroscale {wrote or 'of an unknown version'}, this is {__version__}"


def _checkable(checks: Check) -> str:
    return f"What can still be checked: {checks.words()}."
