"""What a file's name says of its content: plain text, JSON lines or Parquet, and how it is compressed."""

import os
from typing import Literal, NamedTuple

Kind = Literal["text", "rows", "parquet"]
Packing = Literal["gzip", "zstd", "xz", "bzip2"]

# All suffixes are compared in lower case.
TEXT = (".txt", ".text", ".md", ".rst", ".py")
JSON_LINES = (".jsonl", ".ndjson", ".json", ".jsonlines", ".jl")
PARQUET = ".parquet"
PACKINGS: dict[str, Packing] = {
    ".gz": "gzip",
    ".gzip": "gzip",
    ".zst": "zstd",
    ".zstd": "zstd",
    ".xz": "xz",
    ".lzma": "xz",
    ".bz2": "bzip2",
}
_ARCHIVES = {".zip", ".tar", ".tgz", ".taz", ".tbz", ".tbz2", ".txz", ".tlz", ".tzst", ".7z", ".rar", ".cab", ".iso"}
_OTHER_PACKINGS = {".z", ".lz", ".lz4", ".lzo", ".br", ".sz", ".snappy", ".bz", ".zz", ".zlib"}
# Formats of documents, tables, pictures and programs that are no text however they are decoded.
_NO_TEXT = {
    *(".pdf", ".doc", ".docx", ".odt", ".rtf", ".epub", ".mobi", ".djvu", ".ps", ".ppt", ".pptx", ".xls", ".xlsx"),
    *(".arrow", ".feather", ".orc", ".avro", ".pq", ".h5", ".hdf5", ".npy", ".npz", ".pkl", ".pickle", ".pt"),
    *(".safetensors", ".sqlite", ".sqlite3", ".db", ".bin", ".exe", ".so", ".pyc", ".tfrecord", ".mdb"),
    *(".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".mp3", ".mp4", ".wav", ".flac", ".ogg"),
}


class Format(NamedTuple):
    """How a file is read.

    Attributes:
        kind: what it holds when it is unpacked; packing: how it is compressed, None: it is not.
        known: its suffix is one of those that are read in a directory; else it is taken for plain text because the
            user named it.
    """

    kind: Kind
    packing: Packing | None
    known: bool


def format_of(name: str) -> Format | str:
    """The format of a file of this name, or in words why a file of this name is not read."""
    stem, suffix = os.path.splitext(name.lower())
    packing = PACKINGS.get(suffix)
    if packing is not None:
        suffix = os.path.splitext(stem)[1]
        if suffix in PACKINGS:
            return "compressed twice: unpack it once"
    if suffix in _ARCHIVES:
        return "an archive: unpack it"
    if suffix in _OTHER_PACKINGS:
        return "compressed in a way that is not read: unpack it, or use gzip, zstd, xz or bzip2"
    if suffix == PARQUET:
        return Format("parquet", None, True) if packing is None else "Parquet that is compressed once more: unpack it"
    if suffix in _NO_TEXT:
        return "not a kind of file that is read: convert it to text, JSON lines or Parquet"
    if suffix in JSON_LINES:
        return Format("rows", packing, True)
    return Format("text", packing, suffix in TEXT)


def known_suffixes() -> str:
    """The suffixes that are read in a directory, for messages."""
    return f"{' '.join((*TEXT, *JSON_LINES))} (also with {' '.join(PACKINGS)}) or {PARQUET}"
