"""Atomic writes of files and directories, JSON, hashes, and locks that the kernel releases with their process."""

import errno
import fcntl
import glob
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.parsing import json_text, regular_file


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a missing permission and the like into a `ZeroscaleError` that names the path."""
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EFBIG: "the file would be larger than the limit for this process",
        errno.EACCES: "no permission to write",
        errno.EPERM: "no permission to write",
        errno.EROFS: "the file system is read-only",
        errno.ENOTDIR: "a part of the path is a file, not a directory",
    }
    try:
        yield
    except OSError as error:
        reason = reasons.get(error.errno or 0)
        if reason is None:
            raise
        raise ZeroscaleError(
            f"cannot write {path}: {reason}. Free it or choose another place with output_dir=DIR."
        ) from error


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Force a file's content to the disk (fsync)."""
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())


def write_file(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically: temporary name, fsync, rename. `fill` writes the content to the stream."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        try:
            with open(temporary, "wb") as handle:
                fill(handle)
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """`write_file` for bytes."""
    write_file(path, lambda handle: handle.write(content))


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for UTF-8 text."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """`write_bytes` for JSON, indented, with a final newline. NaN and infinities are refused (they are no JSON)."""
    write_text(path, json_text.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON that others may have written; a missing or damaged file, or one that is none (a pipe, a device), is a
    `ZeroscaleError` that names it."""
    return json_text.parse(regular_file.read(path), path, strict=False)


def read_object(path: Path) -> dict[str, Any]:
    """Read JSON of ours, an object without NaN, infinities and halves of surrogate pairs; errors as `read_json`, with
    the key."""
    value = json_text.parse(regular_file.read(path), path)
    if not isinstance(value, dict):
        raise ZeroscaleError(f"{path} should hold a JSON object, not {type(value).__name__}")
    return value


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file without their ends. `\\n` ends a line, and `\\r\\n`; a `\\r` inside of one does not,
    nor does any other character that Python counts as a line's end.

    Raises:
        ZeroscaleError: naming the file, that is not there, cannot be read or is not UTF-8.
    """
    # A pipe holds what a command writes into it, until that ends.
    content = path.read_bytes() if path.is_fifo() else regular_file.read(path)
    text = regular_file.decode(content, path)
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def write_directory(path: Path, fill: Callable[[Path], None]) -> None:
    """Write a directory atomically: `fill(temporary)` writes its files, then it is synced and renamed to `path`.

    An earlier directory of that name is replaced. What a killed process left half-written has a name that starts
    with a dot and ends in `.tmp`; nothing reads it, and the next call for the same path removes it.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        temporary.mkdir()
        try:
            fill(temporary)
            for file in temporary.rglob("*"):
                if file.is_file():
                    sync_file(file)
            _sync_directory(temporary)
            if path.exists():
                old = path.with_name(f".{path.name}.old.{os.getpid()}.tmp")
                os.replace(path, old)
                os.replace(temporary, path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync_directory(path.parent)


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's content."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_json(value: object) -> str:
    """Hex sha256 of a JSON value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


class LockHeld(ZeroscaleError):
    """Another process holds the lock."""


def try_lock(path: Path) -> ExitStack | None:
    """Take the `lock` on `path`, to be released by closing it; None where another process holds it."""
    stack = ExitStack()
    try:
        stack.enter_context(lock(path, 0, f"{path} is taken"))
    except LockHeld:
        return None
    return stack


def is_held(path: Path) -> bool:
    """Whether a process holds the `lock` on `path`. Asks without writing, so that a study can be read by those who may
    not write into it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def lock(path: Path, wait_seconds: float, busy: str) -> Iterator[None]:
    """Hold an exclusive `flock` on `path`; the kernel releases it when the process ends, however it ends.

    Raises:
        LockHeld: with the message `busy` when another process still holds it after `wait_seconds`.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + wait_seconds
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LockHeld(busy) from None
                time.sleep(0.2)
        yield
    finally:
        os.close(handle)
