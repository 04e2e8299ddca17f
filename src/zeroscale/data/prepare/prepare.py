"""From text to shards of token ids: built once, by one process, whole or not at all.

<directory>/
  index.json           settings, counts, shards with their sha256, the corpus' fingerprint
  source.json          what it was made from: files with size and time, or the dataset and its commit
  tokenizer/           its files, as transformers reads them, too
  train-00000.bin …    token ids, little-endian uint16 (uint32 for more than 65,536), documents ended by <|endoftext|>
  train-documents.bin  where each document ends, and …-names.txt what it is called
  val-00000.bin …
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from zeroscale.config.data import DataConfig, FilesData, HubData
from zeroscale.config.model import TokenizerConfig
from zeroscale.core import files
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.format import escaped
from zeroscale.core.paths import expand_home
from zeroscale.data.corpus import FORMAT, INDEX, SOURCE, Corpus, CorpusIndex
from zeroscale.data.prepare import pipeline
from zeroscale.data.prepare.decontaminate import decontaminator_of
from zeroscale.data.prepare.pipeline import Identity
from zeroscale.data.prepare.progress import STATE, Progress
from zeroscale.data.sources import sources
from zeroscale.data.sources.documents import Fault
from zeroscale.data.sources.listing import Listing, NamedFile, list_paths
from zeroscale.data.sources.sources import FileStamp, SourceRecord

# Waiting for another process that prepares the same corpus; a large one takes hours.
_WAIT_SECONDS = 24 * 3600.0
# Settings of a corpus that are paths: the same content may have been named by another spelling.
SPELT = {"data.path", "data.leave_out_ngrams"}
# Comparing with sha256 takes about a second for so much.
_QUICKLY_READ = 1 << 30
# What the first way of choosing files read in a directory; source.json's "selection" tells the later ones.
_SUFFIXES_BEFORE = (
    *(".txt", ".md", ".rst", ".py", ".jsonl", ".parquet"),
    *(f"{kind}.{packing}" for kind in (".txt", ".jsonl", ".json", ".ndjson") for packing in ("gz", "zst")),
)


def corpus_directory(root: Path, data: DataConfig, tokenizer: TokenizerConfig) -> Path:
    """Where the corpus of these settings lives: <root>/<data.name>-<hash of all that makes its tokens>."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", data.name):
        raise ZeroscaleError(f"data.name={data.name!r}: letters, digits, '.', '_' and '-' only, beginning with no sign")
    return Path(root) / f"{data.name}-{files.sha256_json(identity_of(data, tokenizer))[:8]}"


def prepare(data: DataConfig, tokenizer: TokenizerConfig, directory: Path, progress: Progress | None = None) -> Corpus:
    """The corpus of these settings at `directory`: opened if it is there, else built, or its build resumed.

    Of several processes that ask at once, one builds and the others wait. A build that ends early, for whatever reason,
    leaves nothing under the name, and what it has done beside it in .NAME.part, for the next one to go on with.

    Args:
        progress: called with bytes done, bytes in all and the stage.

    Raises:
        ZeroscaleError: for faults of the source, an empty split, a corpus there that is damaged, of other settings, or
            of files that have changed since; and when the disk is full.
    """
    directory, report = Path(directory), progress or (lambda done, total, stage: None)
    # Unless the user has said otherwise: on all cores, and without a warning when a later stage forks.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    if not _vacant(directory):
        return _reuse(data, tokenizer, directory, report)
    with _build_lock(directory, report):
        if not _vacant(directory):
            return _reuse(data, tokenizer, directory, report)
        _build(data, tokenizer, directory, report)
    return Corpus.open(directory)


def _vacant(directory: Path) -> bool:
    return not directory.exists() or (directory.is_dir() and not any(directory.iterdir()))


def lock_path(directory: Path) -> Path:
    """Held by the process that builds the corpus of a directory."""
    return directory.with_name(f".{directory.name}.lock")


def verified_path(directory: Path) -> Path:
    """The record that the files of a corpus have been compared with their sha256."""
    return directory.with_name(f".{directory.name}.verified.json")


@contextmanager
def _build_lock(directory: Path, report: Progress) -> Iterator[None]:
    """The lock of the one process that builds a corpus; reports the wait where another has it."""
    path = lock_path(directory)
    busy = f"{directory}: another process has been preparing this corpus for a day; look after it, then try again"
    with ExitStack() as stack:
        try:
            stack.enter_context(files.lock(path, 0.0, busy))
        except ZeroscaleError:
            report(0, None, "waiting for the process that prepares it")
            stack.enter_context(files.lock(path, _WAIT_SECONDS, busy))
        yield


def _build(data: DataConfig, tokenizer: TokenizerConfig, directory: Path, report: Progress) -> None:
    part = directory.with_name(f".{directory.name}.part")
    try:
        pipeline.build(data, tokenizer, part, identity_of(data, tokenizer), report)
    except Fault:
        shutil.rmtree(part, ignore_errors=True)
        raise
    except ZeroscaleError as error:
        if not (part / "tokenizer").is_dir():
            # Nothing that took long.
            shutil.rmtree(part, ignore_errors=True)
            raise
        said = str(error).removesuffix(".")
        raise ZeroscaleError(f"{said}. What is prepared already stays: the same command goes on from there.") from error
    with files.disk_errors(directory):
        _sync_directory(part)
        os.replace(part, directory)
        _sync_directory(directory.parent)
        (directory / STATE).unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    """Forces a folder's entries to the disk; its files have been."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def identity_of(data: DataConfig, tokenizer: TokenizerConfig) -> Identity:
    """Every setting that decides which tokens come out. Where GPT-2's files are is none: their content is checked.

    Settings that earlier versions did not have are left out at their defaults.
    """
    keys: tuple[str, ...] = {
        "stdlib": (),
        "files": ("path", "text_field"),
        "hub": ("dataset", "config", "split", "revision", "text_field", "max_documents"),
    }[data.kind]
    identity: Identity = {f"data.{key}": getattr(data, key) for key in ("kind", "val_fraction", "max_bytes", *keys)}
    if data.kind == "stdlib":
        identity["python"] = sources.python_version()
    else:
        identity.update(_optional_settings(data))
    identity["tokenizer.kind"] = tokenizer.kind
    if tokenizer.kind == "bpe":
        identity["tokenizer.vocab_size"] = tokenizer.vocab_size
    return {**identity, "format": FORMAT}


def _optional_settings(data: FilesData | HubData) -> Identity:
    settings: Identity = {}
    if data.document_start is not None:
        settings["data.document_start"] = data.document_start
    if data.split_on is not None:
        settings["data.split_on"] = data.split_on
    if data.leave_out_sites:
        settings |= {"data.url_field": data.url_field, "data.leave_out_sites": list(data.leave_out_sites)}
    if data.leave_out_ngrams is not None:
        settings |= {"data.leave_out_ngrams": data.leave_out_ngrams, "data.leave_out_from": data.leave_out_from}
    if data.drop_exact_duplicates:
        settings["data.drop_exact_duplicates"] = True
    if data.near_duplicate_threshold is not None:
        for key in ("near_duplicate_threshold", "near_duplicate_permutations"):
            settings[f"data.{key}"] = getattr(data, key)
    return settings


def _reuse(data: DataConfig, tokenizer: TokenizerConfig, directory: Path, report: Progress) -> Corpus:
    corpus = Corpus.open(directory)
    identity, recorded = identity_of(data, tokenizer), corpus.index["settings"]
    different = sorted(key for key in identity.keys() | recorded.keys() if identity.get(key) != recorded.get(key))
    if different and not (set(different) <= SPELT and is_made_of(corpus.directory, data)):
        key = different[0]
        raise ZeroscaleError(
            f"{directory} holds the corpus of other settings: {key} is {recorded.get(key)!r} there and"
            f" {identity.get(key)!r} in yours; choose another directory, or delete it"
        )
    if change := change_of(directory, data):
        raise ZeroscaleError(
            f"{directory} was made from files that have changed since ({change}): to use the new text, delete that"
            " directory or give another data.name; to use the old, restore the files"
        )
    if data.kind != "stdlib" and (benchmarks := _other_ngrams(data, corpus.index)) is not None:
        raise ZeroscaleError(
            f"{directory} was made without the n-grams that {data.leave_out_ngrams} held then ({benchmarks}), and it"
            " holds others now: make those again, or delete the corpus' directory and prepare it anew"
        )
    # Left by a process that was killed between its last two steps.
    (directory / STATE).unlink(missing_ok=True)
    _verify_once(corpus, report)
    return corpus


def _other_ngrams(data: FilesData | HubData, index: CorpusIndex) -> str | None:
    """The cards whose n-grams were left out, where the directory that names them is there and holds others now."""
    recorded = index.get("leave_out")
    if recorded is None or data.leave_out_ngrams is None:
        return None
    if not (Path(expand_home(data.leave_out_ngrams)) / INDEX).is_file():
        return None
    decontaminator = decontaminator_of(data)
    if decontaminator is None or decontaminator.record() == recorded:
        return None
    return ", ".join(card["card"] for card in recorded["cards"])


def _verify_once(corpus: Corpus, report: Progress) -> None:
    """Compares files with their sha256 whose size or time is not that of the last comparison: a shard that was written
    over is found, and a large corpus is read once and not at the start of every run."""
    record = verified_path(corpus.directory)
    now: dict[str, list[int]] = {}
    for entry in corpus.files():
        state = (corpus.directory / entry["file"]).stat()
        now[entry["file"]] = [state.st_size, state.st_mtime_ns]
    with suppress(ZeroscaleError):
        if files.read_json(record) == {"fingerprint": corpus.fingerprint, "files": now}:
            return
    if sum(entry["bytes"] for entry in corpus.files()) > _QUICKLY_READ:
        report(0, None, "reading it once, to compare it with its sha256")
    corpus.verify()
    # On a disk that cannot be written to it is read every time.
    with suppress(ZeroscaleError, OSError):
        files.write_json(record, {"fingerprint": corpus.fingerprint, "files": now})


def change_of(directory: Path, data: DataConfig) -> str | None:
    """What of the text that a corpus was made from has changed since, in words; None where nothing has.

    Text that is not here any more (it was prepared elsewhere, say) has not: the shards are used as they are.
    """
    found = _compare(directory, data)
    return None if isinstance(found, bool) else found


def is_made_of(directory: Path, data: DataConfig) -> bool:
    """Whether a corpus, prepared under another spelling of paths, is made from the text that these settings name."""
    try:
        if data.kind != "hub" and _compare(directory, data) is not True:
            return False
        recorded = files.read_object(directory / INDEX).get("leave_out")
        decontaminator = decontaminator_of(data)
        return recorded == (None if decontaminator is None else decontaminator.record())
    except ZeroscaleError:
        # A damaged record, or no n-grams there.
        return False


def _compare(directory: Path, data: DataConfig) -> str | bool:
    """Whether a corpus was made from the text that is here: True; or what has changed; False where none is here, or
    it is a dataset of the hub. Sizes and times first, contents only where those differ."""
    if data.kind == "hub":
        return False
    recorded: SourceRecord = files.read_json(directory / SOURCE)
    try:
        listed = sources.list_files(data)
        if data.kind == "files" and "selection" not in recorded:
            listed = _as_chosen_before(list_paths(data.path), recorded["files"])
        now = [sources.stamp(name, path) for name, path in listed]
    except ZeroscaleError:
        return False
    if now == recorded["files"] or sources.files_hash(listed) == recorded["content"]:
        return True
    return _first_change(recorded["files"], now)


def _as_chosen_before(listing: Listing, recorded: list[FileStamp]) -> list[NamedFile]:
    """The files of a corpus whose source.json names no way of choosing them: those recorded that are still there (under
    every name that they had), and of the others those that would have been read then."""
    names = {name for name, *_ in recorded}
    kept = [(name, listing.root / name) for name in names if (listing.root / name).is_file()]
    return sorted(kept + [file for file in listing.files if file[0] not in names and _read_before(*file, listing)])


def _read_before(name: str, path: Path, listing: Listing) -> bool:
    """Whether the first way of choosing files read this one: all that a glob named, in a directory by its suffix and
    not in a folder that is a link."""
    if not listing.is_directory:
        return True
    linked = path.parent.resolve() != listing.root.resolve() / path.parent.relative_to(listing.root)
    return not linked and name.endswith(_SUFFIXES_BEFORE)


def _first_change(before: list[FileStamp], after: list[FileStamp]) -> str:
    """One file that differs, the surest sign first: missing or new, another size, only another time."""
    old, new = ({name: (size, time) for name, size, time in entries} for entries in (before, after))
    faults = [
        *(f"{name} is gone" for name in old if name not in new),
        *(f"{name} is new" for name in new if name not in old),
        *(f"{name} has another size" for name in old if name in new and old[name][0] != new[name][0]),
        *(f"{name} was written again" for name in old if name in new and old[name] != new[name]),
    ]
    return escaped(faults[0])
