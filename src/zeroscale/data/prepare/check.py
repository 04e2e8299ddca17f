"""Looks at a corpus' text before anything is made of it: which files hold text, and whether it can be split."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zeroscale.config.data import DataConfig, FilesData
from zeroscale.data.corpus import SPLITS, FilesRead, NamedCount
from zeroscale.data.prepare.encode import share_of
from zeroscale.data.prepare.progress import FilesFound, Progress
from zeroscale.data.sources import marks, readers, sources
from zeroscale.data.sources.documents import MAX_DOCUMENT_BYTES, Fault
from zeroscale.data.sources.listing import list_paths
from zeroscale.data.sources.sources import SourcePlace

# Files that are larger in all are read up to their first text only: tokenising finds what is wrong further on, and what
# is tokenised by then is kept.
WHOLE_BYTES = 1 << 30
# Below this the first look takes no time worth a word.
_SILENT_BYTES = 64 << 20
_FEW = 1000
# Names in index.json.
_NAMES = 20


@dataclass
class Shares:
    """Of documents, their number, their bytes, and the smallest and the largest share that decides on their split."""

    documents: int = 0
    bytes: int = 0
    lowest: int = 2**64
    highest: int = -1
    marks: Counter[str] = field(default_factory=Counter)
    """Marks in the first `_FEW` documents: more of them are hardly ever all on one side."""

    def add(self, text: str) -> int:
        """Counts a document; returns its share."""
        share = share_of(text)
        if self.documents < _FEW:
            self.marks.update(marks.count(text))
        self.documents += 1
        self.bytes += len(text.encode("utf-8"))
        self.lowest, self.highest = min(share, self.lowest), max(share, self.highest)
        return share

    def refuse_empty(self, data: DataConfig, splits: tuple[str, ...] = SPLITS) -> None:
        """Refuses documents that all lie on one side."""
        limit = data.val_fraction * 2**64
        empty = {"train": self.highest < limit, "val": self.lowest >= limit}
        for split in splits:
            if empty[split]:
                ends = [self.lowest, self.highest] if self.documents else []
                raise empty_split(data, split, self.documents, self.bytes, ends, self.marks)


def check_files(data: FilesData, report: Progress) -> FilesFound:
    """What the files are and which are empty. Files of at most `WHOLE_BYTES` are read to their end.

    Raises:
        Fault: naming the file and the place that cannot be read; all files are empty, or one split would be.
    """
    listing = list_paths(data.path)
    sizes = [sources.stamp(name, path)[1] for name, path in listing.files]
    if sum(sizes) <= WHOLE_BYTES:
        with_text = _read_whole(data, report)
    else:
        with_text = {n for n, (name, path) in enumerate(listing.files) if sizes[n] and _has_text(path, name, data)}
    if not with_text:
        raise sources.no_text([path for _, path in listing.files])
    empty = [number for number in range(len(listing.files)) if number not in with_text]
    reasons = [f"{name} ({reason})" for name, reason in sorted(listing.left_out.items())]
    return {
        "empty": empty,
        "names": [listing.files[number][0] for number in empty],
        "left_out": _named(reasons),
        "repeated": _named(sorted(listing.repeated)),
        "as_text": _named(sorted(listing.as_text)),
    }


def _named(names: list[str]) -> NamedCount:
    return {"count": len(names), "names": names[:_NAMES]}


def _has_text(path: Path, name: str, data: FilesData) -> bool:
    return any(sources.has_text(item) for item in readers.read(path, name, data, 0))


def _read_whole(data: FilesData, report: Progress) -> set[int]:
    """The numbers of the files that hold text, of those that `data.max_bytes` lets be read."""
    with_text: set[int] = set()
    shares = Shares()
    for item in sources.items(data):
        if sources.has_text(item):
            with_text.add(sources.file_number(item))
        if sources.left_out(item.url, data) is None:
            for document in item.documents:
                shares.add(document.text)
        if item.of is not None and item.of >= _SILENT_BYTES:
            report(item.done or 0, item.of, "checking the files")
    # Where all is left out, or some may be yet, only the counts in the end tell which fraction splits the rest.
    if shares.documents and not _drops(data):
        shares.refuse_empty(data)
    return with_text


def _drops(data: FilesData) -> bool:
    """Whether documents are left out for what they hold."""
    return data.drop_exact_duplicates or data.near_duplicate_threshold is not None or data.leave_out_ngrams is not None


def files_read(found: FilesFound, files: int, place: SourcePlace | None, max_bytes: int | None) -> FilesRead:
    """What became of the files, when they have been read up to `place`."""
    reached = files
    if place is not None and max_bytes is not None and place["bytes"] >= max_bytes:
        reached = sources.number_of(place) + 1
    empty = [name for number, name in zip(found["empty"], found["names"], strict=True) if number < reached]
    given = files + found["left_out"]["count"] + found["repeated"]["count"]
    return {
        "given": given,
        "read": reached - len(empty),
        "empty": _named(empty),
        "left_out": found["left_out"],
        "repeated": found["repeated"],
        "beyond_max_bytes": files - reached,
        "as_text": found["as_text"],
    }


def empty_split(
    data: DataConfig,
    split: str,
    documents: int,
    size: int,
    shares: list[int],
    found: Mapping[str, int],
    dropped: str = "",
) -> Fault:
    """The refusal of a corpus with an empty split, with a fraction that splits it.

    Args:
        split: "train" or "val"; shares: the smallest and the largest of the documents that are left; none: none is.
        found: how often marks stand in them; dropped: what became of those that are not left.
    """
    name = {"train": "training", "val": "validation"}[split]
    same = documents > 1 and not dropped
    return Fault(
        f"data={data.name}: the {name} split is empty: {documents} documents ({size:,} bytes) at"
        f" data.val_fraction={data.val_fraction}{dropped}; {_advice(data, split, shares, same)}"
        f"{_marks_advice(data, found)}"
    )


def _marks_advice(data: DataConfig, found: Mapping[str, int]) -> str:
    if not found or data.kind == "stdlib":
        return ""
    mark, number = max(found.items(), key=lambda item: item[1])
    return f". {mark} stands {number:,} times in the text: 'data.split_on={mark}' makes a document of each part"


def _advice(data: DataConfig, split: str, shares: list[int], same: bool) -> str:
    more_text = "give more text" if data.max_bytes is None else "give more text, by a larger data.max_bytes perhaps"
    if not shares:
        return f"no document is left: {more_text}, or leave out less"
    if (fraction := _fraction_between(shares[0], shares[1], near_high=split == "train")) is not None:
        return f"{more_text}, or data.val_fraction={fraction}, which puts some of them on each side"
    if same:
        return f"they are all the same text, which is on one side at any fraction: {more_text}"
    return (
        f"one document cannot be split (a longer text is cut into documents of at most {MAX_DOCUMENT_BYTES >> 10} KiB):"
        f" {more_text}"
    )


def _fraction_between(low: int, high: int, near_high: bool) -> float | None:
    """A short decimal that parts two shares: the lower one falls below it, the higher one does not."""
    for digits in range(2, 19):
        scale = 10**digits
        fraction = (high * scale // 2**64 if near_high else low * scale // 2**64 + 1) / scale
        if 0 < fraction < 1 and low < fraction * 2**64 <= high:
            return fraction
    return None
