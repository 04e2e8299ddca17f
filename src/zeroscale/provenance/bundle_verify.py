"""A bundle checked, member by member, and opened: nothing of it is trusted before its sha256 is known."""

import hashlib
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_file, write_directory
from zeroscale.provenance.bundle import ABOUT, FORMAT, INNER, SUMS, Hashing

# Of BUNDLE.json and SHA256SUMS, which are read before anything is known about them.
_HEAD_BYTES = 64 << 20
_CHUNK = 1 << 20


@dataclass
class Verified:
    """What a bundle holds, and what is wrong with it."""

    sha256: str
    study: str = ""
    good: int = 0
    faults: list[str] = field(default_factory=list)


def verify(path: Path) -> Verified:
    """Compares every member with SHA256SUMS: changed, missing, and such as do not belong there.

    Raises:
        ZeroscaleError: the file is no bundle, or one of a newer version.
    """
    found = Verified(sha256_file(_existing(path)))
    sums: dict[str, str] | None = None
    seen: set[str] = set()
    try:
        with _members(path) as members:
            for info, stream in members:
                if sums is None:
                    sums = _heads(path, found, info, stream, seen)
                    continue
                if info.name in seen:
                    found.faults.append(f"{_shown(info.name)} is there twice")
                elif fault := _fault(info, found.study):
                    found.faults.append(fault)
                elif info.name not in sums:
                    found.faults.append(f"{_shown(info.name)} is not listed in {SUMS}")
                elif _sha256(stream) != sums[info.name]:
                    found.faults.append(f"{_shown(info.name)} is not what was packed: its sha256 is another")
                else:
                    found.good += 1
                seen.add(info.name)
    except _broken() as error:
        found.faults.append(f"the file breaks off or is damaged: {_line(error)}")
    if sums is None:
        raise ZeroscaleError(f"{path} is not a bundle: it does not begin with {INNER}/{ABOUT} and {INNER}/{SUMS}")
    found.faults += [f"{_shown(name)} is missing" for name in sorted(sums.keys() - seen)]
    return found


def open_into(path: Path, out: Path, checked: Verified) -> Path:
    """Writes a bundle's files below `out`, whole or not at all; returns the study's directory.

    Raises:
        ZeroscaleError: it has faults, changed since it was checked, or the study's directory is there already.
    """
    if checked.faults:
        raise ZeroscaleError(f"{path} has {len(checked.faults)} faults and is not opened: {checked.faults[0]}")
    study = out / checked.study
    if study.exists():
        raise ZeroscaleError(f"{study} is there already: open the bundle in another directory")

    def fill(temporary: Path) -> None:
        with open(path, "rb") as file, _members(path, hashes := Hashing(file)) as members:
            for info, stream in members:
                # Checked before; said again by the library, whose rules are others' work: no way out of `temporary`.
                inner = PurePosixPath(info.name).relative_to(checked.study)
                info = tarfile.data_filter(info.replace(name=inner.as_posix()), str(temporary))
                target = temporary / info.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "xb") as opened:
                    while chunk := stream.read(_CHUNK):
                        opened.write(chunk)
            while hashes.read(_CHUNK):
                pass
        if hashes.digest.hexdigest() != checked.sha256:
            raise ZeroscaleError(f"{path} has changed since it was checked; nothing was opened")

    write_directory(study, fill)
    return study


@contextmanager
def _members(path: Path, source: Any = None) -> Iterator[Iterator[tuple[tarfile.TarInfo, Any]]]:
    """The members in order, each with a stream of its content; of what is no plain file the stream is empty."""
    import zstandard

    def each(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, Any]]:
        for info in tar:
            yield info, (tar.extractfile(info) if info.isreg() else None) or _Nothing()
        # The frame's own checksum stands behind the last member.
        while reader.read(_CHUNK):
            pass

    with open(path, "rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(source or file, read_across_frames=True)
        try:
            tar = tarfile.open(fileobj=reader, mode="r|")  # noqa: SIM115 (closed below)
        except _broken() as error:
            raise ZeroscaleError(f"{path} is not a bundle (a tar file packed by zstandard): {_line(error)}") from error
        with tar:
            yield each(tar)


class _Nothing:
    def read(self, size: int = -1) -> bytes:
        return b""


def _broken() -> tuple[type[Exception], ...]:
    import zstandard

    return (tarfile.TarError, zstandard.ZstdError, EOFError)


def _heads(path: Path, found: Verified, info: tarfile.TarInfo, stream: Any, seen: set[str]) -> dict[str, str] | None:
    """Reads BUNDLE.json (then None, for the sums are still to come) or SHA256SUMS."""
    import json

    study, _, inner = info.name.partition("/")
    text = stream.read(_HEAD_BYTES).decode("utf-8", "replace")
    seen.add(info.name)
    if inner == f"{INNER}/{ABOUT}" and not found.study:
        try:
            about = json.loads(text)
            form = int(about["format"])
        except (ValueError, KeyError, TypeError) as error:
            raise ZeroscaleError(f"{path}: its {ABOUT} cannot be read") from error
        if form > FORMAT:
            raise ZeroscaleError(
                f"{path} was packed by a newer zeroscale (format {form}, this one knows {FORMAT}; version "
                f"{about.get('zeroscale')}): use that one. What can still be checked: tar --zstd -xf it, then "
                f"sha256sum -c {INNER}/{SUMS} in its folder"
            )
        if about.get("study") != study or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", study):
            raise ZeroscaleError(f"{path}: its {ABOUT} names another study than its folder, or none that can be")
        found.study = study
        return None
    if inner == f"{INNER}/{SUMS}" and found.study == study:
        lines = [line.partition("  ") for line in text.splitlines()]
        return {f"{study}/{name}": digest for digest, _, name in lines}
    raise ZeroscaleError(f"{path} is not a bundle: {_shown(info.name)} stands where {INNER}/{ABOUT} or {SUMS} should")


def _fault(info: tarfile.TarInfo, study: str) -> str:
    """Why a member may not be opened; empty for a plain file below the study."""
    pure = PurePosixPath(info.name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in info.name or "\0" in info.name:
        return f"{_shown(info.name)} would lie outside the study: nothing of that kind is opened"
    if not info.isreg():
        return f"{_shown(info.name)} is no plain file (a link, a folder or a device): nothing of that kind is opened"
    if len(pure.parts) < 2 or pure.parts[0] != study or pure.as_posix() != info.name:
        return f"{_shown(info.name)} lies outside the study's folder {study}/"
    return ""


def _sha256(stream: Any) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ZeroscaleError(f"{path} is not a file: bundle= takes what `zeroscale bundle` wrote")
    return path


def _shown(name: str) -> str:
    return repr(name) if len(name) <= 120 else repr(name[:117] + "…")


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
