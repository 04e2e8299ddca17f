"""Where a corpus' text comes from: the interpreter's own library, files, or a dataset of the hub.

Every source gives texts in a fixed order and can go on from any place that it has named. A text longer than 64 KiB is
cut into documents first (`zeroscale.data.sources.documents`).
"""

import os
import platform
import sysconfig
import tokenize
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict, cast
from urllib.parse import urlsplit

from zeroscale.config.data import DataConfig, FilesData, StdlibData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_file, sha256_json
from zeroscale.core.format import escaped
from zeroscale.data.sources import documents as texts
from zeroscale.data.sources import hub, readers
from zeroscale.data.sources.documents import Document, Fault, Item, cut_at
from zeroscale.data.sources.listing import NamedFile, list_paths, shown_name
from zeroscale.data.sources.readers import reading

# How files are chosen: source.json has it, and none of the first way.
SELECTION = 2
# Tests and what was installed later are no part of the library's text; build configurations name the machine.
_NOT_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "lib-dynload"}


class SourcePlace(TypedDict):
    """How far a corpus is read: the place of its source (JSON), and the bytes read."""

    source: object
    bytes: int


FileStamp = list[Any]
"""[name, bytes, mtime_ns]."""
SourceRecord = dict[str, Any]
"""What a corpus is made from, as source.json holds it: kind, path or dataset, `files` as [name, bytes, mtime_ns]."""


def documents(data: DataConfig) -> Iterator[Document]:
    """The corpus' documents, those of left-out sites not among them.

    Raises:
        ZeroscaleError: naming the file and the line or byte, or the dataset, with what is wrong.
    """
    for item in items(data):
        if left_out(item.url, data) is None:
            yield from item.documents


def items(data: DataConfig, place: SourcePlace | None = None) -> Iterator[Item]:
    """The corpus' texts from `place` on, in all at most `data.max_bytes` bytes of UTF-8.

    A place is an earlier Item's, made from the same source: {"source": …, "bytes": read so far}.
    """
    inner, count = (place["source"], place["bytes"]) if place else (None, 0)
    if data.max_bytes is not None and count >= data.max_bytes:
        return
    for item in _items(data, inner):
        kept: list[Document] = []
        for document in item.documents:
            content = document.text.encode("utf-8")
            if data.max_bytes is not None and count + len(content) > data.max_bytes:
                content = content[: cut_at(content, data.max_bytes - count)]
                document = Document(content.decode("utf-8"), document.name)
                count = data.max_bytes
            else:
                count += len(content)
            kept += [document] if content else []
            if count == data.max_bytes:
                break
        done = (count if item.done is None else item.done, item.of)
        if data.max_bytes is not None:
            done = (count, data.max_bytes if item.of is None else min(data.max_bytes, item.of))
        yield Item(
            tuple(kept), item.url, {"source": item.place, "bytes": count}, *done, item.texts, item.replaced, item.marks
        )
        if count == data.max_bytes:
            return


def _items(data: DataConfig, place: Any) -> Iterator[Item]:
    """The texts of a source from a place of its own on."""
    if data.kind == "stdlib":
        return _stdlib_items(data, place)
    return _file_items(data, place) if data.kind == "files" else hub.items(data, place)


def left_out(url: str | None, data: DataConfig) -> str | None:
    """The one of `data.leave_out_sites` that this address belongs to (the site itself or a part of it), or None."""
    if data.kind == "stdlib" or not data.leave_out_sites or url is None:
        return None
    try:
        host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").rstrip(".")
    except ValueError:
        # Not an address ("http://[x"): it belongs to no site.
        return None
    return next((site for site in data.leave_out_sites if host == site or host.endswith(f".{site}")), None)


def describe(data: DataConfig) -> SourceRecord:
    """What the corpus is made from, so that a change is noticed: JSON with `files` as [name, bytes, mtime_ns] each, of
    a dataset with its commit."""
    if data.kind == "hub":
        keys = ("dataset", "config", "split", "revision", "text_field", "max_documents")
        return {"kind": "hub", **{key: getattr(data, key) for key in keys}, "commit": hub.commit(data)}
    listing = [stamp(name, path) for name, path in list_files(data)]
    if data.kind == "stdlib":
        return {"kind": "stdlib", "python": python_version(), "files": listing}
    kept = {"path": escaped(data.path), "text_field": data.text_field, "selection": SELECTION}
    return {"kind": "files", **kept, "files": listing}


def stamp(name: str, path: Path) -> FileStamp:
    """What tells that a file has changed."""
    with reading(path):
        stat = path.stat()
    return [name, stat.st_size, stat.st_mtime_ns]


def content_hash(data: DataConfig) -> str | None:
    """Hex sha256 over names and contents of the corpus' files; None for the hub."""
    if data.kind == "hub":
        return None
    return files_hash(list_files(data))


def files_hash(files: list[NamedFile]) -> str:
    """Hex sha256 over names and contents."""
    hashes = []
    for name, path in files:
        with reading(path):
            hashes.append([name, sha256_file(path)])
    return sha256_json(hashes)


def python_version() -> str:
    """The interpreter whose library the stdlib corpus is."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def list_files(data: StdlibData | FilesData) -> list[NamedFile]:
    """The files of a stdlib or files source: relative name and path, in order of name."""
    if data.kind == "files":
        return list_paths(data.path).files
    root = Path(sysconfig.get_paths()["stdlib"])
    files = [path for path in _library(root) if path.suffix == ".py"]
    files = [path for path in files if not path.name.startswith("_sysconfigdata")]
    if not files:
        raise ZeroscaleError(
            f"data=stdlib: this Python's library has no sources in {escaped(root)}; choose another data"
        )
    return sorted((shown_name(path.relative_to(root).as_posix()), path) for path in files)


def _library(root: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise ZeroscaleError(f"{error.filename} cannot be read: {error.strerror}") from error

    for directory, folders, names in os.walk(root, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".") and not _not_library(name)]
        yield from (Path(directory) / name for name in names if not name.startswith("."))


def _not_library(folder: str) -> bool:
    return folder in _NOT_LIBRARY or folder.startswith("config-")


def _stdlib_items(data: StdlibData, place: int | None) -> Iterator[Item]:
    total = sum(_size(path) for _, path in list_files(data))
    numbered = enumerate(_stdlib_texts(data), start=1)
    for number, (text, name) in islice(numbered, place or 0, None):
        yield Item(tuple(texts.cut(text, name)), None, number, of=total)


def _stdlib_texts(data: StdlibData) -> Iterator[tuple[str, str]]:
    from pydoc_data.topics import topics

    for name, path in list_files(data):
        # The help topics come below as texts of their own; their module is one literal with escapes.
        if name == "pydoc_data/topics.py":
            continue
        with reading(path), tokenize.open(path) as handle:
            source = handle.read()
        if source.strip():
            yield source, name
    for topic in sorted(topics):
        yield topics[topic], f"help/{topic}"


def _file_items(data: FilesData, place: list[int] | None) -> Iterator[Item]:
    """Places are [number of the file, place in it]."""
    first, skip = place or (0, 0)
    listed = [(name, path, _size(path)) for name, path in list_files(data)]
    total, before, empty = sum(size for *_, size in listed), 0, place is None
    for number, (name, path, size) in enumerate(listed):
        if number >= first and size:
            for item in readers.read(path, name, data, skip if number == first else 0):
                empty = empty and not has_text(item)
                yield item._replace(place=[number, item.place], done=before + (item.done or 0), of=total)
        before += size
    if empty:
        raise no_text([path for _, path, _ in listed])


def file_number(item: Item) -> int:
    """The number of the file that an item of `items` is from, in `list_files`."""
    return number_of(cast(SourcePlace, item.place))


def number_of(place: SourcePlace) -> int:
    """The number of the file in which a place lies."""
    return int(cast(list[int], place["source"])[0])


def has_text(item: Item) -> bool:
    """Whether there is more in it than white space."""
    return any(document.text.strip() for document in item.documents)


def no_text(paths: list[Path]) -> Fault:
    """The refusal of files that are all empty."""
    are, it = (f"and {len(paths) - 1:,} more are", "them") if len(paths) > 1 else ("is", "it")
    advice = f"no text in {it}; take {it} out, or narrow data.path to leave {it} out"
    return Fault(f"{escaped(paths[0])} {are} empty: {advice}")


def _size(path: Path) -> int:
    with reading(path):
        return path.stat().st_size
