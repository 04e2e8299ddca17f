"""From a source's texts to the files of a corpus: batches in, shards and lists and counts out."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zeroscale.data.corpus import SPLITS
from zeroscale.data.prepare import deduplicate
from zeroscale.data.prepare.encode import Encoded, dtype
from zeroscale.data.prepare.shards import DOCUMENT, DocumentList, ShardWriter
from zeroscale.data.sources import sources
from zeroscale.data.tokenizer import Tokenizer

# Text tokenised at a time: its encodings stay below 100 MB.
BATCH_BYTES = 1 << 20


@dataclass
class Batch:
    """Whole items of the source: their documents without those of left-out sites, and the place behind them."""

    texts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    place: Any = None
    done: int = 0
    of: int | None = None
    read: dict[str, int] = field(default_factory=lambda: {"texts": 0, "documents": 0, "bytes": 0})
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    without_url: int = 0


def batches(data: Any, place: Any) -> Iterator[Batch]:
    """The corpus from a place on."""
    batch = Batch()
    by_url = bool(getattr(data, "leave_out_sites", ()))
    for item in sources.items(data, place):
        size = sum(len(document.text.encode("utf-8")) for document in item.documents)
        count = {"texts": item.texts, "documents": len(item.documents), "bytes": size}
        _add(batch.read, count)
        batch.without_url += by_url and item.url is None
        if (site := sources.left_out(item.url, data)) is not None:
            _add(batch.left_out.setdefault(site, {}), count)
        else:
            batch.texts += [document.text for document in item.documents]
            batch.names += [document.name for document in item.documents]
        batch.place, batch.done, batch.of = item.place, item.done or 0, item.of
        if batch.read["bytes"] >= BATCH_BYTES:
            yield batch
            batch = Batch()
    if batch.place is not None:
        yield batch


def _add(counts: dict[str, int], more: dict[str, int]) -> None:
    for key, value in more.items():
        counts[key] = counts.get(key, 0) + value


class Output:
    """The files that grow in `part`, and the counts that go with them."""

    def __init__(self, part: Path, tokenizer: Tokenizer, state: dict[str, Any]) -> None:
        """Args:
        state: what `save` wrote into it, or nothing of it yet.
        """
        self._held = ExitStack()
        at = state.get("files", {})
        self._counts = state.get("counts") or _no_counts()
        self._place, self._done = state.get("place"), state.get("done", 0)
        self._shards, self._lists = {}, {}
        for split in SPLITS:
            mine = at.get(split, {})
            writer = ShardWriter(part, split, dtype(tokenizer), state=mine.get("shards"))
            self._shards[split] = self._held.enter_context(writer)
            self._lists[split] = self._held.enter_context(DocumentList(part, split, mine.get("list")))

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def add(self, batch: Batch, encoded: Encoded, seen: deduplicate.DeduplicationIndex) -> None:
        """Appends the documents of a batch that have not been seen."""
        end = 0
        for number, name in enumerate(batch.names):
            start, end = end, end + int(encoded.lengths[number])
            split = encoded.split[number]
            counts = self._counts[split]
            if encoded.keys is not None and seen.exact(encoded.keys[number]):
                counts["exact_duplicates"] += 1
                continue
            if encoded.signatures is not None and seen.near(encoded.signatures[number]):
                counts["near_duplicates"] += 1
                continue
            self._shards[split].add(encoded.ids[start:end])
            size, words = int(encoded.bytes[number]), int(encoded.words[number])
            _add(counts, {"documents": 1, "tokens": end - start, "bytes": size, "words": words})
            self._lists[split].add(counts["tokens"], name)
        _add(self._counts["read"], batch.read)
        for site, count in batch.left_out.items():
            _add(self._counts["left_out"].setdefault(site, {}), count)
        self._counts["without_url"] += batch.without_url
        self._place, self._done = batch.place, batch.done

    def save(self, state: dict[str, Any]) -> dict[str, Any]:
        """Forces the files to the disk and writes into `state` what is needed to go on from here."""
        saved = {s: {"shards": self._shards[s].save(), "list": self._lists[s].save()} for s in SPLITS}
        state.update(files=saved, counts=self._counts, place=self._place, done=self._done)
        return state

    def close(self) -> dict[str, dict[str, Any]]:
        """Counts, shards and lists per split."""
        return {
            split: {**self._counts[split], "shards": self._shards[split].close(), "lists": self._lists[split].close()}
            for split in SPLITS
        }


def _no_counts() -> dict[str, Any]:
    counted = ("documents", "tokens", "bytes", "words", "exact_duplicates", "near_duplicates")
    return {
        **{split: dict.fromkeys(counted, 0) for split in SPLITS},
        "read": {"texts": 0, "documents": 0, "bytes": 0},
        "left_out": {},
        "without_url": 0,
    }


def whole(part: Path, state: dict[str, Any]) -> bool:
    """Whether the files are as long as `state` says, or longer."""
    wanted: list[tuple[str, int]] = []
    for split, saved in state.get("files", {}).items():
        shards = saved["shards"]
        wanted += [(shard["file"], shard["bytes"]) for shard in shards["shards"]]
        # Two bytes a token at least.
        wanted += [(f"{split}-{len(shards['shards']):05d}.bin", 2 * shards["tokens"])] * bool(shards["tokens"])
        wanted += [(f"{split}-documents.bin", saved["list"]["documents"] * DOCUMENT.itemsize)]
        wanted += [(f"{split}-names.txt", saved["list"]["names"])]
    return all((part / name).is_file() and (part / name).stat().st_size >= size for name, size in wanted)
