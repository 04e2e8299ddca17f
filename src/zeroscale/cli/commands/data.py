"""`data`: a corpus made ready for training, or benchmark data fetched; `batch`: what a step of a run was trained on."""

import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from zeroscale.cli.commands import Config
from zeroscale.config.commands import DataCommandConfig
from zeroscale.config.validate import build_config
from zeroscale.core.format import duration


def data(config: Config) -> int:
    """Prepares a corpus and says what is in it; with `cards`, fetches those benchmarks' data instead."""
    wanted = build_config(DataCommandConfig, config)
    if wanted.cards is not None:
        return _fetch(wanted)
    from zeroscale.data.prepare import prepare

    directory = prepare.corpus_directory(Path(wanted.output_dir) / "corpora", wanted.data, wanted.tokenizer)
    with Progress() as progress:
        corpus = prepare.prepare(wanted.data, wanted.tokenizer, directory, progress)
    print(f"{directory}: {corpus.n_train_tokens:,} training tokens, {corpus.n_val_tokens:,} held out")
    for line in told(corpus.index):
        print(line)
    print(f"fingerprint {corpus.fingerprint}")
    return 0


def _fetch(wanted: DataCommandConfig) -> int:
    """1 where a card's data could not be had; each says why, and the others are there."""
    from zeroscale.eval.cards import download

    found = download.fetch(list(wanted.cards or ()), Path(wanted.data_dir) if wanted.data_dir else None)
    for one in found:
        print(f"{one.card}: {one.words}" if one.ready else f"{one.card}: NOT HERE: {one.words}")
    missing = [one.card for one in found if not one.ready]
    if missing:
        print(f"{len(missing)} of {len(found)} are missing: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


def told(index: dict[str, Any]) -> list[str]:
    """The counts of a corpus, in words: what was read, what was left out, what became of the rest."""
    lines = []
    if read := index.get("read"):
        lines.append(f"read      {_amount(read)}, from {read['texts']:,} texts")
    for site, count in sorted(index.get("left_out", {}).items()):
        lines.append(f"left out  {_amount(count)} of {site}")
    if index.get("without_url"):
        lines.append(f"kept      {index['without_url']:,} texts without an address, which could not be left out by it")
    for kind in ("exact", "near"):
        numbers = [index["splits"][split].get(f"{kind}_duplicates", 0) for split in ("train", "val")]
        if any(numbers):
            lines.append(f"dropped   {sum(numbers):,} {kind} duplicates ({numbers[1]:,} of the held-out part)")
    for split, name in (("train", "training"), ("val", "held out")):
        count = index["splits"][split]
        lines.append(f"{name:<9} {_amount(count)}, {count['tokens']:,} tokens")
    return lines


def _amount(count: dict[str, int]) -> str:
    return f"{count['documents']:,} documents, {count['bytes']:,} bytes"


class Progress:
    """Says how far the preparation is, how fast it goes and when it will be done: on a terminal on one line that is
    written over, else now and then on a line of its own."""

    _SECONDS = 5.0
    # Rates are taken over the last so many reports, so that a slow start is forgotten.
    _REPORTS = 200

    def __init__(self) -> None:
        self._stage = ""
        self._told = 0.0
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
            self._stage, self._width, self._told = stage, 0, 0.0
            self._marks.clear()
        self._marks.append((now, done))
        over = total is not None and done >= total
        if now - self._told < (0.2 if self._terminal else self._SECONDS) and not (over and self._terminal):
            return
        self._told = now
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
