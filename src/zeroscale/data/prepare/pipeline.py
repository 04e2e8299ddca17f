"""Builds a corpus in a folder of its own, which is kept until the corpus is whole: an interrupted build resumes.

progress.sqlite holds how far it is: the place in the source, the length of every file, the counts, and the index of
documents seen. One transaction updates them all, after the files have been forced to the disk; a resumed build
truncates the files to their recorded lengths. So the result is the same to the bit, wherever it was interrupted.

A file that cannot be read to its end stops a build, too. When it has been mended or taken out, the build is resumed
behind the files before it.
"""

import dataclasses
import importlib.metadata
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from zeroscale.config.data import DataConfig
from zeroscale.config.model import TokenizerConfig
from zeroscale.core import files
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus import FORMAT, INDEX, SOURCE, SPLITS, CorpusIndex, SplitIndex
from zeroscale.data.prepare import deduplicate, output
from zeroscale.data.prepare.check import Shares, check_files, empty_split, files_read
from zeroscale.data.prepare.decontaminate import OVERLAP, decontaminator_of
from zeroscale.data.prepare.encode import EncodeJob, dtype, encode_all, side_of
from zeroscale.data.prepare.progress import STATE, AllCounts, BuildState, Progress, ProgressDatabase, database_errors
from zeroscale.data.prepare.resume import resumable
from zeroscale.data.sources import sources
from zeroscale.data.sources.documents import Fault
from zeroscale.data.tokenizer import Tokenizer

# BPE learns from the first part of the training documents; the trainer's memory grows with the different words in it.
BPE_BYTES = 256 << 20
COMMIT_SECONDS = 10.0
# Of progress.sqlite: a build of another version's is begun anew.
STATE_FORMAT = 3
# Below this, starting processes costs more time than they save.
ALONE_BYTES = 64 << 20

Identity = dict[str, object]
"""The settings that decide which tokens come out, by their keys: part of index.json."""


def build(data: DataConfig, tokenizer: TokenizerConfig, part: Path, identity: Identity, report: Progress) -> None:
    """Builds the corpus in `part`, from where an earlier build of it stopped, or from the start.

    Args:
        identity: all that decides which tokens come out.

    Raises:
        Fault: what is in `part` is of no use any more.
        ZeroscaleError: what is in `part` can be resumed.
    """
    requirements = _requirements(data, identity)
    with files.disk_errors(part), database_errors(part):
        state = resumable(part, data, requirements)
        # Before a folder is made, so that nothing is left of a corpus that cannot be.
        news = _first_look(data, state, report)
        if state is None:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            state = {"wanted": requirements}
        elif "counts" in state:
            report(0, None, "going on where it stopped")
        state.update(news)
        with ProgressDatabase(part / STATE) as progress:
            progress.commit(state)
            _CorpusBuilder(data, part, progress, state, report).build(tokenizer, identity)


def _first_look(data: DataConfig, state: BuildState | None, report: Progress) -> BuildState:
    """What the source is, and which of its files hold text, as far as `state` does not say it."""
    if state is not None and ("found" in state or data.kind != "files"):
        return {}
    news: BuildState = {"source": sources.describe(data)}
    if data.kind == "files":
        try:
            news["found"] = check_files(data, report)
        except Fault as error:
            if state is None:
                raise
            raise ZeroscaleError(str(error)) from error  # what is prepared already is good
    return news


def _requirements(data: DataConfig, identity: Identity) -> dict[str, object]:
    """What an earlier build must have in common with this one to be resumed; JSON."""
    requirements: dict[str, object] = {
        "settings": identity,
        "streaming": getattr(data, "streaming", None),
        "batch_bytes": output.BATCH_BYTES,
        "state": STATE_FORMAT,
    }
    if deduplicate.settings_of(data)[1]:
        requirements["datasketch"] = importlib.metadata.version("datasketch")
    if (decontaminator := decontaminator_of(data)) is not None:
        requirements["leave_out"] = decontaminator.record()
    return cast(dict[str, object], json.loads(json.dumps(requirements)))


class _CorpusBuilder:
    """A build: its settings, its folder, and how far it is (`state`, which `progress` stores)."""

    def __init__(
        self, data: DataConfig, part: Path, progress: ProgressDatabase, state: BuildState, report: Progress
    ) -> None:
        commit = state["source"].get("commit")
        self._data = dataclasses.replace(data, revision=commit) if data.kind == "hub" and commit else data
        self._part, self._progress, self._state, self._report = part, progress, state, report
        self._decontaminator = decontaminator_of(data)

    def build(self, tokenizer_config: TokenizerConfig, identity: Identity) -> None:
        tokenizer = self._tokenizer(tokenizer_config)
        splits = self._tokenise(tokenizer)
        content = sources.content_hash(self._data)
        if self._data.kind != "hub" and sources.describe(self._data) != self._state["source"]:
            raise Fault("the corpus' files changed while they were read: wait until they are finished, then try again")
        counts = self._state["counts"]
        hashes = [[shard["sha256"] for shard in splits[split]["shards"]] for split in SPLITS]
        index: CorpusIndex = {
            "format": FORMAT,
            "name": self._data.name,
            "fingerprint": files.sha256_json({"shards": hashes, "tokenizer": tokenizer.fingerprint}),
            "settings": identity,
            "tokenizer": {
                "fingerprint": tokenizer.fingerprint,
                "vocab_size": tokenizer.vocab_size,
                "eos": tokenizer.eos,
            },
            "dtype": dtype(tokenizer).str,
            "read": counts["read"],
            "marks": counts["marks"],
            "replaced_surrogates": counts["replaced"],
            "left_out": counts["left_out"],
            "without_url": counts["without_url"],
            "splits": splits,
        }
        if self._data.kind != "stdlib" and self._data.split_on is not None:
            index["split_at"] = counts["split_at"]
        if (found := self._state.get("found")) is not None:
            number = len(self._state["source"]["files"])
            index["files"] = files_read(found, number, self._state["place"], self._data.max_bytes)
        if self._decontaminator is not None:
            index["leave_out"] = self._decontaminator.record()
        files.write_json(self._part / SOURCE, {**self._state["source"], "content": content})
        files.write_json(self._part / INDEX, index)

    def _tokenizer(self, config: TokenizerConfig) -> Tokenizer:
        directory = self._part / "tokenizer"
        if "tokenizer" in self._state:
            return _saved(directory, self._state["tokenizer"])
        if config.kind == "bytes":
            tokenizer = Tokenizer.bytes()
        elif config.kind == "gpt2":
            tokenizer = Tokenizer.gpt2(config.path, config.revision)
        else:
            tokenizer = Tokenizer.train_bpe(self._training_texts(), config.vocab_size)
        tokenizer.save(directory)
        self._state["tokenizer"] = tokenizer.fingerprint
        self._state.setdefault("learnt_from", 0)
        self._progress.commit(self._state)
        return tokenizer

    def _training_texts(self) -> Iterator[str]:
        """The text that BPE learns from: never the validation documents."""
        data, done, shares = self._data, 0, Shares()
        self._state["learnt_from"] = None
        for item in sources.items(data):
            if sources.left_out(item.url, data) is not None:
                continue
            for document in item.documents:
                if self._decontaminator is not None and self._decontaminator.matches([document.text])[0]:
                    continue
                if side_of(shares.add(document.text), data.val_fraction) == "train":
                    yield document.text
                done += len(document.text.encode("utf-8"))
            limit = BPE_BYTES if item.of is None else min(BPE_BYTES, item.of)
            self._report(done, max(limit, done), "training the tokenizer")
            if done >= BPE_BYTES:
                if data.kind == "files":
                    self._state["learnt_from"] = sources.file_number(item) + 1
                break
        shares.refuse_empty(data, ("train",))

    def _tokenise(self, tokenizer: Tokenizer) -> dict[str, SplitIndex]:
        """Writes the shards; returns counts and files per split."""
        data, state, last = self._data, self._state, time.monotonic()
        exact, hasher = deduplicate.settings_of(data)
        seen = deduplicate.DeduplicationIndex(self._progress.database, hasher)
        job = EncodeJob(tokenizer, data.val_fraction, exact, hasher)
        with output.Output(self._part, tokenizer, state) as grown:
            if not state.get("complete"):
                batches = output.batches(data, state.get("place"))
                if self._decontaminator is not None:
                    batches = self._decontaminator.filter(batches)
                try:
                    for batch, encoded in encode_all(job, batches, self._workers()):
                        self._remember_before(batch, grown)
                        grown.add(batch, encoded, seen)
                        if time.monotonic() - last >= COMMIT_SECONDS:
                            self._progress.commit(grown.save(state))
                            last = time.monotonic()
                        self._report(batch.done, max(batch.of, batch.done) if batch.of else None, "tokenising")
                except Fault as error:
                    # What was read before it is good: `resumable` decides whether it still is.
                    self._progress.commit(grown.save(state))
                    raise ZeroscaleError(str(error)) from error
                grown.save(state)["complete"] = True
                self._progress.commit(state)
            splits = grown.close()
        self._report(state["done"], state["done"], "tokenising")
        for split in SPLITS:
            if not splits[split]["shards"]:
                counts = state["counts"]
                read = counts["read"]
                dropped = _dropped(counts)
                raise empty_split(
                    data, split, read["documents"], read["bytes"], counts["shares"], counts["marks"], dropped
                )
        return splits

    def _remember_before(self, batch: output.Batch, grown: output.Output) -> None:
        """Keeps what was made before the first batch that ends in a file, should the file turn out to be bad."""
        if self._data.kind != "files" or batch.place is None:
            return
        before = grown.grown()
        if before["place"] is None or sources.number_of(before["place"]) < sources.number_of(batch.place):
            self._state["before"] = before

    def _workers(self) -> int:
        if self._data.workers is not None:
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


def _dropped(counts: AllCounts) -> str:
    """What became of the documents that are missing from an empty split, for its message."""
    by_ngrams = sum(count["documents"] for key, count in counts["left_out"].items() if key.startswith(OVERLAP))
    splits = (counts["train"], counts["val"])
    dropped = {
        "left out by their address": sum(count["documents"] for count in counts["left_out"].values()) - by_ngrams,
        "left out for overlap with benchmarks": by_ngrams,
        "duplicates": sum(split.get("exact_duplicates", 0) + split.get("near_duplicates", 0) for split in splits),
    }
    return "".join(f", {number} of them {reason}" for reason, number in dropped.items() if number)
