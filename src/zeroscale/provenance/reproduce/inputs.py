"""Find the inputs of a recorded run on this machine: configuration, corpus, cards, threads; and what is missing."""

import dataclasses
import glob
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.config.train import TrainConfig
from zeroscale.config.trainer import InitFromConfig, TrackerConfig
from zeroscale.config.validate import combination_faults
from zeroscale.core import machine
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_object
from zeroscale.data.corpus import INDEX
from zeroscale.eval import tasks
from zeroscale.eval.cards import examples, sources
from zeroscale.eval.cards import registry as cards_of
from zeroscale.eval.cards.card import Card
from zeroscale.eval.cards.rows import Source
from zeroscale.eval.corpus_cards import is_drawn_from_corpus
from zeroscale.launch import launcher
from zeroscale.provenance.recorded_run import Recorded
from zeroscale.provenance.reproduce.request import Inputs
from zeroscale.runs import layout, manifest
from zeroscale.runs.manifest import Manifest
from zeroscale.runs.results import ResultFile
from zeroscale.runs.run import Run

if TYPE_CHECKING:
    from zeroscale.data.corpus import Corpus
    from zeroscale.provenance.reproduce.request import ReproduceRequest

Say = Callable[[str], None]


def find_inputs(run: Recorded, request: "ReproduceRequest", until: int, say: Say) -> Inputs:
    """Find the inputs up to a step; what is missing or differs is listed in `Inputs.missing`."""
    config = relocate(run, request)
    on_cpu = bool(run.manifest) and not (run.manifest.get("hardware") or {}).get("gpu")
    kind = "cpu" if on_cpu else machine.resolve_accelerator(config.trainer.accelerator)
    # A run that `accelerator: auto` put on a CPU is made again on a CPU, whatever is here.
    hidden = () if on_cpu and config.trainer.accelerator == "auto" and machine.gpus() else None
    threads = config.trainer.threads or run.manifest.get("threads")
    placement = launcher.Placement(gpus=hidden, threads=threads)
    environment = launcher.rank_environment(config, placement, kind, config.trainer.devices)
    threads = int(environment["OMP_NUM_THREADS"])
    corpus, reason = None, _missing_devices(config)
    if not reason:
        corpus, reason = _corpus(run, config, request, say)
    missing = [reason] if reason else []
    # Without a corpus it is the kept checkpoints' scores that are made again, whatever their step.
    results = [result for result in run.results if result.step <= until or corpus is None]
    config, card_faults = _available_cards(run, results, config)
    missing += card_faults
    facts = _facts(config, corpus, kind, environment) if corpus is not None else Manifest()
    return Inputs(config, corpus, placement, threads, facts, config.data_dir, missing)


def relocate(run: Recorded, request: "ReproduceRequest") -> TrainConfig:
    """The run's settings with the places of this machine, and without a tracker."""
    config, base = run.config.here, _base(run)
    data: Any = config.data
    if request.data_path is not None and data.kind != "files":
        raise ZeroscaleError(f"data_path is for a corpus of files; this run's is {data.kind}")
    if data.kind == "files":
        data = dataclasses.replace(data, path=request.data_path or find_path(data.path, base))
    if getattr(data, "leave_out_ngrams", None):
        data = dataclasses.replace(data, leave_out_ngrams=find_path(data.leave_out_ngrams, base))
    tokenizer: Any = config.tokenizer
    if tokenizer.kind == "gpt2":
        tokenizer = dataclasses.replace(tokenizer, path=find_path(tokenizer.path, base))
    parent = config.init_from.run
    init_from = config.init_from
    if parent not in (None, "trunk"):
        init_from = InitFromConfig(
            run=find_path(parent, base), tokens=init_from.tokens, trunk_tokens=init_from.trunk_tokens
        )
    return dataclasses.replace(
        config,
        data=data,
        tokenizer=tokenizer,
        init_from=init_from,
        data_dir=request.data_dir or (find_path(config.data_dir, base) if config.data_dir else None),
        output_dir=str(request.out),
        tracker=TrackerConfig(name="none"),
    )


def _base(run: Recorded) -> Path:
    """The folder in which the run was started, if its directory still lies where it was made."""
    depth = len(Path(run.config.output_dir).parts)
    parents = run.directory.resolve().parents
    return parents[min(depth + 1, len(parents) - 1)]


def find_path(path: str, base: Path) -> str:
    """A recorded path (or glob), as it stands or as it stood from where the run was started."""
    moved = str(base / path)
    return moved if not glob.glob(path) and glob.glob(moved) else path


def _corpus(run: Recorded, config: TrainConfig, request: "ReproduceRequest", say: Say) -> "tuple[Corpus | None, str]":
    """The corpus: the recorded one where it is at hand, else made again; or None and why it cannot be had."""
    from zeroscale.data.prepare import existing, prepare
    from zeroscale.launch.worker import progress_callback
    from zeroscale.training import build

    directory = prepare.corpus_directory(layout.corpora(request.out), config.data, config.tokenizer)
    expected = (run.manifest.get("corpus") or {}).get("fingerprint")
    if not request.prepare_corpus and not directory.exists():
        beside = existing.find_recorded(
            layout.corpora(Run(run.directory).outputs), config.data, config.tokenizer, expected
        )
        _link_corpus(beside, directory, expected, say)
    progress = progress_callback(lambda text: say(f"  {text}"))
    try:
        return build.corpus(config.data, config.tokenizer, str(request.out), progress), ""
    except ZeroscaleError as error:
        hint = "" if request.data_path or config.data.kind != "files" else " (data_path=DIR says where its files are)"
        return None, f"its corpus cannot be had: {error}{hint}"


def _missing_devices(config: TrainConfig) -> str:
    """What the run needs and this machine lacks, or nothing."""
    faults = combination_faults(config, machine.device_counts())
    return f"this machine is not enough: {'; '.join(faults)}" if faults else ""


def _link_corpus(source: Path, link: Path, expected: str | None, say: Say) -> None:
    """Links the corpus beside the run, if it is the recorded one: its shards are compared with their sha256 on use."""
    try:
        fingerprint = read_object(source / INDEX).get("fingerprint")
    except ZeroscaleError:
        return
    if expected is not None and fingerprint == expected:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source)
        say(f"  corpus     that of the run, in {source} (prepare_corpus=true makes it again)")


def _facts(config: TrainConfig, corpus: "Corpus", kind: str, environ: Mapping[str, str]) -> Manifest:
    """The manifest that a run with these settings would get here, its ranks having these environment variables."""
    import torch

    from zeroscale.data.batch_layout import layout_for

    gpu = torch.cuda.get_device_name() if kind == "cuda" and torch.cuda.is_available() else None
    micro_batch_tokens = layout_for(config, kind).micro_rows * config.context
    facts, _ = manifest.make(
        config,
        gpu=gpu,
        threads=int(environ["OMP_NUM_THREADS"]),
        micro_batch_tokens=micro_batch_tokens,
        corpus=corpus,
        environ=environ,
    )
    return facts


def _available_cards(
    run: Recorded, results: Sequence[ResultFile], config: TrainConfig
) -> tuple[TrainConfig, list[str]]:
    """The configuration with the cards that can be scored here, and a message for each other one, and for each card
    or data that differ from what gave `results`."""
    cards: dict[str, Card] = {}
    missing: list[str] = []
    if not results:
        return dataclasses.replace(config, cards=()), missing
    for name in config.cards:
        try:
            cards |= {card.name: card for card in cards_of.resolve([name])}
        except ZeroscaleError as error:
            missing.append(str(error))
    data_dir = Path(config.data_dir) if config.data_dir else None
    names = []
    for name, card in cards.items():
        reason = sources.available(card, config.cards_from, data_dir)
        if reason is None or is_drawn_from_corpus(card):
            names.append(name if name in config.cards or name in _shipped() else str(card.path))
        else:
            missing.append(reason if config.data_dir else f"{reason} (data_dir=DIR says where they are)")
    scored = {(result.card, result.protocol, result.source): result for result in results}
    for result in scored.values():
        if result.source != "corpus":
            missing += _changed(result, cards, data_dir, run)
    return dataclasses.replace(config, cards=tuple(names)), missing


def _shipped() -> set[str]:
    return {*cards_of.names(), *(name for members in cards_of.suites().values() for name in members)}


def _changed(result: ResultFile, cards: Mapping[str, Card], data_dir: Path | None, run: Recorded) -> list[str]:
    """How a card, or the files of its benchmark, differ from those that a result was scored with."""
    from zeroscale.data.tokenizer import Tokenizer

    name, protocol, content = result.card, result.protocol, result.content
    source: Source = content["source"]
    try:
        card = cards.get(name) or cards_of.resolve([name])[0]
        card = card.following(protocol)
        if card.hash(protocol) != content["card_hash"]:
            return [f"card {name}: its protocol {protocol} is not the one that was scored (another hash): can matter"]
        if is_drawn_from_corpus(card) or sources.available(card, source, data_dir) is not None or source == "hub":
            # Reported already, or found when it is read.
            return []
        tokenizer = Tokenizer.load(run.directory / layout.TOKENIZER)
        task = tasks.build_task(card, protocol, tokenizer, run.config.model.n_positions, content["seed"])
        data = examples.load(card, task, source, data_dir, allow_other_data=True)
        if data.hash != content["data_hash"]:
            origin = ", ".join(data.origin)
            return [f"card {name}: {origin} is another version than the one scored ({data.check.words}): can matter"]
    except ZeroscaleError as error:
        return [str(error)]
    return []
