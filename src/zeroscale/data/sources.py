"""Where a corpus' text comes from: the interpreter's own library, files, or a dataset of the hub.

Every source gives documents in a fixed order. One longer than `MAX_DOCUMENT_BYTES` is cut into pieces first, so that a
novel, too, is split between training and validation by the hash of its parts.
"""

import glob
import json
import os
import platform
import sysconfig
import tokenize
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from zeroscale import hub
from zeroscale.errors import ZeroscaleError
from zeroscale.files import sha256_file, sha256_json
from zeroscale.tokenizer import well_formed

MAX_DOCUMENT_BYTES = 64 * 1024
# What is read of a directory; a glob or a single file may have any name. `.jsonl` holds one JSON object a line.
TEXT_SUFFIXES = (".txt", ".md", ".rst", ".py", ".jsonl")
# Tests and what was installed later are no part of the library's text; build configurations name the machine.
_NOT_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "lib-dynload"}


class Document(NamedTuple):
    """A text that stands for itself, and where it is from (a file's relative name, a row's number, a piece's)."""

    text: str
    name: str


def documents(data: Any) -> Iterator[Document]:
    """The corpus' documents, cut to pieces of at most 64 KiB, in all at most `data.max_bytes` bytes of UTF-8.

    Raises:
        ZeroscaleError: naming the file and the line or byte, or the dataset, with what is wrong.
    """
    whole = {"stdlib": _stdlib_documents, "files": _file_documents, "hub": _hub_documents}[data.kind](data)
    if data.max_bytes is None:
        yield from whole
        return
    left = data.max_bytes
    for document in whole:
        content = document.text.encode("utf-8")
        if len(content) >= left:
            start = content[: _cut_at(content, left)] if len(content) > left else content
            if start:
                yield Document(start.decode("utf-8"), document.name)
            return
        yield document
        left -= len(content)


def describe(data: Any) -> dict[str, Any]:
    """What the corpus is made from, so that a change is noticed: JSON with `files` as [name, bytes, mtime_ns] each."""
    if data.kind == "hub":
        keys = ("dataset", "config", "split", "revision", "text_field", "max_documents")
        return {"kind": "hub", **{key: getattr(data, key) for key in keys}}
    listing = []
    for name, path in list_files(data):
        with _reading(path):
            stat = path.stat()
        listing.append([name, stat.st_size, stat.st_mtime_ns])
    if data.kind == "stdlib":
        return {"kind": "stdlib", "python": python_version(), "files": listing}
    return {"kind": "files", "path": data.path, "text_field": data.text_field, "files": listing}


def content_hash(data: Any) -> str | None:
    """Hex sha256 over names and contents of the corpus' files; None for the hub."""
    if data.kind == "hub":
        return None
    hashes = []
    for name, path in list_files(data):
        with _reading(path):
            hashes.append([name, sha256_file(path)])
    return sha256_json(hashes)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ZeroscaleError(f"{path} cannot be read: {error.strerror}") from error


def python_version() -> str:
    """The interpreter whose library the stdlib corpus is."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def list_files(data: Any) -> list[tuple[str, Path]]:
    """The files of a stdlib or files source: relative name and path, in order of name."""
    if data.kind == "stdlib":
        root = Path(sysconfig.get_paths()["stdlib"])
        files = [path for path in _walk(root, _not_library) if path.suffix == ".py"]
        files = [path for path in files if not path.name.startswith("_sysconfigdata")]
        if not files:
            raise ZeroscaleError(f"data=stdlib: this Python's library has no sources in {root}; choose another data")
    else:
        root, files = _user_files(data.path)
    named = [(path.relative_to(root).as_posix(), path) for path in files]
    return sorted(named)


def _walk(root: Path, outside: Callable[[str], bool] = lambda folder: False) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise ZeroscaleError(f"{error.filename} cannot be read: {error.strerror}") from error

    for directory, folders, names in os.walk(root, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".") and not outside(name)]
        yield from (Path(directory) / name for name in names if not name.startswith("."))


def _user_files(pattern: str) -> tuple[Path, list[Path]]:
    path = Path(pattern).expanduser()
    if path.is_dir():
        files = [file for file in _walk(path) if file.suffix in TEXT_SUFFIXES]
        if not files:
            wanted = ", ".join(TEXT_SUFFIXES)
            raise ZeroscaleError(
                f"data.path={pattern}: no {wanted} file in this directory; give a glob for other names"
            )
        return path, files
    if path.is_file():
        return path.parent, [path]
    if not glob.has_magic(pattern):
        raise ZeroscaleError(f"data.path={pattern}: there is no such file or directory (seen from {Path.cwd()})")
    files = [Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file()]
    if not files:
        raise ZeroscaleError(f"data.path={pattern}: no file fits this glob (seen from {Path.cwd()})")
    first = next(i for i, part in enumerate(path.parts) if glob.has_magic(part))
    return Path(*path.parts[:first]), files


def _not_library(folder: str) -> bool:
    return folder in _NOT_LIBRARY or folder.startswith("config-")


def _stdlib_documents(data: Any) -> Iterator[Document]:
    from pydoc_data.topics import topics

    for name, path in list_files(data):
        # The help topics come below as texts of their own; their module is one literal with escapes.
        if name == "pydoc_data/topics.py":
            continue
        with _reading(path), tokenize.open(path) as handle:
            source = handle.read()
        if source.strip():
            yield from _pieces_of_text(source, name)
    for topic in sorted(topics):
        yield from _pieces_of_text(topics[topic], f"help/{topic}")


def _file_documents(data: Any) -> Iterator[Document]:
    for name, path in list_files(data):
        read = _json_lines if path.suffix == ".jsonl" else _text_pieces
        empty = True
        with _reading(path), open(path, "rb") as handle:
            for document in read(handle, path, name, data.text_field):
                empty = empty and not document.text.strip()
                yield document
        if empty:
            raise ZeroscaleError(f"{path} is empty: no text in it; take it out, or narrow data.path to leave it out")


def _text_pieces(handle: BinaryIO, path: Path, name: str, _field: str) -> Iterator[Document]:
    blocks = iter(lambda: handle.read(1 << 20), b"")
    offset = 0
    for number, piece in enumerate(_pieces(blocks), start=1):
        text = _decoded(piece, f"{path}", offset)
        if offset == 0:
            text = text.removeprefix("\ufeff")
        offset += len(piece)
        if text:
            yield Document(text, f"{name}#{number}")


def _json_lines(handle: BinaryIO, path: Path, name: str, field: str) -> Iterator[Document]:
    offset = 0
    for number, line in enumerate(handle, start=1):
        where = f"{path}, line {number}"
        text = _decoded(line, where, offset)
        offset += len(line)
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ZeroscaleError(f"{where}: not valid JSON ({error}); a .jsonl file holds one object a line") from error
        yield from _row(row, field, where, f"{name}:{number}")


def _row(row: Any, field: str, where: str, name: str) -> Iterator[Document]:
    if not isinstance(row, dict) or field not in row:
        found = f"it has {', '.join(map(str, row))}" if isinstance(row, dict) else f"it is a {type(row).__name__}"
        raise ZeroscaleError(f"{where}: no field {field!r} ({found}); name the text's field with data.text_field=…")
    if not isinstance(row[field], str):
        raise ZeroscaleError(f"{where}: the field {field!r} should be text, not {type(row[field]).__name__}")
    # Rows without text are usual in datasets (WikiText's empty lines) and hold nothing to learn.
    if row[field].strip():
        yield from _pieces_of_text(row[field], name)


def _hub_documents(data: Any) -> Iterator[Document]:
    for number, row in enumerate(_hub_rows(data)):
        if data.max_documents is not None and number == data.max_documents:
            return
        yield from _row(row, data.text_field, f"{data.dataset}, {data.split}, row {number}", f"{number}")


def _hub_rows(data: Any) -> Iterator[Any]:
    from datasets import load_dataset
    from huggingface_hub import constants

    fault = None if constants.HF_HUB_OFFLINE else hub.fault()
    if fault:
        raise ZeroscaleError(
            f"data.dataset={data.dataset}: the hub cannot be reached: {fault}. Offline, use data=stdlib or data=files;"
            " a dataset that an earlier run has downloaded is found with HF_HUB_OFFLINE=1 and data.streaming=false"
        )
    try:
        if not constants.HF_HUB_OFFLINE and not Path(data.dataset).is_dir():
            hub.ask_for_dataset(data.dataset, data.revision)
        yield from load_dataset(
            data.dataset, data.config, split=data.split, revision=data.revision, streaming=data.streaming
        )
    except Exception as error:  # datasets raises what its readers and the HTTP library raise
        plain = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        reason = hub.reason(error, data.revision) or plain
        asked = f"config {data.config}, split {data.split}, revision {data.revision or 'main'}"
        offline = "; HF_HUB_OFFLINE is set, so only what is in the local cache is found" * constants.HF_HUB_OFFLINE
        raise ZeroscaleError(f"data.dataset={data.dataset} ({asked}): {reason}{offline}") from error


def _pieces_of_text(text: str, name: str) -> Iterator[Document]:
    content = well_formed(text).encode("utf-8")
    if len(content) <= MAX_DOCUMENT_BYTES:
        yield Document(content.decode("utf-8"), name)
        return
    for number, piece in enumerate(_pieces([content]), start=1):
        yield Document(piece.decode("utf-8"), f"{name}#{number}")


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cuts a stream of bytes into pieces of at most `MAX_DOCUMENT_BYTES`; joined they are the stream again."""
    held = b""
    for block in blocks:
        held += block
        start = 0
        while len(held) - start > MAX_DOCUMENT_BYTES:
            end = start + _cut_at(held[start : start + MAX_DOCUMENT_BYTES + 1], MAX_DOCUMENT_BYTES)
            yield held[start:end]
            start = end
        held = held[start:]
    if held:
        yield held


def _cut_at(content: bytes, limit: int) -> int:
    """Where to cut `content`, longer than `limit`: after a line, else before a word, else before a character.

    A line's or a word's edge counts in the second half only, so that pieces are not needlessly short.
    """
    half = limit // 2
    line = content.rfind(b"\n", half, limit)
    if line >= 0:
        return line + 1
    word = content.rfind(b" ", half, limit)
    if word > 0:
        return word
    end = limit
    # UTF-8's continuation bytes are 0b10xxxxxx; a character has three of them at most.
    while end > limit - 3 and end > 0 and content[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _decoded(content: bytes, where: str, offset: int) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = offset + error.start
        raise ZeroscaleError(
            f"{where}: not UTF-8 at byte {byte} (0x{content[error.start]:02x}); convert the file, or leave it out"
        ) from error
