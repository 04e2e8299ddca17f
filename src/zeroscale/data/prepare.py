"""Text to shards of token ids: built once, by one process, whole or not at all.

<directory>/
  index.json         settings, counts, shards with their sha256, the corpus' fingerprint
  source.json        what it was made from: files with size and time, or the dataset; to notice a change
  tokenizer/         its files, as transformers reads them, too
  train-00000.bin …  token ids, little-endian uint16 (uint32 for more than 65,536), documents ended by <|endoftext|>
  val-00000.bin …
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zeroscale import files
from zeroscale.data import sources
from zeroscale.data.tokens import FORMAT, INDEX, SPLITS, Corpus
from zeroscale.errors import ZeroscaleError
from zeroscale.tokenizer import Tokenizer

SHARD_TOKENS = 100_000_000
# Text tokenised at a time: enough for all cores, and its encodings stay below 100 MB.
BATCH_BYTES = 1 << 20
# BPE learns from the first part of the training documents; the trainer's memory grows with the different words in it.
BPE_BYTES = 256 << 20
SOURCE = "source.json"
# Waiting for another process that prepares the same corpus; a large one takes hours.
_WAIT_SECONDS = 24 * 3600.0

# Called with bytes of text done, bytes in all (None: not known) and the name of the stage.
Progress = Callable[[int, int | None, str], None]


def corpus_directory(root: Path, data: Any, tokenizer: Any) -> Path:
    """Where the corpus of these settings lives: <root>/<data.name>-<hash of all that makes its tokens>."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", data.name):
        raise ZeroscaleError(f"data.name={data.name!r}: letters, digits, '.', '_' and '-' only, beginning with no sign")
    return Path(root) / f"{data.name}-{files.sha256_json(_identity(data, tokenizer))[:8]}"


def prepare(data: Any, tokenizer: Any, directory: Path, progress: Progress | None = None) -> Corpus:
    """The corpus of these settings at `directory`: opened if it is there, else built.

    Of several processes that ask at once, one builds and the others wait. A killed build leaves nothing under the name.

    Args:
        data, tokenizer: settings (`DataSettings`, `TokenizerSettings`).

    Raises:
        ZeroscaleError: for faults of the source, an empty split, a corpus there that is damaged, of other settings, or
            of files that have changed since; and when the disk is full.
    """
    directory, report = Path(directory), progress or (lambda done, total, stage: None)
    # Unless the user has said otherwise: on all cores, and without a warning when a later stage forks.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    if not _vacant(directory):
        return _reuse(data, tokenizer, directory)
    with _turn(directory, report):
        if not _vacant(directory):
            return _reuse(data, tokenizer, directory)
        files.write_directory(directory, lambda temporary: _build(data, tokenizer, temporary, report))
    return Corpus.open(directory)


def _vacant(directory: Path) -> bool:
    return not directory.exists() or (directory.is_dir() and not any(directory.iterdir()))


@contextmanager
def _turn(directory: Path, report: Progress) -> Iterator[None]:
    """The lock of a corpus' one builder, with a word where another has it."""
    path = directory.with_name(f".{directory.name}.lock")
    busy = f"{directory}: another process has been preparing this corpus for a day; look after it, then try again"
    with ExitStack() as held:
        try:
            held.enter_context(files.lock(path, 0.0, busy))
        except ZeroscaleError:
            report(0, None, "waiting for the process that prepares it")
            held.enter_context(files.lock(path, _WAIT_SECONDS, busy))
        yield


def _identity(data: Any, tokenizer: Any) -> dict[str, Any]:
    """Every setting that decides which tokens come out. Where GPT-2's files are is none: their content is checked."""
    keys = {
        "stdlib": (),
        "files": ("path", "text_field"),
        "hub": ("dataset", "config", "split", "revision", "text_field", "max_documents"),
    }[data.kind]
    identity = {f"data.{key}": getattr(data, key) for key in ("kind", "val_fraction", "max_bytes", *keys)}
    if data.kind == "stdlib":
        identity["python"] = sources.python_version()
    identity["tokenizer.kind"] = tokenizer.kind
    if tokenizer.kind == "bpe":
        identity["tokenizer.vocab_size"] = tokenizer.vocab_size
    return {**identity, "format": FORMAT}


def _reuse(data: Any, tokenizer: Any, directory: Path) -> Corpus:
    corpus = Corpus.open(directory)
    asked, there = _identity(data, tokenizer), corpus.index["settings"]
    if different := sorted(key for key in asked.keys() | there.keys() if asked.get(key) != there.get(key)):
        key = different[0]
        raise ZeroscaleError(
            f"{directory} holds the corpus of other settings: {key} is {there.get(key)!r} there and"
            f" {asked.get(key)!r} in yours; choose another directory, or delete it"
        )
    if data.kind != "hub" and (change := _change(data, files.read_json(directory / SOURCE))):
        raise ZeroscaleError(
            f"{directory} was made from files that have changed since ({change}): to use the new text, delete that"
            " directory or give another data.name; to use the old, restore the files"
        )
    return corpus


def _change(data: Any, recorded: dict[str, Any]) -> str | None:
    """What is different in the source, None if nothing: sizes and times first, contents only where those differ."""
    try:
        now = sources.describe(data)
    except ZeroscaleError:
        # The text itself is not at hand any more (it was prepared elsewhere, say): the shards stand as they are.
        return None
    if now["files"] == recorded["files"] or sources.content_hash(data) == recorded["content"]:
        return None
    return _first_change(recorded["files"], now["files"])


def _first_change(before: list[list[Any]], after: list[list[Any]]) -> str:
    """One file that differs, the surest sign first: there or not, another size, only another time."""
    old, new = ({name: (size, time) for name, size, time in entries} for entries in (before, after))
    faults = [
        *(f"{name} is gone" for name in old if name not in new),
        *(f"{name} is new" for name in new if name not in old),
        *(f"{name} has another size" for name in old if name in new and old[name][0] != new[name][0]),
        *(f"{name} was written again" for name in old if name in new and old[name] != new[name]),
    ]
    return faults[0]


def _build(data: Any, tokenizer_settings: Any, directory: Path, report: Progress) -> None:
    source = sources.describe(data)
    content = sources.content_hash(data)
    total = sum(entry[1] for entry in source["files"]) if "files" in source else None
    if data.max_bytes is not None:
        total = min(total, data.max_bytes) if total is not None else data.max_bytes
    tokenizer = _tokenizer(data, tokenizer_settings, total, report)
    splits = _tokenise(data, tokenizer, directory, total, report)
    if sources.content_hash(data) != content:
        raise ZeroscaleError(
            "the corpus' files changed while they were read: wait until they are finished, then try again"
        )
    tokenizer.save(directory / "tokenizer")
    hashes = [[shard["sha256"] for shard in splits[split]["shards"]] for split in SPLITS]
    index = {
        "format": FORMAT,
        "name": data.name,
        "fingerprint": files.sha256_json({"shards": hashes, "tokenizer": tokenizer.fingerprint}),
        "settings": _identity(data, tokenizer_settings),
        "tokenizer": {"fingerprint": tokenizer.fingerprint, "vocab_size": tokenizer.vocab_size, "eos": tokenizer.eos},
        "dtype": _dtype(tokenizer).str,
        "splits": splits,
    }
    files.write_json(directory / SOURCE, {**source, "content": content})
    files.write_json(directory / INDEX, index)


def _tokenizer(data: Any, settings: Any, total: int | None, report: Progress) -> Tokenizer:
    if settings.kind == "bytes":
        return Tokenizer.bytes()
    if settings.kind == "gpt2":
        return Tokenizer.gpt2(settings.path, settings.revision)
    return Tokenizer.train_bpe(_training_texts(data, total, report), settings.vocab_size)


def _training_texts(data: Any, total: int | None, report: Progress) -> Iterator[str]:
    """The text that BPE learns from: never the validation documents."""
    done = found = number = 0
    limit = BPE_BYTES if total is None else min(BPE_BYTES, total)
    for document in sources.documents(data):
        number += 1
        if split_of(document.text, data.val_fraction) == "train":
            found += 1
            yield document.text
        done += len(document.text.encode("utf-8"))
        report(done, max(limit, done), "training the tokenizer")
        if done >= BPE_BYTES:
            break
    if not found:
        raise _empty_split(data, "training", number, done)


def _empty_split(data: Any, name: str, documents: int, size: int) -> ZeroscaleError:
    return ZeroscaleError(
        f"data={data.name}: the {name} split is empty: {documents} documents ({size:,} bytes) at"
        f" data.val_fraction={data.val_fraction}; give more text or another fraction"
    )


def split_of(text: str, val_fraction: float) -> str:
    """ "train" or "val", decided by the document's content alone: the same text is always on the same side.

    The first 8 bytes of its sha256 as a share of 2^64, against `val_fraction`.
    """
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return "val" if int.from_bytes(digest[:8], "big") < val_fraction * 2**64 else "train"


def _tokenise(
    data: Any, tokenizer: Tokenizer, directory: Path, total: int | None, report: Progress
) -> dict[str, dict[str, Any]]:
    """Writes the shards; returns counts and shards per split."""
    dtype = _dtype(tokenizer)
    counts = {split: {"documents": 0, "tokens": 0, "bytes": 0, "words": 0} for split in SPLITS}
    done = 0
    with ExitStack() as opened:
        writers = {split: opened.enter_context(ShardWriter(directory, split, dtype)) for split in SPLITS}
        for texts in _batches(document.text for document in sources.documents(data)):
            for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
                split = split_of(text, data.val_fraction)
                writers[split].add(np.array([*ids, tokenizer.eos], dtype=dtype))
                size = len(text.encode("utf-8"))
                done += size
                count = {"documents": 1, "tokens": len(ids) + 1, "bytes": size, "words": len(text.split())}
                counts[split] = {key: value + count[key] for key, value in counts[split].items()}
            report(done, max(total, done) if total else None, "tokenising")
        shards = {split: writers[split].close() for split in SPLITS}
    report(done, done, "tokenising")
    for split, name in (("train", "training"), ("val", "validation")):
        if not shards[split]:
            raise _empty_split(data, name, sum(count["documents"] for count in counts.values()), done)
    return {split: {**counts[split], "shards": shards[split]} for split in SPLITS}


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _dtype(tokenizer: Tokenizer) -> np.dtype:
    return np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")


class ShardWriter:
    """Writes one split's tokens as they come, into files of `shard_tokens` each, hashing on the way."""

    def __init__(self, directory: Path, split: str, dtype: np.dtype, shard_tokens: int = SHARD_TOKENS) -> None:
        self._directory = directory
        self._split = split
        self._dtype = dtype
        self._shard_tokens = shard_tokens
        self._shards: list[dict[str, Any]] = []
        self._file: Any = None

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, ids: np.ndarray) -> None:
        """Appends ids [n]; a document may lie across two shards."""
        while ids.size:
            if self._file is None:
                self._begin()
            part = ids[: self._shard_tokens - self._tokens].astype(self._dtype, copy=False)
            content = part.tobytes()
            self._file.write(content)
            self._hash.update(content)
            self._tokens += part.size
            ids = ids[part.size :]
            if self._tokens == self._shard_tokens:
                self._end()

    def close(self) -> list[dict[str, Any]]:
        """The shards written: file, tokens, bytes, sha256 each."""
        if self._file is not None:
            self._end()
        return self._shards

    def _begin(self) -> None:
        self._name = f"{self._split}-{len(self._shards):05d}.bin"
        self._file = open(self._directory / self._name, "wb", buffering=1 << 20)  # noqa: SIM115 (closed in _end)
        self._hash = hashlib.sha256()
        self._tokens = 0

    def _end(self) -> None:
        self._file.close()
        self._file = None
        size = self._tokens * self._dtype.itemsize
        shard = {"file": self._name, "tokens": self._tokens, "bytes": size, "sha256": self._hash.hexdigest()}
        self._shards.append(shard)
