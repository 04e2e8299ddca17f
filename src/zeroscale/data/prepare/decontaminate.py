"""Documents that share n-grams with benchmarks, left out of a corpus at preparation and counted."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zeroscale.data.ngrams import ngrams
from zeroscale.data.ngrams.index import NgramIndex
from zeroscale.data.prepare.output import Batch

# How the counts name what was left out so; others are left out by the site that names them.
OVERLAP = "overlap with "


class Decontaminator:
    """Benchmarks' n-grams, and how many of them a document must hold to be left out."""

    def __init__(self, directory: Path, at_least: int) -> None:
        """Args:
            directory: as `zeroscale overlap ngrams=DIR` makes it.

        Raises:
            ZeroscaleError: there is none, or it is of another version.
        """
        self._index, self._at_least = NgramIndex(directory.expanduser()), at_least
        self.cards = [card["card"] for card in self._index.header["about"] or ()]

    @property
    def called(self) -> str:
        """What the counts call it."""
        return OVERLAP + ", ".join(self.cards)

    def record(self) -> dict[str, Any]:
        """What the corpus' index says of it."""
        header = self._index.header
        return {key: header[key] for key in ("n", "fingerprint")} | {"from": self._at_least, "cards": header["about"]}

    def matches(self, texts: list[str]) -> np.ndarray:
        """Which of the documents hold so many of the n-grams, each counted as often as it stands there: bool."""
        some = ngrams.words(texts)
        hashes, first = ngrams.ngrams(some, self._index.n)
        found = first[self._index.find(some, hashes, first) >= 0]
        return np.bincount(np.searchsorted(some.breaks, found), minlength=len(texts)) >= self._at_least

    def left_out(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches without such documents, and with their number."""
        for batch in batches:
            gone = self.matches(batch.texts).tolist() if batch.texts else []
            if any(gone):
                sizes = [len(text.encode("utf-8")) for text, out in zip(batch.texts, gone, strict=True) if out]
                batch.left_out[self.called] = {"texts": 0, "documents": len(sizes), "bytes": sum(sizes)}
                batch.texts = [text for text, out in zip(batch.texts, gone, strict=True) if not out]
                batch.names = [name for name, out in zip(batch.names, gone, strict=True) if not out]
            yield batch


def overlap_of(data: Any) -> Decontaminator | None:
    """What these settings leave out by n-grams; None where they leave out nothing so."""
    directory = getattr(data, "leave_out_ngrams", None)
    return None if directory is None else Decontaminator(Path(directory), data.leave_out_from)
