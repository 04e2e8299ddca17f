"""`zeroscale data`: a corpus prepared for training, or benchmark data fetched."""

import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic.dataclasses import dataclass

from zeroscale.config.data import DataConfig
from zeroscale.config.model import TokenizerConfig
from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, CardNames, PathOrEmpty
from zeroscale.config.validate import build_config
from zeroscale.core.format import duration
from zeroscale.runs import layout

if TYPE_CHECKING:
    from zeroscale.data.corpus import CorpusIndex, Counts, SplitCounts


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataCommandConfig:
    """A corpus to prepare, or benchmark data to fetch."""

    data: DataConfig
    tokenizer: TokenizerConfig
    output_dir: PathOrEmpty
    """The shards lie in its folder corpora/."""
    cards: CardNames | None
    """Benchmarks to fetch instead of preparing a corpus."""
    data_dir: PathOrEmpty | None
    """Benchmark files that are here already."""


def run(raw: RawConfig) -> int:
    """Prepares a corpus and prints its counts; with `cards`, fetches those benchmarks' data instead."""
    config = build_config(DataCommandConfig, raw)
    if config.cards is not None:
        return _fetch(config)
    from zeroscale.data.corpus_notes import notes
    from zeroscale.data.prepare import existing, prepare

    directory = existing.find(layout.corpora(Path(config.output_dir)), config.data, config.tokenizer)
    with Progress() as progress:
        corpus = prepare.prepare(config.data, config.tokenizer, directory, progress)
    print(f"{directory}: {corpus.n_train_tokens:,} training tokens, {corpus.n_val_tokens:,} held out")
    for line in describe_counts(corpus.index):
        print(line)
    for note in notes(corpus.index):
        print(f"note      {note}")
    print(f"fingerprint {corpus.fingerprint}")
    return 0


def _fetch(config: DataCommandConfig) -> int:
    """Returns 1 where a card's data could not be fetched; the reason is printed and the others are fetched."""
    from zeroscale.eval.cards import download

    fetched = download.fetch(list(config.cards or ()), Path(config.data_dir) if config.data_dir else None)
    for card in fetched:
        print(f"{card.card}: {card.words}" if card.ready else f"{card.card}: NOT HERE: {card.words}")
    missing = [card.card for card in fetched if not card.ready]
    if missing:
        print(f"{len(missing)} of {len(fetched)} are missing: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


def describe_counts(index: "CorpusIndex") -> list[str]:
    """The counts of a corpus as lines: what was read, what was left out, what was kept."""
    lines: list[str] = []
    kinds: tuple[Literal["exact"], Literal["near"]] = ("exact", "near")
    if read := index.get("read"):
        texts = f"{read['texts']:,} texts"
        if files := index.get("files"):
            texts += f" in {files['read']:,} of {files['given']:,} files"
        lines.append(f"read      {_amount(read)}, from {texts}")
    for site, count in sorted(index.get("left_out", {}).items()):
        lines.append(f"left out  {_amount(count)} of {site}")
    if index.get("without_url"):
        lines.append(f"kept      {index['without_url']:,} texts without an address, which could not be left out by it")
    for kind in kinds:
        train, val = (_duplicates(index["splits"][split], kind) for split in ("train", "val"))
        if train or val:
            lines.append(f"dropped   {train + val:,} {kind} duplicates ({val:,} of the held-out part)")
    for split, name in (("train", "training"), ("val", "held out")):
        counts = index["splits"][split]
        lines.append(f"{name:<9} {_amount(counts)}, {counts['tokens']:,} tokens")
    return lines


def _duplicates(counts: "SplitCounts", kind: Literal["exact", "near"]) -> int:
    return counts.get("exact_duplicates", 0) if kind == "exact" else counts.get("near_duplicates", 0)


def _amount(count: "Counts | SplitCounts") -> str:
    return f"{count['documents']:,} documents, {count['bytes']:,} bytes"


class Progress:
    """Says how far the preparation is, how fast it goes and when it will be done: on a terminal on one line that is
    written over, else now and then on a line of its own."""

    _SECONDS = 5.0
    # Rates are taken over the last so many reports, so that a slow start is forgotten.
    _REPORTS = 200

    def __init__(self) -> None:
        self._stage = ""
        self._printed_at = 0.0
        self._width = 0
        self._marks: deque[tuple[float, int]] = deque(maxlen=self._REPORTS)
        self._terminal = sys.stdout.isatty()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._width:
            print()

    def __call__(self, done: int, total: int | None, stage: str) -> None:
        now = time.monotonic()
        if stage != self._stage:
            if self._width:
                print()
            self._stage, self._width, self._printed_at = stage, 0, 0.0
            self._marks.clear()
        self._marks.append((now, done))
        over = total is not None and done >= total
        if now - self._printed_at < (0.2 if self._terminal else self._SECONDS) and not (over and self._terminal):
            return
        self._printed_at = now
        text = f"corpus: {stage}{self._numbers(done, total)}"
        if self._terminal:
            print("\r" + text.ljust(self._width), end="", flush=True)
            self._width = len(text)
        else:
            print(text, flush=True)

    def _numbers(self, done: int, total: int | None) -> str:
        if not done:
            return ""
        text = f" {done / 1e6:,.0f} MB" if total is None else f" {done / 1e6:,.0f} of {total / 1e6:,.0f} MB"
        (began, first), (now, _) = self._marks[0], self._marks[-1]
        if now - began >= 1 and done > first:
            rate = (done - first) / (now - began)
            text += f", {rate / 1e6:.1f} MB/s"
            if total is not None and total > done:
                text += f", {duration((total - done) / rate, 'short')} left"
        return text
