"""The making of a corpus in a folder of its own, which is kept until the corpus is whole: an interrupted one goes on.

progress.sqlite holds how far it is: the place in the source, the length of every file, the counts, and the index of
documents seen. One transaction moves them all, after the files have been forced to the disk; what lies in a file behind
the recorded length is cut off when the making goes on. So the result is the same to the bit, wherever it was stopped.
"""

import dataclasses
import importlib.metadata
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from zeroscale.core import files
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus import FORMAT, INDEX, SOURCE, SPLITS
from zeroscale.data.prepare import deduplicate, output
from zeroscale.data.prepare.decontaminate import OVERLAP, overlap_of
from zeroscale.data.prepare.encode import EncodeJob, dtype, encode_all, split_of
from zeroscale.data.prepare.progress import STATE, ProgressDatabase, database_errors
from zeroscale.data.sources import sources
from zeroscale.data.sources.documents import Fault
from zeroscale.data.tokenizer import Tokenizer

# BPE learns from the first part of the training documents; the trainer's memory grows with the different words in it.
BPE_BYTES = 256 << 20
COMMIT_SECONDS = 10.0
# Below this, starting processes costs more time than they save.
ALONE_BYTES = 64 << 20

# Called with bytes of the source done, bytes in all (None: not known) and the name of the stage.
Progress = Callable[[int, int | None, str], None]


def build(data: Any, tokenizer: Any, part: Path, identity: dict[str, Any], report: Progress) -> None:
    """Makes the corpus in `part`, from where an earlier making of the same stopped, or from the start.

    Args:
        identity: all that decides which tokens come out.

    Raises:
        Fault: what is in `part` is no use any more.
        ZeroscaleError: what is in `part` stays for the next time.
    """
    with files.disk_errors(part), database_errors(part):
        state = _going_on(part, data, identity)
        if state is None:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        elif "counts" in state:
            report(0, None, "going on where it stopped")
        with ProgressDatabase(part / STATE) as notes:
            if state is None:
                state = {"wanted": _wanted(data, identity), "source": sources.describe(data)}
                notes.commit(state)
            _CorpusBuilder(data, part, notes, state, report).build(tokenizer, identity)


def _wanted(data: Any, identity: dict[str, Any]) -> dict[str, Any]:
    """What an earlier making must have had in common with this one, to be gone on with."""
    wanted = {"settings": identity, "streaming": getattr(data, "streaming", None), "batch_bytes": output.BATCH_BYTES}
    if deduplicate.settings_of(data)[1]:
        wanted["datasketch"] = importlib.metadata.version("datasketch")
    if (overlap := overlap_of(data)) is not None:
        wanted["leave_out"] = overlap.record()
    return json.loads(json.dumps(wanted))


def _going_on(part: Path, data: Any, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The state of an earlier making that can be gone on with, else None."""
    if not (part / STATE).is_file():
        return None
    try:
        with ProgressDatabase(part / STATE) as notes:
            state = notes.read()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        # No database any more.
        return None
    if state is None or state["wanted"] != _wanted(data, identity) or not output.whole(part, state):
        return None
    # Sizes and times. A dataset is read at its recorded commit, whatever the hub has by now.
    if data.kind != "hub" and sources.describe(data) != state["source"]:
        return None
    return state


class _CorpusBuilder:
    """One making: its settings, its folder, and how far it is (`state`, as `notes` keeps it)."""

    def __init__(self, data: Any, part: Path, notes: ProgressDatabase, state: dict[str, Any], report: Progress) -> None:
        commit = state["source"].get("commit")
        self._data = dataclasses.replace(data, revision=commit) if commit else data
        self._part, self._notes, self._state, self._report = part, notes, state, report
        self._overlap = overlap_of(data)

    def build(self, tokenizer_settings: Any, identity: dict[str, Any]) -> None:
        tokenizer = self._tokenizer(tokenizer_settings)
        splits = self._tokenise(tokenizer)
        content = sources.content_hash(self._data)
        if self._data.kind != "hub" and sources.describe(self._data) != self._state["source"]:
            raise Fault("the corpus' files changed while they were read: wait until they are finished, then try again")
        counts = self._state["counts"]
        hashes = [[shard["sha256"] for shard in splits[split]["shards"]] for split in SPLITS]
        about = {"fingerprint": tokenizer.fingerprint, "vocab_size": tokenizer.vocab_size, "eos": tokenizer.eos}
        index = {
            "format": FORMAT,
            "name": self._data.name,
            "fingerprint": files.sha256_json({"shards": hashes, "tokenizer": tokenizer.fingerprint}),
            "settings": identity,
            "tokenizer": about,
            "dtype": dtype(tokenizer).str,
            **{key: counts[key] for key in ("read", "left_out", "without_url")},
            "splits": splits,
        }
        if self._overlap is not None:
            index["leave_out"] = self._overlap.record()
        files.write_json(self._part / SOURCE, {**self._state["source"], "content": content})
        files.write_json(self._part / INDEX, index)

    def _tokenizer(self, settings: Any) -> Tokenizer:
        directory = self._part / "tokenizer"
        if "tokenizer" in self._state:
            return _saved(directory, self._state["tokenizer"])
        if settings.kind == "bytes":
            tokenizer = Tokenizer.bytes()
        elif settings.kind == "gpt2":
            tokenizer = Tokenizer.gpt2(settings.path, settings.revision)
        else:
            tokenizer = Tokenizer.train_bpe(self._training_texts(), settings.vocab_size)
        tokenizer.save(directory)
        self._state["tokenizer"] = tokenizer.fingerprint
        self._notes.commit(self._state)
        return tokenizer

    def _training_texts(self) -> Iterator[str]:
        """The text that BPE learns from: never the validation documents."""
        data, done, found, number = self._data, 0, 0, 0
        for item in sources.items(data):
            if sources.left_out(item.url, data) is not None:
                continue
            for document in item.documents:
                number += 1
                if self._overlap is not None and self._overlap.matches([document.text])[0]:
                    continue
                if split_of(document.text, data.val_fraction) == "train":
                    found += 1
                    yield document.text
                done += len(document.text.encode("utf-8"))
            limit = BPE_BYTES if item.of is None else min(BPE_BYTES, item.of)
            self._report(done, max(limit, done), "training the tokenizer")
            if done >= BPE_BYTES:
                break
        if not found:
            raise _empty_split(data, "training", number, done)

    def _tokenise(self, tokenizer: Tokenizer) -> dict[str, dict[str, Any]]:
        """Writes the shards; returns counts and files per split."""
        data, state, last = self._data, self._state, time.monotonic()
        exact, sketches = deduplicate.settings_of(data)
        seen = deduplicate.DeduplicationIndex(self._notes.database, sketches)
        work = EncodeJob(tokenizer, data.val_fraction, exact, sketches)
        with output.Output(self._part, tokenizer, state) as grown:
            if not state.get("complete"):
                batches = output.batches(data, state.get("place"))
                if self._overlap is not None:
                    batches = self._overlap.left_out(batches)
                for batch, encoded in encode_all(work, batches, self._workers()):
                    grown.add(batch, encoded, seen)
                    if time.monotonic() - last >= COMMIT_SECONDS:
                        self._notes.commit(grown.save(state))
                        last = time.monotonic()
                    self._report(batch.done, max(batch.of, batch.done) if batch.of else None, "tokenising")
                self._notes.commit({**grown.save(state), "complete": True})
            splits = grown.close()
        self._report(state["done"], state["done"], "tokenising")
        for split, name in (("train", "training"), ("val", "validation")):
            if not splits[split]["shards"]:
                counts = state["counts"]
                raise _empty_split(data, name, counts["read"]["documents"], counts["read"]["bytes"], _dropped(counts))
        return splits

    def _workers(self) -> int:
        if getattr(self._data, "workers", None) is not None:
            return self._data.workers
        sizes = [sum(entry[1] for entry in self._state["source"].get("files", ())), self._data.max_bytes]
        small = any(size and size < ALONE_BYTES for size in sizes)
        return 1 if small else len(os.sched_getaffinity(0))


def _saved(directory: Path, fingerprint: str) -> Tokenizer:
    try:
        tokenizer = Tokenizer.load(directory)
    except ZeroscaleError as error:
        raise Fault(str(error)) from error
    if tokenizer.fingerprint != fingerprint:
        raise Fault(f"{directory} has changed since it was written; the same command starts anew")
    return tokenizer


def _dropped(counts: dict[str, Any]) -> str:
    by_ngrams = sum(one["documents"] for key, one in counts["left_out"].items() if key.startswith(OVERLAP))
    dropped = {
        "left out by their address": sum(one["documents"] for one in counts["left_out"].values()) - by_ngrams,
        "left out for overlap with benchmarks": by_ngrams,
        "duplicates": sum(counts[one][f"{kind}_duplicates"] for one in SPLITS for kind in ("exact", "near")),
    }
    return "".join(f", {number} of them {what}" for what, number in dropped.items() if number)


def _empty_split(data: Any, name: str, documents: int, size: int, more: str = "") -> Fault:
    return Fault(
        f"data={data.name}: the {name} split is empty: {documents} documents ({size:,} bytes) at"
        f" data.val_fraction={data.val_fraction}{more}; give more text or another fraction"
    )
