"""Verify a bundle, member by member, and open it: no content is trusted before its sha256 is verified."""

import hashlib
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NotRequired, Protocol, TypedDict, cast

from zeroscale.core import json_records
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_file, write_directory
from zeroscale.core.json_records import WrongType
from zeroscale.core.parsing import json_text
from zeroscale.provenance.bundle import ABOUT, FORMAT, INNER, SUMS, Hashing

# Of BUNDLE.json and SHA256SUMS, which are read before anything is known about them.
_HEAD_BYTES = 64 << 20
_CHUNK = 1 << 20


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


class About(TypedDict):
    """BUNDLE.json, as far as it is read."""

    format: int
    study: str
    zeroscale: NotRequired[str]


# The members of a bundle, each with its content.
Members = Iterator[tuple[tarfile.TarInfo, Readable]]


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
    result = Verified(sha256_file(_existing(path)))
    sums: dict[str, str] | None = None
    seen_names: set[str] = set()
    try:
        with _members(path) as members:
            for info, stream in members:
                if sums is None:
                    sums = _heads(path, result, info, stream, seen_names)
                    continue
                if info.name in seen_names:
                    result.faults.append(f"{_shown(info.name)} is there twice")
                elif fault := _fault(info, result.study):
                    result.faults.append(fault)
                elif info.name not in sums:
                    result.faults.append(f"{_shown(info.name)} is not listed in {SUMS}")
                elif _sha256(stream) != sums[info.name]:
                    result.faults.append(f"{_shown(info.name)} is not what was packed: its sha256 is another")
                else:
                    result.good += 1
                seen_names.add(info.name)
    except _broken() as error:
        result.faults.append(f"the file breaks off or is damaged: {_line(error)}")
    if sums is None:
        raise ZeroscaleError(f"{path} is not a bundle: it does not begin with {INNER}/{ABOUT} and {INNER}/{SUMS}")
    result.faults += [f"{_shown(name)} is missing" for name in sorted(sums.keys() - seen_names)]
    return result


def open_into(path: Path, out: Path, verified: Verified) -> Path:
    """Writes a bundle's files below `out`, whole or not at all; returns the study's directory.

    Raises:
        ZeroscaleError: it has faults, changed since it was checked, or the study's directory is there already.
    """
    if verified.faults:
        raise ZeroscaleError(f"{path} has {len(verified.faults)} faults and is not opened: {verified.faults[0]}")
    study = out / verified.study
    if study.exists():
        raise ZeroscaleError(f"{study} is there already: open the bundle in another directory")

    def fill(temporary: Path) -> None:
        with open(path, "rb") as file, _members(path, hashes := Hashing(file)) as members:
            for info, stream in members:
                # Checked before; said again by the library, whose rules are others' work: no way out of `temporary`.
                inner = PurePosixPath(info.name).relative_to(verified.study)
                info = tarfile.data_filter(info.replace(name=inner.as_posix()), str(temporary))
                target = temporary / info.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "xb") as opened:
                    while chunk := stream.read(_CHUNK):
                        opened.write(chunk)
            while hashes.read(_CHUNK):
                pass
        if hashes.digest.hexdigest() != verified.sha256:
            raise ZeroscaleError(f"{path} has changed since it was checked; nothing was opened")

    write_directory(study, fill)
    return study


@contextmanager
def _members(path: Path, source: Readable | None = None) -> Iterator[Members]:
    """The members in order, each with a stream of its content; of what is no plain file the stream is empty."""
    import zstandard

    def each(tar: tarfile.TarFile) -> Members:
        for info in tar:
            yield info, (tar.extractfile(info) if info.isreg() else None) or _Nothing()
        # The frame's own checksum stands behind the last member.
        while reader.read(_CHUNK):
            pass

    with open(path, "rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(cast(BinaryIO, source or file), read_across_frames=True)
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


def _heads(
    path: Path, result: Verified, info: tarfile.TarInfo, stream: Readable, seen_names: set[str]
) -> dict[str, str] | None:
    """Reads BUNDLE.json (then None, for the sums are still to come) or SHA256SUMS."""
    study, _, inner = info.name.partition("/")
    text = stream.read(_HEAD_BYTES).decode("utf-8", "replace")
    seen_names.add(info.name)
    if inner == f"{INNER}/{ABOUT}" and not result.study:
        where = f"{path}, its {ABOUT}"
        try:
            about = json_records.from_json(About, json_text.parse(text, where))
        except WrongType as error:
            raise ZeroscaleError(f"{where}: {error}") from error
        version = about["format"]
        if version > FORMAT:
            raise ZeroscaleError(
                f"{path} was packed by a newer zeroscale (format {version}, this one knows {FORMAT}; version "
                f"{about.get('zeroscale')}): use that one. What can still be checked: tar --zstd -xf it, then "
                f"sha256sum -c {INNER}/{SUMS} in its folder"
            )
        if about["study"] != study or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", study):
            raise ZeroscaleError(f"{path}: its {ABOUT} names another study than its folder, or none that can be")
        result.study = study
        return None
    if inner == f"{INNER}/{SUMS}" and result.study == study:
        lines = [line.partition("  ") for line in text.removesuffix("\n").split("\n")]
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


def _sha256(stream: Readable) -> str:
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
