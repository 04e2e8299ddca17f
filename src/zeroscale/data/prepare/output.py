"""From a source's texts to the files of a corpus: batches in, shards and lists and counts out."""

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from zeroscale.config.data import DataConfig
from zeroscale.data.corpus import SPLITS, Counts, SplitCounts, SplitIndex
from zeroscale.data.prepare import deduplicate
from zeroscale.data.prepare.encode import Encoded, dtype
from zeroscale.data.prepare.progress import AllCounts, BuildState, Grown
from zeroscale.data.prepare.shards import DOCUMENT, DocumentList, ShardWriter
from zeroscale.data.sources import marks, sources
from zeroscale.data.sources.sources import SourcePlace
from zeroscale.data.tokenizer import Tokenizer

# Text tokenised at a time: its encodings stay below 100 MB.
BATCH_BYTES = 1 << 20


@dataclass
class Batch:
    """Whole items of the source: their documents without those of left-out sites, and the place after them."""

    texts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    place: SourcePlace | None = None
    done: int = 0
    of: int | None = None
    read: Counts = field(default_factory=lambda: _nothing())
    left_out: dict[str, Counts] = field(default_factory=dict)
    without_url: int = 0
    marks: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    split_at: int = 0


def batches(data: DataConfig, place: SourcePlace | None) -> Iterator[Batch]:
    """The corpus from a place on."""
    batch = Batch()
    by_url = data.kind != "stdlib" and bool(data.leave_out_sites)
    for item in sources.items(data, place):
        size = sum(len(document.text.encode("utf-8")) for document in item.documents)
        counts: Counts = {"texts": item.texts, "documents": len(item.documents), "bytes": size}
        _add(batch.read, counts)
        batch.without_url += by_url and item.url is None
        if (site := sources.left_out(item.url, data)) is not None:
            _add(batch.left_out.setdefault(site, _nothing()), counts)
        else:
            batch.texts += [document.text for document in item.documents]
            batch.names += [document.name for document in item.documents]
            if data.kind != "stdlib":
                for document in item.documents:
                    batch.marks.update(marks.count(document.text))
            batch.replaced += item.replaced
            batch.split_at += item.marks
        batch.place, batch.done, batch.of = cast(SourcePlace, item.place), item.done or 0, item.of
        if batch.read["bytes"] >= BATCH_BYTES:
            yield batch
            batch = Batch()
    if batch.place is not None:
        yield batch


def _nothing() -> Counts:
    return {"texts": 0, "documents": 0, "bytes": 0}


def _add(counts: Counts, more: Counts) -> None:
    for key in ("texts", "documents", "bytes"):
        counts[key] += more[key]


class Output:
    """The files that grow in `part`, and the counts that go with them."""

    def __init__(self, part: Path, tokenizer: Tokenizer, state: BuildState) -> None:
        """Args:
        state: what `save` wrote into it, or nothing yet.
        """
        self._stack = ExitStack()
        files = state.get("files", {})
        self._counts = state.get("counts") or _no_counts()
        self._place, self._done, self._seen = state.get("place"), state.get("done", 0), state.get("seen", 0)
        self._shards: dict[str, ShardWriter] = {}
        self._lists: dict[str, DocumentList] = {}
        for split in SPLITS:
            saved = files.get(split)
            writer = ShardWriter(part, split, dtype(tokenizer), state=saved["shards"] if saved else None)
            self._shards[split] = self._stack.enter_context(writer)
            self._lists[split] = self._stack.enter_context(DocumentList(part, split, saved["list"] if saved else None))

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, batch: Batch, encoded: Encoded, seen: deduplicate.DeduplicationIndex) -> None:
        """Appends the documents of a batch that are no duplicates."""
        end = 0
        for number, name in enumerate(batch.names):
            start, end = end, end + int(encoded.lengths[number])
            self._seen += 1
            split = encoded.split[number]
            counts = self._counts["train" if split == "train" else "val"]
            if encoded.keys is not None and seen.add_exact(encoded.keys[number], self._seen):
                counts["exact_duplicates"] += 1
                continue
            if encoded.signatures is not None and seen.add_near(encoded.signatures[number], self._seen):
                counts["near_duplicates"] += 1
                continue
            self._shards[split].add(encoded.ids[start:end])
            size, words = int(encoded.bytes[number]), int(encoded.words[number])
            counts["documents"] += 1
            counts["tokens"] += end - start
            counts["bytes"] += size
            counts["words"] += words
            self._lists[split].add(counts["tokens"], name)
            range_so_far = [*self._counts["shares"], encoded.share[number]]
            self._counts["shares"] = [min(range_so_far), max(range_so_far)]
        _add(self._counts["read"], batch.read)
        for site, count in batch.left_out.items():
            _add(self._counts["left_out"].setdefault(site, _nothing()), count)
        self._counts["without_url"] += batch.without_url
        self._counts["marks"] = dict(Counter(self._counts["marks"]) + batch.marks)
        self._counts["replaced"] += batch.replaced
        self._counts["split_at"] += batch.split_at
        self._place, self._done = batch.place, batch.done

    def grown(self) -> Grown:
        """What is made so far, as plain values that nothing changes any more."""
        return {
            "files": {
                split: {"shards": self._shards[split].state, "list": self._lists[split].state} for split in SPLITS
            },
            "counts": copy.deepcopy(self._counts),
            "place": self._place,
            "done": self._done,
            "seen": self._seen,
        }

    def save(self, state: BuildState) -> BuildState:
        """Forces the files to the disk and writes into `state` what is needed to resume from here."""
        for split in SPLITS:
            self._shards[split].sync()
            self._lists[split].sync()
        state.update(cast(BuildState, self.grown()))
        return state

    def close(self) -> dict[str, SplitIndex]:
        """Counts, shards and lists per split."""
        return {"train": self._close("train", self._counts["train"]), "val": self._close("val", self._counts["val"])}

    def _close(self, split: str, counts: SplitCounts) -> SplitIndex:
        return {**counts, "shards": self._shards[split].close(), "lists": self._lists[split].close()}


def _no_counts() -> AllCounts:
    def empty() -> SplitCounts:
        return {
            "documents": 0,
            "tokens": 0,
            "bytes": 0,
            "words": 0,
            "exact_duplicates": 0,
            "near_duplicates": 0,
        }

    return {
        "train": empty(),
        "val": empty(),
        "read": _nothing(),
        "left_out": {},
        "without_url": 0,
        "marks": {},
        "replaced": 0,
        "split_at": 0,
        "shares": [],
    }


def whole(part: Path, state: BuildState) -> bool:
    """Whether the files are as long as `state` says, or longer."""
    sizes: list[tuple[str, int]] = []
    for split, saved in state.get("files", {}).items():
        shards = saved["shards"]
        sizes += [(shard["file"], shard["bytes"]) for shard in shards["shards"]]
        # Two bytes a token at least.
        sizes += [(f"{split}-{len(shards['shards']):05d}.bin", 2 * shards["tokens"])] * bool(shards["tokens"])
        sizes += [(f"{split}-documents.bin", saved["list"]["documents"] * DOCUMENT.itemsize)]
        sizes += [(f"{split}-names.txt", saved["list"]["names"])]
    return all((part / name).is_file() and (part / name).stat().st_size >= size for name, size in sizes)
