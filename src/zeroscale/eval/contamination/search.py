"""Which of the benchmarks' n-grams a corpus holds: by reading it, or by a Bloom filter that was made of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zeroscale.config.commands.contamination import OverlapConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus_texts import Texts
from zeroscale.data.ngrams import bloom, scan
from zeroscale.data.ngrams.bloom import Bloom
from zeroscale.data.ngrams.index import NgramIndex
from zeroscale.data.ngrams.scan import Hasher, Say
from zeroscale.eval.contamination import inputs

# Hashes asked for at a time.
_TOGETHER = 1 << 20


def search(
    wanted: OverlapConfig, corpus: Texts | None, directory: Path, say: Say
) -> tuple[np.ndarray, dict[str, Any], dict[str, Any]]:
    """Returns which n-grams of the index in `directory` are found, bool [different n-grams]; the corpus, as the record
    has it; and how it was done."""
    if wanted.index:
        return _by_filter(_filter(Path(wanted.index), corpus, wanted, say), wanted.index, NgramIndex(directory))
    assert corpus is not None
    workers = inputs.workers(wanted, corpus.about["bytes"])
    found, counts = scan.seek(directory, corpus.pieces(), workers, say)
    if counts.ngrams == 0:
        raise _empty(corpus, wanted.n)
    return found, {**_about(corpus), "ngrams": counts.ngrams}, {"kind": "exact"}


def _about(corpus: Texts) -> dict[str, Any]:
    return {"kind": corpus.kind, "path": corpus.path, **corpus.about, "version": corpus.version}


def _empty(corpus: Texts, n: int) -> ZeroscaleError:
    return ZeroscaleError(f"corpus={corpus.path}: nowhere in it stand {n} words in a row; is it the right one?")


def _by_filter(some: Bloom, file: str, index: NgramIndex) -> tuple[np.ndarray, dict[str, Any], dict[str, Any]]:
    found = np.zeros(index.distinct, dtype=bool)
    for begin in range(0, index.distinct, _TOGETHER):
        part = slice(begin, begin + _TOGETHER)
        found[part] = some.contains(np.array(index.hashes[part]))
    header = some.header
    method = {
        "kind": "bloom",
        "file": file,
        "false_positives": header["rate"],
        "expected_false_positives": header["expected_rate"],
    }
    return found, dict(header["corpus"]), method


def _filter(path: Path, corpus: Texts | None, wanted: OverlapConfig, say: Say) -> Bloom:
    """The filter in a file, after a check that it is of this corpus; or made, where there is none."""
    if not path.exists():
        if corpus is None:
            raise ZeroscaleError(f"index={path}: there is no such file, and no corpus to make it of: give corpus=, too")
        return _make(path, corpus, wanted, say)
    found = bloom.read(path)
    header = found.header
    if header["n"] != wanted.n:
        raise ZeroscaleError(f"index={path} holds {header['n']} words in a row, not {wanted.n}: n={header['n']}?")
    if header["rate"] > wanted.false_positives * (1 + 1e-9):
        raise ZeroscaleError(
            f"index={path} was made for {header['rate']:g} false positives, more than false_positives="
            f"{wanted.false_positives:g}: allow as many, or name another file and give the corpus"
        )
    if corpus is not None and header["corpus"]["version"] != corpus.version:
        say(0, None, "comparing the corpus with the one that the index was made of")
        if header["corpus"]["content"] != corpus.content():
            raise ZeroscaleError(
                f"index={path} was made of {header['corpus']['path']}, and {corpus.path} is another corpus, or has "
                "changed since: name another file, or delete this one and it is made anew"
            )
    return found


def _make(path: Path, corpus: Texts, wanted: OverlapConfig, say: Say) -> Bloom:
    """Two readings: one to count, so that the filter has the size that its rate needs; one to fill it."""
    workers = inputs.workers(wanted, corpus.about["bytes"])

    def read(worker: Hasher, stage: str) -> Any:
        return scan.run(worker, scan.batches(corpus.pieces(), wanted.n), workers, say, stage)

    total = sum(counts.ngrams for counts, _ in read(Hasher(wanted.n, count_only=True), "counting n-grams"))
    if total == 0:
        raise _empty(corpus, wanted.n)

    def fill(take: Callable[[np.ndarray], None]) -> None:
        for _, hashes in read(Hasher(wanted.n), "making the index"):
            take(hashes)

    about = {**_about(corpus), "content": corpus.content(), "ngrams": total}
    return bloom.write(path, total, wanted.false_positives, {"n": wanted.n, "corpus": about}, fill)
