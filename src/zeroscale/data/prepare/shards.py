"""Files that grow document by document and can be resumed: shards of tokens, and the list of documents."""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np

from zeroscale.core.files import sha256_file
from zeroscale.data.corpus import FileEntry, ShardEntry
from zeroscale.data.prepare.progress import ListState, ShardState

SHARD_TOKENS = 100_000_000
# A record for each document: the token behind its last one, and the byte behind its name in the file of names.
DOCUMENT = np.dtype([("end", "<u8"), ("name", "<u8")])


class ShardWriter:
    """Writes one split's tokens as they come, into files of `shard_tokens` each, hashing on the way."""

    def __init__(
        self,
        directory: Path,
        split: str,
        dtype: np.dtype,
        shard_tokens: int = SHARD_TOKENS,
        state: ShardState | None = None,
    ) -> None:
        """Args:
            state: of an earlier writer (`save`): the files are truncated to it.

        Raises:
            OSError: when a file is shorter than its state.
        """
        self._directory = directory
        self._split = split
        self._dtype = dtype
        self._shard_tokens = shard_tokens
        self._shards: list[ShardEntry] = list(state["shards"]) if state else []
        self._file: BinaryIO | None = None
        # Shards of a later state than this.
        first = len(self._shards) + bool(state and state["tokens"])
        for path in directory.glob(f"{split}-*.bin"):
            if (number := path.stem.removeprefix(f"{split}-")).isdigit() and int(number) >= first:
                path.unlink()
        if state and state["tokens"]:
            self._open_again(state["tokens"])

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, ids: np.ndarray) -> None:
        """Appends ids [n]; a document may lie across two shards."""
        while ids.size:
            file = self._file or self._begin()
            part = ids[: self._shard_tokens - self._tokens].astype(self._dtype, copy=False)
            content = part.tobytes()
            file.write(content)
            self._hash.update(content)
            self._tokens += part.size
            ids = ids[part.size :]
            if self._tokens == self._shard_tokens:
                self._end(file)

    @property
    def state(self) -> ShardState:
        """What a writer needs to resume from here, once `sync` has been called."""
        return {"shards": list(self._shards), "tokens": self._tokens if self._file is not None else 0}

    def sync(self) -> None:
        """Forces all to the disk."""
        if self._file is not None:
            _sync(self._file)

    def close(self) -> list[ShardEntry]:
        """The shards written: file, tokens, bytes, sha256 each."""
        if self._file is not None:
            self._end(self._file)
        return self._shards

    @property
    def tokens(self) -> int:
        """Tokens written in all."""
        return sum(shard["tokens"] for shard in self._shards) + (self._tokens if self._file is not None else 0)

    def _begin(self) -> BinaryIO:
        self._name = f"{self._split}-{len(self._shards):05d}.bin"
        self._file = open(self._directory / self._name, "wb", buffering=1 << 20)  # noqa: SIM115 (closed in _end)
        self._hash = hashlib.sha256()
        self._tokens = 0
        return self._file

    def _open_again(self, tokens: int) -> None:
        self._name = f"{self._split}-{len(self._shards):05d}.bin"
        self._file = _reopened(self._directory / self._name, tokens * self._dtype.itemsize)
        # The state of a hash cannot be stored, so the beginning of the shard is read again.
        self._hash = hashlib.sha256()
        with open(self._directory / self._name, "rb") as handle:
            while block := handle.read(1 << 20):
                self._hash.update(block)
        self._tokens = tokens

    def _end(self, file: BinaryIO) -> None:
        _sync(file)
        file.close()
        self._file = None
        size = self._tokens * self._dtype.itemsize
        shard: ShardEntry = {
            "file": self._name,
            "tokens": self._tokens,
            "bytes": size,
            "sha256": self._hash.hexdigest(),
        }
        self._shards.append(shard)


class DocumentList:
    """Where each document of a split ends and what it is called: SPLIT-documents.bin and SPLIT-names.txt."""

    def __init__(self, directory: Path, split: str, state: ListState | None = None) -> None:
        self._paths = [directory / f"{split}-documents.bin", directory / f"{split}-names.txt"]
        sizes = [state["documents"] * DOCUMENT.itemsize, state["names"]] if state else [0, 0]
        self._files = [_reopened(path, size) for path, size in zip(self._paths, sizes, strict=True)]
        self._documents, self._names = (state["documents"], state["names"]) if state else (0, 0)

    def __enter__(self) -> "DocumentList":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def add(self, end: int, name: str) -> None:
        """A document whose last token is the one before `end` of its split."""
        # One line each, whatever a file is called.
        content = name.replace("\n", " ").encode("utf-8", "surrogateescape") + b"\n"
        self._names += len(content)
        self._documents += 1
        self._files[0].write(np.array([(end, self._names)], dtype=DOCUMENT).tobytes())
        self._files[1].write(content)

    @property
    def state(self) -> ListState:
        """What a list needs to resume from here, once `sync` has been called."""
        return {"documents": self._documents, "names": self._names}

    def sync(self) -> None:
        """Forces all to the disk."""
        for file in self._files:
            _sync(file)

    def close(self) -> list[FileEntry]:
        """file, bytes and sha256 of both files."""
        for file in self._files:
            _sync(file)
            file.close()
        return [{"file": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)} for path in self._paths]


def _reopened(path: Path, size: int) -> BinaryIO:
    """A file truncated to its first `size` bytes and opened for appending."""
    file = open(path, "r+b" if size else "wb", buffering=1 << 20)  # noqa: SIM115 (the caller closes it)
    if os.fstat(file.fileno()).st_size < size:
        file.close()
        raise OSError(f"{path} is shorter than the {size} bytes that were written to it")
    file.truncate(size)
    file.seek(size)
    return file


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
