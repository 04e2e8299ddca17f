"""Which of the benchmarks' n-grams a corpus holds: by reading it, or by a Bloom filter that was made of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from zeroscale.config.commands.contamination import OverlapConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus_texts import Texts
from zeroscale.data.ngrams import bloom, scan
from zeroscale.data.ngrams.bloom import Bloom
from zeroscale.data.ngrams.index import NgramIndex
from zeroscale.data.ngrams.scan import Hasher, Say
from zeroscale.eval.contamination import inputs

JsonObject: TypeAlias = "dict[str, object]"
# Hashes looked up at a time.
_TOGETHER = 1 << 20


def search(
    config: OverlapConfig, corpus: Texts | None, directory: Path, say: Say
) -> tuple[np.ndarray, JsonObject, JsonObject]:
    """Returns which n-grams of the index in `directory` are found, bool [different n-grams]; the corpus, as the record
    has it; and how it was done."""
    if config.index:
        return _by_filter(_filter(Path(config.index), corpus, config, say), config.index, NgramIndex(directory))
    assert corpus is not None
    workers = inputs.workers(config, corpus.size)
    is_shared, counts = scan.seek(directory, corpus.pieces(), workers, say)
    if counts.ngrams == 0:
        raise _empty(corpus, config.n)
    return is_shared, {**_corpus_facts(corpus), "ngrams": counts.ngrams}, {"kind": "exact"}


def _corpus_facts(corpus: Texts) -> JsonObject:
    return {"kind": corpus.kind, "path": corpus.path, **corpus.about, "version": corpus.version}


def _empty(corpus: Texts, n: int) -> ZeroscaleError:
    return ZeroscaleError(f"corpus={corpus.path}: nowhere in it stand {n} words in a row; is it the right one?")


def _by_filter(bloom_filter: Bloom, file: str, index: NgramIndex) -> tuple[np.ndarray, JsonObject, JsonObject]:
    is_shared = np.zeros(index.distinct, dtype=bool)
    for begin in range(0, index.distinct, _TOGETHER):
        part = slice(begin, begin + _TOGETHER)
        is_shared[part] = bloom_filter.contains(np.array(index.hashes[part]))
    header = bloom_filter.header
    method = {
        "kind": "bloom",
        "file": file,
        "false_positives": header["rate"],
        "expected_false_positives": header["expected_rate"],
    }
    return is_shared, dict(header["corpus"]), method


def _filter(path: Path, corpus: Texts | None, config: OverlapConfig, say: Say) -> Bloom:
    """The filter in a file, after a check that it is of this corpus; or made, where there is none."""
    if not path.exists():
        if corpus is None:
            raise ZeroscaleError(f"index={path}: there is no such file, and no corpus to make it of: give corpus=, too")
        return _make(path, corpus, config, say)
    bloom_filter = bloom.read(path)
    header = bloom_filter.header
    if header["n"] != config.n:
        raise ZeroscaleError(f"index={path} holds {header['n']} words in a row, not {config.n}: n={header['n']}?")
    if header["rate"] > config.false_positives * (1 + 1e-9):
        raise ZeroscaleError(
            f"index={path} was made for {header['rate']:g} false positives, more than false_positives="
            f"{config.false_positives:g}: allow as many, or name another file and give the corpus"
        )
    if corpus is not None and header["corpus"]["version"] != corpus.version:
        say(0, None, "comparing the corpus with the one that the index was made of")
        if header["corpus"]["content"] != corpus.content():
            raise ZeroscaleError(
                f"index={path} was made of {header['corpus']['path']}, and {corpus.path} is another corpus, or has "
                "changed since: name another file, or delete this one and it is made anew"
            )
    return bloom_filter


def _make(path: Path, corpus: Texts, config: OverlapConfig, say: Say) -> Bloom:
    """Two readings: one to count, so that the filter has the size that its rate needs; one to fill it."""
    workers = inputs.workers(config, corpus.size)

    def read(worker: Hasher, stage: str) -> Iterator[tuple[scan.Counts, np.ndarray]]:
        return scan.run(worker, scan.batches(corpus.pieces(), config.n), workers, say, stage)

    total = sum(counts.ngrams for counts, _ in read(Hasher(config.n, count_only=True), "counting n-grams"))
    if total == 0:
        raise _empty(corpus, config.n)

    def fill(take: Callable[[np.ndarray], None]) -> None:
        for _, hashes in read(Hasher(config.n), "making the index"):
            take(hashes)

    corpus_facts = {**_corpus_facts(corpus), "content": corpus.content(), "ngrams": total}
    return bloom.write(path, total, config.false_positives, {"n": config.n, "corpus": corpus_facts}, fill)
