"""`zeroscale overlap`: what benchmarks share with a training corpus, and how models score without it."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zeroscale.config.commands.contamination import OverlapConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import disk_errors, read_object, try_lock, write_directory
from zeroscale.data.corpus_texts import Texts
from zeroscale.data.ngrams import scan
from zeroscale.data.ngrams.index import INDEX, Builder, NgramIndex
from zeroscale.data.ngrams.scan import BATCH, Say
from zeroscale.eval import results
from zeroscale.eval.cards import examples
from zeroscale.eval.contamination import clean_subsets, inputs, search, shares, tables, unit_texts
from zeroscale.eval.contamination.clean_subsets import Reading
from zeroscale.eval.contamination.shares import CardFacts, Own, Units
from zeroscale.eval.contamination.tables import OverlapReport
from zeroscale.runs import layout
from zeroscale.runs.resolve import ResultsLocation

# The folder for an index that is not to be kept, its lock, and the seconds in which it may not be locked yet.
_SCRATCH, _LOCK, _NEW = ".overlap-", "lock", 60.0


@dataclass(frozen=True)
class Looked:
    """A card whose text is in the index."""

    facts: CardFacts
    digests: list[str]
    texts: list[int]
    """How many texts each unit has."""
    reading: Reading


def overlap(config: OverlapConfig, say: Say) -> tuple[str, int]:
    """Writes overlap.json. Returns what is to be shown and the exit code: 1 where something asked for is not there.

    Raises:
        ZeroscaleError: nothing was asked about, the corpus is gone or cannot be read, or no card's data are there.
    """
    places = inputs.places(config)
    corpus = inputs.corpus(config)
    if corpus is None and not config.index and not config.ngrams:
        raise ZeroscaleError("overlap with what? corpus=DIR (or a file, a glob), study=DIR, run=DIR or index=FILE")
    faults: list[str] = []
    with _index(config, inputs.readings(config, places), faults, say) as (directory, cards):
        if not cards:
            raise ZeroscaleError("\n".join(faults) or "no card is left to be looked up")
        if corpus is None and not config.index:
            named = ", ".join(card.facts["card"] for card in cards)
            text = f"{config.ngrams}: {NgramIndex(directory).distinct:,} different {config.n}-grams of {named}"
            return _with(text, faults)
        result = _look_through(config, corpus, directory, cards, places, faults, say)
    out = _out(config, places, result)
    tables.write(out, result)
    return _with(f"{tables.as_text(result)}\n\nwritten to {out / tables.NAME}", faults)


def _with(text: str, faults: list[str]) -> tuple[str, int]:
    return "\n".join([text, *(f"left out: {fault}" for fault in faults)]), 1 if faults else 0


def _look_through(
    config: OverlapConfig,
    corpus: Texts | None,
    directory: Path,
    cards: list[Looked],
    places: list[ResultsLocation],
    faults: list[str],
    say: Say,
) -> OverlapReport:
    """The corpus past the index; then shares and scores, card by card."""
    started = time.monotonic()
    is_shared, corpus_facts, method = search.search(config, corpus, directory, say)
    corpus_facts["seconds"] = round(time.monotonic() - started, 1)
    result = OverlapReport(config.n, config.above, method, corpus_facts, faults, os.environ.get("ZEROSCALE_COMMAND"))
    index = NgramIndex(directory)
    totals, hits = index.by_text(is_shared)
    begin = 0
    for card in cards:
        own_texts = slice(begin, begin + sum(card.texts))
        begin = own_texts.stop
        ngrams, shared = (shares.by_unit(values[own_texts], card.texts) for values in (totals, hits))
        units = Units(card.digests, ngrams, shared)
        own = _own(config, card, directory, own_texts, int(ngrams.sum()), say)
        result.cards.append(shares.share_of(units, config.above, card.facts, own))
        result.units.append(units)
        for place in places:
            if (scored := results.load(place.out, card.facts["card"], config.protocol)) is None:
                continue
            try:
                result.scores.append(clean_subsets.parts(place, scored, units, config.above, card.reading))
            except ZeroscaleError as error:
                faults.append(str(error))
    return result


def _own(config: OverlapConfig, card: Looked, directory: Path, own_texts: slice, ngrams: int, say: Say) -> Own | None:
    """What a benchmark shares with its own training split, where that is at hand."""
    name = card.facts["card"]
    training = inputs.own_training(config, name, card.reading)
    if training is None:
        return None
    paths, pieces = training
    stage = f"{name}'s own training split"
    is_shared, _ = scan.seek(directory, pieces, 1, lambda done, of, _: say(done, of, stage))
    _, hits = NgramIndex(directory).by_text(is_shared)
    shared = int(hits[own_texts].sum())
    return Own([path.name for path in paths], shared, shared / max(ngrams, 1))


@contextmanager
def _index(
    config: OverlapConfig, readings: list[Reading], faults: list[str], say: Say
) -> Iterator[tuple[Path, list[Looked]]]:
    """The index of the cards' n-grams, kept where `ngrams` says; and the cards whose data could be read."""
    cards: list[Looked] = []

    def fill(directory: Path) -> None:
        builder = Builder(directory, config.n)
        for reading in readings:
            say(0, None, f"reading {reading.name}")
            try:
                cards.append(_look(reading, config.protocol, builder))
            except ZeroscaleError as error:
                faults.append(str(error))
        builder.finish([card.facts for card in cards])

    if config.ngrams:
        _refuse_other(Path(config.ngrams))
        write_directory(Path(config.ngrams), fill)
        yield Path(config.ngrams), cards
        return
    outputs = Path(config.output_dir)
    with disk_errors(outputs):
        outputs.mkdir(parents=True, exist_ok=True)
        _sweep(outputs)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=outputs) as folder:
            held = try_lock(Path(folder) / _LOCK)
            try:
                fill(Path(folder))
                yield Path(folder), cards
            finally:
                if held is not None:
                    held.close()


def _refuse_other(directory: Path) -> None:
    """What stands there is to be written over: only an earlier index, or nothing."""
    if directory.is_dir() and any(directory.iterdir()):
        if (directory / INDEX).is_file() and "distinct" in read_object(directory / INDEX):
            return
    elif not directory.exists() or directory.is_dir():
        return
    raise ZeroscaleError(f"ngrams={directory} is there and is no index of n-grams: name a new directory")


def _sweep(outputs: Path) -> None:
    """Takes away what a killed process has left: folders that are not new and that nobody holds."""
    for folder in outputs.glob(f"{_SCRATCH}*"):
        if time.time() - folder.stat().st_mtime > _NEW and (held := try_lock(folder / _LOCK)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            held.close()


def _look(reading: Reading, protocol: str, builder: Builder) -> Looked:
    """Puts the text of one card's examples into the index: all of them, once they have been read."""
    card, task, loaded = unit_texts.load(
        reading.name, protocol, reading.source, reading.data_dir, reading.allow_other_data
    )
    units = list(unit_texts.units(task, examples.choose(card, task, loaded.examples, None)))
    held: list[str] = []
    for texts in units:
        held += texts
        if len(held) >= 64 or sum(map(len, held)) >= BATCH:
            builder.add(held)
            held = []
    builder.add(held)
    facts: CardFacts = {
        "card": card.name,
        "protocol": protocol,
        "title": card.title,
        "unit": card.unit,
        "source": reading.source,
        "origin": loaded.origin,
        "data": loaded.check.words,
        "is_benchmark": loaded.check.benchmark,
        "data_hash": loaded.hash,
    }
    return Looked(facts, [shares.digest(texts) for texts in units], [len(texts) for texts in units], reading)


def _out(config: OverlapConfig, places: list[ResultsLocation], result: OverlapReport) -> Path:
    """Where the result is written: as asked, else beside what was asked about."""
    if config.out:
        return Path(config.out)
    if config.study:
        return Path(config.study) / layout.OVERLAP
    if places:
        run = inputs.run_of(config)
        return (run.directory if run else places[0].out.parent) / layout.OVERLAP
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(result.corpus["path"]).name).strip("-.") or "corpus"
    return Path(config.output_dir) / layout.OVERLAP / f"{name}-{result.corpus['version'][:8]}"
