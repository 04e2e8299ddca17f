"""A prepared corpus on disk, and its training tokens as a pure function of (seed, step)."""

import bisect
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict, cast

import numpy as np

from zeroscale.core import json_records
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object, sha256_file
from zeroscale.core.json_records import WrongType
from zeroscale.data.tokenizer import Tokenizer

INDEX = "index.json"
SOURCE = "source.json"
FORMAT = 1
SPLITS = ("train", "val")


class FileEntry(TypedDict):
    """A file of a corpus, as index.json records it: a list of documents, or a shard."""

    file: str
    bytes: int
    sha256: str


class ShardEntry(FileEntry):
    """A shard, with the number of its tokens."""

    tokens: int


class Counts(TypedDict):
    """What was read or left out."""

    texts: int
    documents: int
    bytes: int


class NamedCount(TypedDict):
    """How many there are, and the first of their names."""

    count: int
    names: list[str]


class FilesRead(TypedDict):
    """What became of the files that data.path names: given = read + empty + left_out + repeated + beyond_max_bytes."""

    given: int
    read: int
    empty: NamedCount
    left_out: NamedCount
    repeated: NamedCount
    beyond_max_bytes: int
    as_text: NamedCount
    """Of those read: plain text by what they hold, not by their name."""


class SplitCounts(TypedDict):
    """What a split holds, and the duplicates that it does not."""

    documents: int
    tokens: int
    bytes: int
    words: int
    exact_duplicates: NotRequired[int]
    near_duplicates: NotRequired[int]


class SplitIndex(SplitCounts):
    """A split in index.json."""

    shards: list[ShardEntry]
    lists: NotRequired[list[FileEntry]]
    """The lists of documents; corpora of earlier versions have none."""


class TokenizerIndex(TypedDict):
    """The tokenizer in index.json."""

    fingerprint: str
    vocab_size: NotRequired[int]
    eos: NotRequired[int]


class CardReference(TypedDict):
    """A benchmark card, as the record of a decontamination names it."""

    card: str


# The number of n-grams is recorded as "from", which is a keyword.
DecontaminationRecord = TypedDict(
    "DecontaminationRecord", {"n": int, "fingerprint": str, "from": int, "cards": list[CardReference]}
)


class CorpusIndex(TypedDict):
    """index.json."""

    format: int
    name: str
    fingerprint: str
    settings: dict[str, Any]
    tokenizer: TokenizerIndex
    dtype: str
    splits: dict[str, SplitIndex]
    read: NotRequired[Counts]
    files: NotRequired[FilesRead]
    marks: NotRequired[dict[str, int]]
    """How often marks that end a text elsewhere stand in texts, as plain characters."""
    split_at: NotRequired[int]
    """How many of `data.split_on` texts were split at; without that setting there is none."""
    replaced_surrogates: NotRequired[int]
    left_out: NotRequired[dict[str, Counts]]
    without_url: NotRequired[int]
    leave_out: NotRequired[DecontaminationRecord]


class Span(NamedTuple):
    """A document's part of a range of tokens.

    Attributes:
        number: of the document in its split, from 0; name: where it is from; tokens: its length, `<|endoftext|>` too.
        first, last: the part of it that lies in the range: [first, last).
    """

    number: int
    name: str
    tokens: int
    first: int
    last: int


class _OpenedSplit(TypedDict):
    shards: list[ShardEntry]
    lists: NotRequired[list[FileEntry]]


class _OpenedIndex(TypedDict):
    """What index.json must hold for its tokens to be read; the rest is what it tells of them."""

    format: int
    name: NotRequired[str]
    fingerprint: NotRequired[str]
    settings: NotRequired[dict[str, Any]]
    tokenizer: NotRequired[TokenizerIndex]
    dtype: str
    splits: dict[str, _OpenedSplit]


def _checked(path: Path, index: dict[str, Any]) -> CorpusIndex:
    try:
        checked = json_records.from_json(_OpenedIndex, index)
        np.dtype(checked["dtype"])
    except (WrongType, TypeError) as error:
        raise ZeroscaleError(f"{path}: {error}; delete {path.parent} and prepare it again") from error
    if missing := [split for split in SPLITS if split not in checked["splits"]]:
        raise ZeroscaleError(
            f"{path}: splits has no {' and no '.join(missing)}; delete {path.parent} and prepare it again"
        )
    return cast(CorpusIndex, checked)


class Corpus:
    """Shards of token ids under one directory: `open` it.

    Attributes:
        directory: where it is.
        index: what index.json holds: settings, source, counts (documents, tokens, bytes, words) and shards per split.
    """

    def __init__(self, directory: Path, index: CorpusIndex) -> None:
        self.directory = directory
        self.index = index
        self.dtype = np.dtype(index["dtype"])
        self._shards = {split: index["splits"][split]["shards"] for split in SPLITS}
        # [shards + 1]: the first token of each shard, and the end.
        self._edges = {
            split: np.cumsum([0] + [shard["tokens"] for shard in shards], dtype=np.int64)
            for split, shards in self._shards.items()
        }
        self._maps: dict[str, np.ndarray] = {}
        # None: an index that does not say.
        self._vocab_size: int | None = index.get("tokenizer", {}).get("vocab_size")

    @classmethod
    def open(cls, directory: Path | str) -> "Corpus":
        """Opens a corpus whose shards are all there with their recorded sizes (`verify` reads them, too).

        Raises:
            ZeroscaleError: when it is no corpus, of a later format, or not whole.
        """
        directory = Path(directory)
        if not (directory / INDEX).is_file():
            raise ZeroscaleError(
                f"{directory} is not a prepared corpus (no {INDEX} in it): make one with `zeroscale data`"
            )
        index = read_object(directory / INDEX)
        if (version := index.get("format")) != FORMAT:
            raise ZeroscaleError(
                f"{directory / INDEX}: corpus format {version}, this zeroscale reads {FORMAT}: use the version that"
                " prepared it, or delete the directory and prepare it again"
            )
        corpus = cls(directory, _checked(directory / INDEX, index))
        for shard in corpus.files():
            path = directory / shard["file"]
            size = path.stat().st_size if path.is_file() else None
            if size != shard["bytes"]:
                fault = "is missing" if size is None else f"has {size:,} bytes, not {shard['bytes']:,}"
                raise ZeroscaleError(f"{path} {fault}: the corpus is damaged; delete {directory} and prepare it again")
        return corpus

    def shards(self) -> list[ShardEntry]:
        """file, tokens, bytes and sha256 of every shard of both splits."""
        return [shard for split in SPLITS for shard in self._shards[split]]

    def files(self) -> list[FileEntry]:
        """file, bytes and sha256 of every shard and every list of documents."""
        return [*self.shards()] + [entry for split in SPLITS for entry in self.index["splits"][split].get("lists", [])]

    def verify(self) -> None:
        """Reads every shard and the tokenizer and compares them with the index. Takes a second per gigabyte or so.

        Raises:
            ZeroscaleError: naming what differs.
        """
        for shard in self.files():
            path = self.directory / shard["file"]
            if sha256_file(path) != shard["sha256"]:
                raise ZeroscaleError(
                    f"{path} has changed since it was written: delete {self.directory} and prepare it again"
                )
        _ = self.tokenizer

    @property
    def fingerprint(self) -> str:
        """Hex sha256 over the shards' hashes and the tokenizer's fingerprint: equal tokens, equal fingerprint."""
        return self.index["fingerprint"]

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """What the corpus was tokenised with; refused when it is not that any more."""
        tokenizer = Tokenizer.load(self.directory / "tokenizer")
        if tokenizer.fingerprint != self.index["tokenizer"]["fingerprint"]:
            raise ZeroscaleError(
                f"{self.directory}: its tokenizer is not the one it was tokenised with; prepare it again"
            )
        return tokenizer

    @property
    def n_train_tokens(self) -> int:
        return int(self._edges["train"][-1])

    @property
    def n_val_tokens(self) -> int:
        return int(self._edges["val"][-1])

    def read(self, split: str, start: int, length: int) -> np.ndarray:
        """Tokens [start, start + length) of a split: [length], int64. May cross shards; must lie within the split."""
        return self.read_windows(split, np.array([start]), length)[0]

    def read_windows(self, split: str, starts: np.ndarray, length: int) -> np.ndarray:
        """Tokens [start, start + length) of a split for each of `starts`: [starts, length], int64.

        Raises:
            ZeroscaleError: a window that is not within the split, or a token that the vocabulary does not have.
        """
        edges = self._edges[split]
        tokens = np.empty((len(starts), length), dtype=np.int64)
        for row, start in zip(tokens, starts.tolist(), strict=True):
            if not 0 <= start <= start + length <= edges[-1]:
                raise ZeroscaleError(
                    f"{self.directory}: tokens {start} to {start + length} of {split}, which has {edges[-1]}"
                )
            filled = 0
            while filled < length:
                shard = int(edges.searchsorted(start + filled, side="right")) - 1
                begin = start + filled - int(edges[shard])
                part = self._map(split, shard)[begin : begin + length - filled]
                row[filled : filled + len(part)] = part
                filled += len(part)
        if self._vocab_size is not None and tokens.size and tokens.max() >= self._vocab_size:
            self._refuse_beyond_vocabulary(split, starts, tokens)
        return tokens

    def _refuse_beyond_vocabulary(self, split: str, starts: np.ndarray, tokens: np.ndarray) -> None:
        row, column = np.argwhere(tokens >= self._vocab_size)[0]
        raise ZeroscaleError(
            f"{self.directory}: token number {starts[row] + column:,} of {split} is {tokens[row, column]}, beyond the"
            f" vocabulary of {self._vocab_size:,}: the corpus is damaged; delete it and prepare it again"
        )

    def _map(self, split: str, shard: int) -> np.ndarray:
        entry = self._shards[split][shard]
        if entry["file"] not in self._maps:
            path = self.directory / entry["file"]
            mapped = np.memmap(path, dtype=self.dtype, mode="r", shape=(entry["tokens"],))
            # The same memory as a plain array: slicing a memmap costs more than what is in the slice.
            self._maps[entry["file"]] = np.asarray(mapped)
        return self._maps[entry["file"]]

    def documents(self, split: str, start: int, end: int) -> list[Span] | None:
        """The documents that tokens [start, end) of a split are of; None where the corpus has no list of them (an
        earlier version prepared it)."""
        if not self.index["splits"][split].get("lists"):
            return None
        table, names = (self.directory / entry["file"] for entry in self.index["splits"][split]["lists"])
        records = np.memmap(table, dtype=[("end", "<u8"), ("name", "<u8")], mode="r")
        spans = []
        with open(names, "rb") as handle:
            for number in range(bisect.bisect_right(records["end"], start), len(records)):
                first, last = (int(records["end"][number - 1]) if number else 0), int(records["end"][number])
                if first >= end:
                    break
                name_start = int(records["name"][number - 1]) if number else 0
                handle.seek(name_start)
                name = handle.read(int(records["name"][number]) - name_start).decode("utf-8", "replace").rstrip("\n")
                spans.append(Span(number, name, last - first, max(start, first) - first, min(end, last) - first))
        return spans

    def val_tokens(self, limit: int | None = None) -> np.ndarray:
        """The validation stream, or its first `limit` tokens: int64, one dimension."""
        return self.read("val", 0, self.n_val_tokens if limit is None else min(limit, self.n_val_tokens))
