"""The inputs of `zeroscale overlap`: the corpus, the cards and their data, and the results that are scored again."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from zeroscale.config.commands.contamination import OverlapConfig
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data.corpus_texts import Texts, open_files, open_texts
from zeroscale.data.ngrams.scan import ALONE_BYTES, Piece
from zeroscale.eval import results
from zeroscale.eval.cards import registry as cards_of
from zeroscale.eval.contamination import unit_texts
from zeroscale.eval.contamination.clean_subsets import Reading
from zeroscale.eval.corpus_cards import is_drawn_from_corpus
from zeroscale.runs import resolve
from zeroscale.runs.corpus import corpus_of
from zeroscale.runs.resolve import ResultsLocation
from zeroscale.runs.run import Run
from zeroscale.runs.study import Study


def places(config: OverlapConfig) -> list[ResultsLocation]:
    """The results of the run, or of each run of the study, at their last checkpoint."""
    if config.study and config.run:
        raise ZeroscaleError("give study=DIR or run=DIR, not both")
    outputs = Path(config.output_dir)
    if config.run:
        return resolve.find_results(config.run, outputs)
    return [place for run in _runs(config.study) for place in resolve.find_results(str(run.directory), outputs)]


def _runs(study: str | None) -> list[Run]:
    return [] if study is None else Study(study).require_runs()


def run_of(config: OverlapConfig) -> Run | None:
    """The run of ours that is asked about; of a study its first; None where it is another's checkpoint, or none."""
    if config.study:
        return _runs(config.study)[0]
    return resolve.run_behind(config.run) if config.run else None


def corpus(config: OverlapConfig) -> Texts | None:
    """What is to be looked through; None where a Bloom filter stands for it, or nothing is.

    Raises:
        ZeroscaleError: it is gone, or is not what the run was trained on.
    """
    if config.corpus:
        return open_texts(config.corpus, config.text_field, config.split)
    run = run_of(config)
    if run is None or (config.index and Path(config.index).exists()):
        return None
    corpora = {corpus_of(each) for each in (_runs(config.study) if config.study else [run])}
    if len(corpora) > 1:
        names = ", ".join(sorted(path.name for path in corpora))
        raise ZeroscaleError(f"{config.study}: its runs were trained on several corpora, {names}: name one, corpus=DIR")
    return open_texts(str(corpora.pop()), split=config.split)


def workers(config: OverlapConfig, size: int) -> int:
    """Processes for so many bytes."""
    if config.workers is not None:
        return config.workers
    return 1 if size < ALONE_BYTES else len(os.sched_getaffinity(0))


def readings(config: OverlapConfig, locations: Iterable[ResultsLocation]) -> list[Reading]:
    """Which cards are looked up, and where their data are: as asked, else as the run was scored."""
    run = run_of(config)
    source, data_dir = config.cards_from, Path(config.data_dir) if config.data_dir else None
    if source is None and data_dir is None and run is not None:
        source, data_dir = run.config.cards_from, Path(run.config.data_dir) if run.config.data_dir else None
    names = list(config.cards) if config.cards is not None else None
    if names is None:
        scored_on = dict.fromkeys(name for place in locations for name in results.names(place.out))
        names = [card for card, protocol in scored_on if protocol == config.protocol]
        names = _readable_cards(names, run.config.cards if run else ()) or ["core"]
    paths = {cards_of.load(Path(name)).name: name for name in names if name.endswith((".yaml", ".yml"))}
    # The end of a run scores a part of a benchmark too, and marks it; so do the scores of the clean subset.
    lenient = config.allow_other_data or (config.cards is None and run is not None)
    return [
        Reading(paths.get(card.name, card.name), source or "files", data_dir, lenient)
        for card in cards_of.resolve(names)
        if not is_drawn_from_corpus(card)  # such a card overlaps with the corpus by construction
    ]


def _readable_cards(names: list[str], given: Iterable[str]) -> list[str]:
    """Cards by name; those of the user's own by the files that the run was given. Others are left out."""
    files = {Path(name).stem: name for name in given if name.endswith((".yaml", ".yml")) and Path(name).is_file()}
    readable = []
    for name in names:
        try:
            cards_of.resolve([files.get(name, name)])
        except ZeroscaleError:
            continue
        readable.append(files.get(name, name))
    return readable


def own_training(config: OverlapConfig, card: str, reading: Reading) -> tuple[list[Path], Iterator[Piece]] | None:
    """The text of a benchmark's own training split, where its files are at hand; and which files these are."""
    entry = (config.own_training or {}).get(card)
    if entry is None or reading.data_dir is None or reading.source != "files":
        return None
    for pattern in entry.files:
        for wanted_name in (pattern, pattern.partition("/")[2]):
            paths = sorted(path for path in reading.data_dir.glob(wanted_name) if path.is_file()) if wanted_name else []
            if paths:
                return paths, _own_pieces(paths, entry.first_bytes, reading.name, config.protocol)
    return None


def _own_pieces(paths: list[Path], first_bytes: int | None, name: str, protocol: str) -> Iterator[Piece]:
    if first_bytes is not None:
        for path in paths:
            yield from open_files(str(path), first_bytes=first_bytes).pieces()
        return
    (card,) = cards_of.resolve([name])
    for text in unit_texts.of_files(card, protocol, paths):
        yield Piece(text, False)
