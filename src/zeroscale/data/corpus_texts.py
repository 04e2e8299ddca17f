"""A corpus as text: the files that `zeroscale data` reads, or the shards that it writes."""

import codecs
import glob
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from zeroscale.config.data import FilesData
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import sha256_json
from zeroscale.core.paths import expand_home
from zeroscale.data.corpus import INDEX, SPLITS, Corpus
from zeroscale.data.ngrams.scan import Piece
from zeroscale.data.sources import sources
from zeroscale.data.sources.listing import list_paths
from zeroscale.data.tokenizer import Tokenizer

Split = Literal["train", "val", "all"]
# Tokens turned into text at a time.
_TOKENS = 1 << 18
_KEYS = {"data.path": "corpus", "data.text_field": "text_field"}


@dataclass(frozen=True)
class Texts:
    """A corpus to read as text.

    Attributes:
        kind: "files", or "prepared" (shards of tokens); path: as given.
        about: what it is, for the record: number of files and bytes, or fingerprint and tokens. JSON.
        version: hex sha256 that changes when a file does, by name, size and time; of shards: their fingerprint.
    """

    kind: Literal["files", "prepared"]
    path: str
    about: dict[str, str | int]
    version: str
    _read: Callable[[], Iterator[Piece]]
    _content: Callable[[], str]

    @property
    def size(self) -> int:
        """Bytes of text, or of the files as they lie on the disk."""
        return int(self.about["bytes"])

    def pieces(self) -> Iterator[Piece]:
        """The text from the beginning.

        Raises:
            ZeroscaleError: naming the file and line or byte at which it cannot be read.
        """
        with _renamed_settings():
            yield from self._read()

    def content(self) -> str:
        """Hex sha256 of the content itself, whatever the files' times say. Reads them all."""
        with _renamed_settings():
            return self._content()


def open_texts(corpus: str, text_field: str = "text", split: Split = "train") -> Texts:
    """The corpus that a path names: a directory that `zeroscale data` has prepared, or files.

    Args:
        text_field: of JSON lines and Parquet; split: of a prepared corpus.

    Raises:
        ZeroscaleError: there is nothing, or nothing to read in it.
    """
    if (Path(expand_home(corpus)) / INDEX).is_file():
        return _prepared(Corpus.open(Path(expand_home(corpus))), corpus, split)
    return open_files(corpus, text_field)


def open_files(corpus: str, text_field: str = "text", first_bytes: int | None = None) -> Texts:
    """Files: a directory, one, or a glob; of their text perhaps the first bytes only."""
    if not glob.has_magic(corpus) and not Path(expand_home(corpus)).exists():
        raise ZeroscaleError(f"corpus={corpus}: there is no such file or directory (seen from {Path.cwd()})")
    data = FilesData(
        kind="files", name="corpus", path=corpus, val_fraction=0.5, text_field=text_field, max_bytes=first_bytes
    )
    with _renamed_settings():
        listing = list_paths(corpus)
        files, not_read = [sources.stamp(name, path) for name, path in listing.files], len(listing.left_out)
    about = {"files": len(files), "bytes": sum(size for _, size, _ in files), "text_field": text_field}
    if not_read:
        about["files_not_read"] = not_read

    def content() -> str:
        return str(sources.content_hash(data))

    return Texts("files", corpus, about, sha256_json(files), lambda: _of_files(data), content)


def _of_files(data: FilesData) -> Iterator[Piece]:
    for item in sources.items(data):
        for number, document in enumerate(item.documents):
            yield Piece(document.text, number > 0 or item.texts == 0, item.done, item.of)


def _prepared(corpus: Corpus, path: str, split: Split) -> Texts:
    splits = SPLITS if split == "all" else (split,)
    tokens = {name: corpus.n_train_tokens if name == "train" else corpus.n_val_tokens for name in splits}
    counts = [corpus.index["splits"][name] for name in splits]
    total_tokens, total_bytes = sum(tokens.values()), sum(count["bytes"] for count in counts)
    about: dict[str, str | int] = {
        "name": corpus.index["name"],
        "split": split,
        "tokens": total_tokens,
        "documents": sum(count["documents"] for count in counts),
        "bytes": total_bytes,
    }

    def read() -> Iterator[Piece]:
        done = 0
        for name in splits:
            for text, continues, end in split_texts(corpus, name):
                share = (done + end) / total_tokens
                yield Piece(text, continues, int(share * total_bytes), total_bytes)
            done += tokens[name]

    version = sha256_json({"fingerprint": corpus.fingerprint, "split": split})
    return Texts("prepared", path, {**about, "fingerprint": corpus.fingerprint}, version, read, lambda: version)


def split_texts(corpus: Corpus, split: str) -> Iterator[tuple[str, bool, int]]:
    """The documents of a split, long ones in parts: text, whether it continues the part before, tokens read so far.

    A part ends before white space, so that no word is cut.
    """
    total = corpus.n_train_tokens if split == "train" else corpus.n_val_tokens
    spell = Spelling(corpus.tokenizer)
    decode, rest, continues = _decoder(), "", False
    for begin in range(0, total, _TOKENS):
        ids = corpus.read(split, begin, min(_TOKENS, total - begin))
        end = begin + len(ids)
        *whole, last = np.split(ids, np.flatnonzero(ids == corpus.tokenizer.eos) + 1)
        for document in whole:
            text = rest + decode(spell(document[:-1]), True)
            decode, rest = _decoder(), ""
            yield text, continues, end
            continues = False
        rest += decode(spell(last), False)
        cut = max(rest.rfind(" "), rest.rfind("\n"))
        if cut > 0:
            yield rest[:cut], continues, end
            rest, continues = rest[cut:], True
    if rest:
        yield rest + decode(b"", True), continues, total


def _decoder() -> Callable[[bytes, bool], str]:
    return codecs.getincrementaldecoder("utf-8")("replace").decode


class Spelling:
    """Token ids to bytes, all at once: a hundred times as fast as one by one."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        ids = range(tokenizer.vocab_size)
        parts = [b"" if token == tokenizer.eos else tokenizer.decode_bytes([token]) for token in ids]
        self._letters = np.frombuffer(b"".join(parts), dtype=np.uint8)
        self._lengths = np.array([len(part) for part in parts], dtype=np.int64)
        self._begins = np.cumsum(self._lengths) - self._lengths

    def __call__(self, ids: np.ndarray) -> bytes:
        """The bytes that ids [n] stand for; of the end of text, none."""
        lengths = self._lengths[ids]
        ends = np.cumsum(lengths)
        if not len(ids):
            return b""
        # What each byte's place in the text is to be moved by, to its place among the vocabulary's letters.
        moved = np.repeat(self._begins[ids] - (ends - lengths), lengths)
        return self._letters[moved + np.arange(ends[-1])].tobytes()


@contextmanager
def _renamed_settings() -> Iterator[None]:
    """Renames the settings in error messages: the sources speak of `data.path`, which has another name here."""
    try:
        yield
    except ZeroscaleError as error:
        text = str(error)
        for source_key, key in _KEYS.items():
            text = text.replace(source_key, key)
        raise ZeroscaleError(text) from error
