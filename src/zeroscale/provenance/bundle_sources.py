"""What a bundle holds besides the study: the source that made it, and what its corpora were made from."""

import io
import subprocess
import tarfile
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object
from zeroscale.core.parsing import json_text
from zeroscale.data.corpus import INDEX, SOURCE
from zeroscale.runs import source
from zeroscale.runs.source import SourceFacts


def as_json(value: object) -> bytes:
    """As `files.write_json` writes it."""
    return (json_text.dumps(value, indent=2) + "\n").encode()


def sources(recorded: Sequence[SourceFacts], opened: Path) -> tuple[dict[str, Path | bytes], list[str]]:
    """File name → tar of each source that made a run, and what is to be said of those that are not at hand.

    A revision comes from git, or from an earlier bundle that was opened here (`opened`); a source without one is that
    which runs here, if it is the same by its content. Uncommitted changes lie in the runs' own source.diff.
    """
    archives: dict[str, Path | bytes] = {}
    notes = []
    unversioned: SourceFacts | None = None
    for revision in sorted({revision for facts in recorded if (revision := facts.get("revision"))}):
        name = f"{revision}.tar"
        content = _from_git(revision)
        if content is not None:
            archives[name] = content
        elif (opened / name).is_file():
            archives[name] = opened / name
        else:
            notes.append(f"the source of revision {revision} is not in this checkout's history")
    for facts in recorded:
        if not facts.get("revision"):
            unversioned = facts
    if unversioned is not None:
        rooms = source.rooms_of(paths.PACKAGE)
        name = f"zeroscale-{unversioned.get('version', 'unknown')}.tar"
        if unversioned.get("rooms") == rooms:
            archives[name] = _of_package()
        elif (opened / name).is_file():
            archives[name] = opened / name
        else:
            notes.append("a run was made by a zeroscale without a checkout, which is not the one that runs here")
    return archives, notes


def _from_git(revision: str) -> bytes | None:
    """A commit's whole tree as tar; the same bytes wherever it is made."""
    root = paths.share()
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "archive", "--format=tar", f"--prefix=zeroscale-{revision[:12]}/", revision]
    try:
        result = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        return None
    return result.stdout if result.returncode == 0 else None


def _of_package() -> bytes:
    """The package as it is installed, its YAML included."""
    buffer = io.BytesIO()
    roots = {"zeroscale": paths.PACKAGE, **{name: paths.share() / name for name in ("conf", "evals", "sweeps")}}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for top, folder in roots.items():
            for path in _sources_in(folder, top == "zeroscale"):
                info = tarfile.TarInfo(f"{top}/{path.relative_to(folder).as_posix()}")
                info.size, info.mode = path.stat().st_size, 0o644
                with open(path, "rb") as file:
                    tar.addfile(info, file)
    return buffer.getvalue()


def _sources_in(folder: Path, package: bool) -> Iterable[Path]:
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder).parts
        if path.is_file() and "__pycache__" not in inner and not (package and inner[0] == "_share"):
            yield path


def corpora(directories: Sequence[Path], fingerprints: Container[str]) -> dict[str, Path]:
    """`NAME.index.json` and `NAME.source.json` of the corpora with these fingerprints, as far as they are in one of the
    directories: prepared, or as an opened bundle holds them."""
    files: dict[str, Path] = {}
    for directory in directories:
        for index in sorted([*directory.glob(f"*/{INDEX}"), *directory.glob(f"*.{INDEX}")]):
            try:
                fingerprint = read_object(index).get("fingerprint")
            except ZeroscaleError:
                continue
            if fingerprint not in fingerprints:
                continue
            prepared = index.name == INDEX
            name = index.parent.name if prepared else index.name.removesuffix(f".{INDEX}")
            source = index.with_name(SOURCE if prepared else f"{name}.{SOURCE}")
            files.setdefault(f"{name}.{INDEX}", index)
            if source.is_file():
                files.setdefault(f"{name}.{SOURCE}", source)
    return files
