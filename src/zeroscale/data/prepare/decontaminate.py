"""Leaves documents that share n-grams with benchmarks out of a corpus, and counts them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from zeroscale.config.data import DataConfig
from zeroscale.core.paths import expand_home
from zeroscale.data.corpus import DecontaminationRecord
from zeroscale.data.ngrams import ngrams
from zeroscale.data.ngrams.index import NgramIndex
from zeroscale.data.prepare.output import Batch

# The beginning of the key in the counts; documents left out by their site have the site as the key.
OVERLAP = "overlap with "


class Decontaminator:
    """Benchmarks' n-grams, and how many of them a document must hold to be left out."""

    def __init__(self, directory: Path, at_least: int) -> None:
        """Args:
            directory: as `zeroscale overlap ngrams=DIR` makes it.

        Raises:
            ZeroscaleError: there is none, or it is of another version.
        """
        self._index, self._at_least = NgramIndex(directory), at_least
        self.cards = [card["card"] for card in self._index.header["about"] or ()]

    @property
    def key(self) -> str:
        """The key of what is left out in the counts."""
        return OVERLAP + ", ".join(self.cards)

    def record(self) -> DecontaminationRecord:
        """What the corpus' index holds of it."""
        header = self._index.header
        return {
            "n": header["n"],
            "fingerprint": header["fingerprint"],
            "from": self._at_least,
            "cards": header["about"],
        }

    def matches(self, texts: list[str]) -> np.ndarray:
        """Which of the documents hold so many of the n-grams, repeated ones counted each time: bool [documents]."""
        words = ngrams.words(texts)
        hashes, first = ngrams.ngrams(words, self._index.n)
        matching = first[self._index.find(words, hashes, first) >= 0]
        return np.bincount(np.searchsorted(words.breaks, matching), minlength=len(texts)) >= self._at_least

    def filter(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches without such documents, which are counted in `Batch.left_out`."""
        for batch in batches:
            dropped = self.matches(batch.texts).tolist() if batch.texts else []
            if any(dropped):
                sizes = [len(text.encode("utf-8")) for text, drop in zip(batch.texts, dropped, strict=True) if drop]
                batch.left_out[self.key] = {"texts": 0, "documents": len(sizes), "bytes": sum(sizes)}
                batch.texts = [text for text, drop in zip(batch.texts, dropped, strict=True) if not drop]
                batch.names = [name for name, drop in zip(batch.names, dropped, strict=True) if not drop]
            yield batch


def decontaminator_of(data: DataConfig) -> Decontaminator | None:
    """The decontaminator that these settings ask for."""
    if data.kind == "stdlib" or data.leave_out_ngrams is None:
        return None
    return Decontaminator(Path(expand_home(data.leave_out_ngrams)), data.leave_out_from)
