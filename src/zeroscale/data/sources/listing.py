"""Which files `data.path` names: each real file once, and what is not read with the reason."""

import fnmatch
import glob
import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import escaped
from zeroscale.core.paths import expand_home
from zeroscale.data.corpus import INDEX, SOURCE
from zeroscale.data.sources import readers
from zeroscale.data.sources.formats import Format, format_of, known_suffixes

_SPECIAL = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
NamedFile = tuple[str, Path]
"""The name that records hold, and the path."""
_NO_LINES = "not JSON lines: its first line holds no object"


@dataclass
class Listing:
    """What a path names.

    Attributes:
        root: the folder that names are relative to.
        files: name and path, in order of name. A name's bytes that are not UTF-8 are escaped.
        left_out: names of what is not read, each with the reason.
        repeated: further names of what is read: links, hard links, a folder that is linked again.
        is_directory: a directory was given, in which files are chosen by their names.
        as_text: names of files that are read as plain text although their suffix says nothing of the kind.
    """

    root: Path
    files: list[NamedFile] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)
    as_text: list[str] = field(default_factory=list)
    is_directory: bool = False


class _Entry(NamedTuple):
    """Something that was found.

    Attributes:
        linked: reached through a symbolic link.
        reason: why it is not read, where that is known from the search; "" for a folder that was seen before.
    """

    path: Path
    linked: bool
    reason: str | None = None


def list_paths(pattern: str) -> Listing:
    """The files of a directory, a glob, or one file.

    Raises:
        ZeroscaleError: there is none, or none that can be read; a file that was named cannot be read as what it is.
    """
    path = Path(expand_home(pattern))
    if os.path.isdir(path):
        if (path / INDEX).is_file() and (path / SOURCE).is_file():
            raise ZeroscaleError(f"data.path={escaped(pattern)}: a prepared corpus; give the text that it was made of")
        listing = _listed(path, _walk(path), named=False)
        if not listing.files:
            raise ZeroscaleError(
                f"data.path={escaped(pattern)}: no {known_suffixes()} file in this directory{_left_out_words(listing)};"
                " give a glob for other names"
            )
        return listing
    if os.path.lexists(path):
        return _one_file(path)
    if not glob.has_magic(pattern):
        raise ZeroscaleError(
            f"data.path={escaped(pattern)}: there is no such file or directory (seen from {escaped(Path.cwd())})"
        )
    first = next(i for i, part in enumerate(path.parts) if glob.has_magic(part))
    root = Path(*path.parts[:first])
    matches = _matches(root, path.parts[first:], False) if os.path.isdir(root) else iter(())
    listing = _listed(root, matches, named=True)
    if not listing.files:
        raise ZeroscaleError(
            f"data.path={escaped(pattern)}: no file fits this glob{_left_out_words(listing)}"
            f" (seen from {escaped(Path.cwd())})"
        )
    return listing


def _left_out_words(listing: Listing) -> str:
    """ " that can be read" with the first thing that was found instead."""
    if not listing.left_out:
        return ""
    name, reason = next(iter(listing.left_out.items()))
    more = f" and {len(listing.left_out) - 1:,} more" if len(listing.left_out) > 1 else ""
    return f" that can be read; {escaped(name)}{more}: {reason}"


def _one_file(path: Path) -> Listing:
    with readers.reading(path):
        kind = _special(path.stat().st_mode)
    reason = format_of(path.name)
    if kind is not None:
        raise ZeroscaleError(
            f"data.path={escaped(path)}: {kind}, not a file: a corpus is read more than once; write it to a file first"
        )
    if isinstance(reason, str):
        raise ZeroscaleError(f"data.path={escaped(path)}: {reason}")
    name = shown_name(path.name)
    return Listing(path.parent, [(name, path)], as_text=[] if reason.known else [name])


def shown_name(name: str) -> str:
    """A file's name as records hold it: bytes that are not UTF-8 as escapes (`\\xe9`), all else as it is."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _listed(root: Path, entries: Iterator[_Entry], named: bool) -> Listing:
    """Sorts what was found into what is read and what is not.

    Args:
        named: the names were given by a glob: what says nothing of its kind is read as plain text.
    """
    listing = Listing(root, is_directory=not named)
    seen: dict[tuple[int, int], Path] = {}
    found = {entry.path: entry for entry in entries}
    # Names without a link come first, so that they are the ones that are kept.
    for entry in sorted(found.values(), key=lambda entry: (entry.linked, entry.path)):
        name = shown_name(entry.path.relative_to(root).as_posix())
        reason = entry.reason if entry.reason is not None else _reason(entry.path, named)
        if reason == "":
            listing.repeated.append(name)
        elif reason is not None:
            listing.left_out[name] = reason
        elif _again(entry.path, seen):
            listing.repeated.append(name)
        else:
            listing.files.append((name, entry.path))
            if not _known(entry.path):
                listing.as_text.append(name)
    listing.files.sort(key=lambda file: file[1].relative_to(root).as_posix())
    return listing


def _reason(path: Path, named: bool) -> str | None:
    """Why a file is not read; None: it is."""
    file_format = format_of(path.name)
    readable = not isinstance(file_format, str) and (named or file_format.known)
    try:
        special = _special(path.stat().st_mode)
    except OSError as error:
        if readable:
            raise readers.unreadable(path, error) from error
        return "a link to nothing"
    if special is not None:
        return special
    if isinstance(file_format, str):
        return file_format
    if not readable:
        return "not a kind of file that is read in a directory"
    # A lone JSON object or list beside texts is about them more often than of them. JSON lines have names of their own.
    inner = path.with_suffix("") if file_format.packing else path
    return _NO_LINES if inner.suffix.lower() == ".json" and not readers.holds_json_lines(path) else None


def _special(mode: int) -> str | None:
    return None if stat.S_ISREG(mode) else _SPECIAL.get(stat.S_IFMT(mode), "a folder")


def _known(path: Path) -> bool:
    file_format = format_of(path.name)
    return isinstance(file_format, Format) and file_format.known


def _again(path: Path, seen: dict[tuple[int, int], Path]) -> bool:
    """Whether this file is read under another name. Some network file systems number their files wrongly, so that equal
    numbers are believed only of links."""
    status = path.stat()
    first = seen.setdefault((status.st_dev, status.st_ino), path)
    return first is not path and (status.st_nlink > 1 or os.path.realpath(first) == os.path.realpath(path))


def _walk(root: Path) -> Iterator[_Entry]:
    """All below a folder, what is hidden as such."""
    for folder in _folders(root, False):
        if folder.reason is not None:
            yield folder
            continue
        for entry in _scan(folder.path):
            path, linked = folder.path / entry.name, folder.linked or entry.is_symlink()
            if entry.name.startswith("."):
                yield _Entry(path, linked, "hidden")
            elif not os.path.isdir(path):
                yield _Entry(path, linked)


def _folders(root: Path, linked: bool) -> Iterator[_Entry]:
    """A folder and all below it that are not hidden. Links are followed; a folder that is met again has a reason."""
    seen: set[str] = set()
    links = deque([_Entry(root, linked)])
    while links:
        # The folders without a link first, so that theirs are the names that are kept.
        real = deque([links.popleft()])
        while real:
            folder = real.popleft()
            if (place := os.path.realpath(folder.path)) in seen:
                yield folder._replace(reason="")
                continue
            seen.add(place)
            entries = _scan(folder.path)
            if {INDEX, SOURCE} <= {entry.name for entry in entries}:
                yield folder._replace(reason="a prepared corpus")
                continue
            yield folder
            for entry in entries:
                path, link = folder.path / entry.name, entry.is_symlink()
                if not entry.name.startswith(".") and os.path.isdir(path):
                    (links if link else real).append(_Entry(path, folder.linked or link))


def _scan(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise ZeroscaleError(f"{escaped(folder)} cannot be read: {error.strerror}") from error


def _matches(folder: Path, parts: tuple[str, ...], linked: bool) -> Iterator[_Entry]:
    """What fits a glob below a folder: `**` for folders at any depth, none hidden; `*`, `?` and `[…]` within a name, a
    leading dot only where it is written."""
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _deep_matches(folder, rest, linked)
        return
    if not glob.has_magic(part):
        names = [part] if os.path.lexists(folder / part) else []
    else:
        names = [entry.name for entry in _scan(folder) if entry.name[0] != "." or part[0] == "."]
        fitting = [name for name in names if fnmatch.fnmatchcase(name, part)]
        # A folder may be called [1].
        names = fitting or [name for name in names if name == part]
    for name in names:
        path = folder / name
        link = linked or path.is_symlink()
        if not rest:
            yield _Entry(path, link)
        elif os.path.isdir(path):
            yield from _matches(path, rest, link)


def _deep_matches(folder: Path, rest: tuple[str, ...], linked: bool) -> Iterator[_Entry]:
    """`**`, then the rest of a glob: in this folder and in all below it. Of folders only their files fit."""
    for below in _folders(folder, linked):
        if below.reason is not None:
            yield below
            continue
        for entry in _matches(below.path, rest or ("*",), below.linked):
            if not os.path.isdir(entry.path):
                yield entry
