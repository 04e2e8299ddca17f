"""A study packed into one file: what it is made of, with a sha256 of each file, the same bytes for the same study.

<study>/…                     the study, as `report`, `fit` and `explain` read it, without weights
<study>/bundle/BUNDLE.json    format, and what was not at hand
<study>/bundle/SHA256SUMS     of every other file, as sha256sum -c reads it
<study>/bundle/source/        the source of each revision that made a run, as tar
<study>/bundle/lock/          the lock files
<study>/bundle/corpora/       of each corpus what it was made from, and the sha256 of its shards
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from zeroscale import __version__
from zeroscale.core import paths
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_file, write_file
from zeroscale.provenance import bundle_sources
from zeroscale.runs import layout, status
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study

FORMAT = 1
INNER = "bundle"
ABOUT, SUMS = "BUNDLE.json", "SHA256SUMS"
# zstandard's: 19 takes five times as long for a tenth less.
LEVEL = 12

# Of a study and of a run, by name or pattern. Logs, locks, trackers' files and optimizer state stay behind.
_OF_STUDY = ("*.csv", "*.json", f"{layout.REPORT}/**/*")
_OF_RUN = (
    layout.CONFIG,
    layout.MANIFEST,
    layout.STATUS,
    layout.DONE,
    layout.METRICS,
    layout.SOURCE_DIFFS,
    layout.REPRODUCTION,
    f"{layout.TOKENIZER}/*",
    f"{layout.EVALS}/step-*/[!.]*",
    f"{layout.CHECKPOINTS}/step-*/{layout.META}",
)


@dataclass
class Contents:
    """What goes into a bundle: name → a file, or bytes."""

    files: dict[str, Path | bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Packed:
    """A bundle that was written."""

    path: Path
    files: int
    bytes: int
    sha256: str
    notes: list[str]


def write(study: Path, out: Path, weights: bool = False) -> Packed:
    """Packs a study.

    Raises:
        ZeroscaleError: no study, one of its runs is being trained, or a file changes while it is packed.
    """
    contents = collect(study, weights)
    name = study.resolve().name
    sums = {path: _digest(content) for path, content in sorted(contents.files.items())}
    listed = "".join(f"{digest}  {path}\n" for path, digest in sums.items())
    about = bundle_sources.as_json(
        {
            "format": FORMAT,
            "study": name,
            "zeroscale": __version__,
            "weights": weights,
            "files": len(sums),
            "notes": contents.notes,
        }
    )
    heads = {f"{INNER}/{ABOUT}": about, f"{INNER}/{SUMS}": listed.encode()}

    def fill(handle: BinaryIO) -> None:
        import zstandard

        # One thread: how the frame is cut depends on their number.
        with (
            zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, threads=0).stream_writer(
                handle, closefd=False
            ) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path, content in [*heads.items(), *sorted(contents.files.items())]:
                _add(tar, f"{name}/{path}", content, sums.get(path))

    write_file(out, fill)
    return Packed(out, len(sums), out.stat().st_size, sha256_file(out), contents.notes)


def collect(study: Path, weights: bool = False) -> Contents:
    """Every file of a bundle by its name below the study, BUNDLE.json and SHA256SUMS left out."""
    runs = Study(study).require_runs()
    if busy := [run.name for run in runs if status.is_locked(run.directory)]:
        raise ZeroscaleError(f"{study}: {', '.join(busy)} is being trained; pack the study when it has ended")
    contents = Contents()
    for path in _matching(study, _OF_STUDY):
        contents.files[path.relative_to(study).as_posix()] = path
    for run in runs:
        if not run.done:
            contents.notes.append(f"{run.name} is {run.state}")
        for path in [*_matching(run.directory, _OF_RUN), *(_weights(run) if weights else [])]:
            contents.files[path.relative_to(study).as_posix()] = path
    for name in (layout.LEDGER, layout.FIT, f"{layout.REPORT}/index.html"):
        if name not in contents.files:
            contents.notes.append(f"{name} is not there (zeroscale fit and report write them)")
    _add_environment(contents, study, runs)
    return contents


def _matching(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    """Plain files; a link is none, and would be dangling elsewhere."""
    for pattern in patterns:
        yield from (path for path in sorted(folder.glob(pattern)) if path.is_file() and not path.is_symlink())


def _weights(run: Run) -> list[Path]:
    """The files of the last checkpoint: whole, so that `eval` and `export` take it."""
    checkpoints = run.checkpoints
    return sorted(path for path in checkpoints[-1].iterdir() if path.is_file()) if checkpoints else []


def _add_environment(contents: Contents, study: Path, runs: list[Run]) -> None:
    """Sources, lock files, and what the corpora were made from."""
    opened = study / INNER
    root = paths.share()
    for path in _matching(opened if opened.is_dir() else root, ("lock/*.txt",)):
        contents.files[f"{INNER}/lock/{path.name}"] = path
    if not any(name.startswith(f"{INNER}/lock/") for name in contents.files):
        contents.notes.append("the lock files are not at hand: this is no checkout")
    parts = [part for run in runs for part in (run.manifest, *run.manifest.get("earlier", []))]
    recorded = [part["source"] for part in parts if part.get("source")]
    sources, notes = bundle_sources.sources(recorded, opened / "source")
    contents.files |= {f"{INNER}/source/{name}": content for name, content in sources.items()}
    contents.notes += notes
    fingerprints = {run.manifest.get("corpus", {}).get("fingerprint") for run in runs}
    folders = [layout.corpora(Study(study).outputs), layout.corpora(opened)]
    corpora = bundle_sources.corpora(folders, {fingerprint for fingerprint in fingerprints if fingerprint})
    contents.files |= {f"{INNER}/{layout.CORPORA}/{name}": path for name, path in corpora.items()}


def _digest(content: Path | bytes) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else sha256_file(content)


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes, expected: str | None) -> None:
    """A member that holds nothing of this machine: no owner, no time."""
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    if isinstance(content, bytes):
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
        return
    with open(content, "rb") as file:
        info.size = content.stat().st_size
        reader = Hashing(file)
        tar.addfile(info, reader)
        if reader.digest.hexdigest() != expected:
            raise ZeroscaleError(
                f"{content} has changed while it was packed: try again when nothing writes to the study"
            )


class Hashing:
    """A stream that hashes what is read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self.digest.update(chunk)
        return chunk
