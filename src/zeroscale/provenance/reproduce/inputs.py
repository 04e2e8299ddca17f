"""What a recorded run is made from, found again here: settings, corpus, cards, threads; and what is lacking."""

import dataclasses
import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroscale.config.train import TrainConfig
from zeroscale.config.trainer import InitFromConfig, TrackerConfig
from zeroscale.config.validate import combination_faults
from zeroscale.core import machine
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import read_json
from zeroscale.data.corpus import INDEX
from zeroscale.eval import tasks
from zeroscale.eval.cards import examples, sources
from zeroscale.eval.cards import registry as cards_of
from zeroscale.eval.corpus_cards import is_drawn_from_corpus
from zeroscale.launch import launcher
from zeroscale.provenance.recorded_run import Recorded
from zeroscale.provenance.reproduce.request import Inputs
from zeroscale.runs import layout, manifest
from zeroscale.runs.results import Json, ResultFile
from zeroscale.runs.run import Run

if TYPE_CHECKING:
    from zeroscale.data.corpus import Corpus
    from zeroscale.provenance.reproduce.request import ReproduceRequest

Say = Callable[[str], None]


def gather(run: Recorded, wanted: "ReproduceRequest", until: int, say: Say) -> Inputs:
    """Finds all that it takes up to a step; what is missing or is another stands in `Inputs.lacking`, in words."""
    settings = relocated(run, wanted)
    on_cpu = bool(run.manifest) and not (run.manifest.get("hardware") or {}).get("gpu")
    kind = "cpu" if on_cpu else machine.resolve_accelerator(settings.trainer.accelerator)
    # A run that `accelerator: auto` put on a CPU is made again on a CPU, whatever is here.
    hidden = () if on_cpu and settings.trainer.accelerator == "auto" and machine.gpus() else None
    threads = settings.trainer.threads or run.manifest.get("threads")
    place = launcher.Placement(gpus=hidden, threads=threads)
    environment = machine.child_environment(kind, threads, settings.trainer.devices)
    threads = int(environment["OMP_NUM_THREADS"])
    tokens, reason = None, _without_devices(settings)
    if not reason:
        tokens, reason = _corpus(run, settings, wanted, say)
    lacking = [reason] if reason else []
    # Without a corpus it is the kept checkpoints' scores that are made again, whatever their step.
    results = [one for one in run.results if one.step <= until or tokens is None]
    settings, without = _with_cards(run, results, settings)
    lacking += without
    facts = _facts(settings, tokens, kind, threads) if tokens is not None else {}
    return Inputs(settings, tokens, place, threads, facts, settings.data_dir, lacking)


def relocated(run: Recorded, wanted: "ReproduceRequest") -> TrainConfig:
    """The run's settings with the places of this machine, and without a tracker."""
    there, base = run.settings, _base(run)
    data: Any = there.data
    if wanted.data_path is not None and data.kind != "files":
        raise ZeroscaleError(f"data_path is for a corpus of files; this run's is {data.kind}")
    if data.kind == "files":
        data = dataclasses.replace(data, path=wanted.data_path or found(data.path, base))
    if getattr(data, "leave_out_ngrams", None):
        data = dataclasses.replace(data, leave_out_ngrams=found(data.leave_out_ngrams, base))
    tokenizer: Any = there.tokenizer
    if tokenizer.kind == "gpt2":
        tokenizer = dataclasses.replace(tokenizer, path=found(tokenizer.path, base))
    parent = there.init_from.run
    start = there.init_from
    if parent not in (None, "trunk"):
        start = InitFromConfig(run=found(parent, base), tokens=start.tokens, trunk_tokens=start.trunk_tokens)
    return dataclasses.replace(
        there,
        data=data,
        tokenizer=tokenizer,
        init_from=start,
        data_dir=wanted.data_dir or (found(there.data_dir, base) if there.data_dir else None),
        output_dir=str(wanted.out),
        tracker=TrackerConfig(name="none"),
    )


def _base(run: Recorded) -> Path:
    """The folder in which the run was started, if its directory still lies where it was made."""
    depth = len(Path(run.settings.output_dir).parts)
    parents = run.directory.resolve().parents
    return parents[min(depth + 1, len(parents) - 1)]


def found(path: str, base: Path) -> str:
    """A recorded path (or glob), as it stands or as it stood from where the run was started."""
    moved = str(base / path)
    return moved if not glob.glob(path) and glob.glob(moved) else path


def _corpus(run: Recorded, settings: TrainConfig, wanted: "ReproduceRequest", say: Say) -> "tuple[Corpus | None, str]":
    """The corpus: the recorded one where it is at hand, else made again; or None and why it cannot be had."""
    from zeroscale.data.prepare import prepare
    from zeroscale.launch.worker import progress_callback
    from zeroscale.training import build

    directory = prepare.corpus_directory(layout.corpora(wanted.out), settings.data, settings.tokenizer)
    expected = (run.manifest.get("corpus") or {}).get("fingerprint")
    if not wanted.prepare_corpus and not directory.exists():
        _adopt(layout.corpora(Run(run.directory).outputs) / directory.name, directory, expected, say)
    progress = progress_callback(lambda text: say(f"  {text}"))
    try:
        return build.corpus(settings.data, settings.tokenizer, str(wanted.out), progress), ""
    except ZeroscaleError as error:
        hint = "" if wanted.data_path or settings.data.kind != "files" else " (data_path=DIR says where its files are)"
        return None, f"its corpus cannot be had: {error}{hint}"


def _without_devices(settings: TrainConfig) -> str:
    """What the run needs and this machine lacks, or nothing."""
    faults = combination_faults(settings, machine.device_counts())
    return f"this machine is not enough: {'; '.join(faults)}" if faults else ""


def _adopt(there: Path, here: Path, expected: str | None, say: Say) -> None:
    """Links the corpus beside the run, if it is the recorded one: its shards are compared with their sha256 on use."""
    try:
        fingerprint = read_json(there / INDEX).get("fingerprint")
    except (ZeroscaleError, AttributeError):
        return
    if expected is not None and fingerprint == expected:
        here.parent.mkdir(parents=True, exist_ok=True)
        here.symlink_to(there)
        say(f"  corpus     that of the run, in {there} (prepare_corpus=true makes it again)")


def _facts(settings: TrainConfig, tokens: "Corpus", kind: str, threads: int) -> Json:
    """The manifest that a run with these settings would get here."""
    import torch

    from zeroscale.data.batch_layout import layout_for

    gpu = torch.cuda.get_device_name() if kind == "cuda" and torch.cuda.is_available() else None
    micro = layout_for(settings, kind).micro_rows * settings.context
    facts, _ = manifest.make(settings, gpu=gpu, threads=threads, micro_batch_tokens=micro, corpus=tokens)
    return facts


def _with_cards(run: Recorded, results: Sequence[ResultFile], settings: TrainConfig) -> tuple[TrainConfig, list[str]]:
    """The settings with those cards that can be scored here, and what is to be said of the others, and of cards and
    data that are not those that gave `results`."""
    known: dict[str, Any] = {}
    lacking: list[str] = []
    if not results:
        return dataclasses.replace(settings, cards=()), lacking
    for name in settings.cards:
        try:
            known |= {card.name: card for card in cards_of.resolve([name])}
        except ZeroscaleError as error:
            lacking.append(str(error))
    data_dir = Path(settings.data_dir) if settings.data_dir else None
    kept = []
    for name, card in known.items():
        missing = sources.available(card, settings.cards_from, data_dir)
        if missing is None or is_drawn_from_corpus(card):
            kept.append(name if name in settings.cards or name in _shipped() else str(card.path))
        else:
            lacking.append(missing if settings.data_dir else f"{missing} (data_dir=DIR says where they are)")
    scored = {(one.content["card"], one.content["protocol"], one.content["source"]): one for one in results}
    for one in scored.values():
        if one.content["source"] != "corpus":
            lacking += _changed(one.content, known, data_dir, run)
    return dataclasses.replace(settings, cards=tuple(kept)), lacking


def _shipped() -> set[str]:
    return {*cards_of.names(), *(name for members in cards_of.suites().values() for name in members)}


def _changed(result: Json, known: dict[str, Any], data_dir: Path | None, run: Recorded) -> list[str]:
    """In what a card, or the benchmark's files, are not those that a result was scored with."""
    from zeroscale.data.tokenizer import Tokenizer

    name, protocol, source = result["card"], result["protocol"], result["source"]
    try:
        card = known.get(name) or cards_of.resolve([name])[0]
        card = card.following(protocol)
        if card.hash(protocol) != result["card_hash"]:
            return [f"card {name}: its protocol {protocol} is not the one that was scored (another hash): can matter"]
        if is_drawn_from_corpus(card) or sources.available(card, source, data_dir) is not None or source == "hub":
            # Said already, or found out when it is read.
            return []
        tokenizer = Tokenizer.load(run.directory / layout.TOKENIZER)
        task = tasks.build_task(card, protocol, tokenizer, run.settings.model.n_positions, result["seed"])
        data = examples.load(card, task, source, data_dir, allow_other_data=True)
        if data.hash != result["data_hash"]:
            origin = ", ".join(data.origin)
            return [f"card {name}: {origin} is another version than the one scored ({data.check.words}): can matter"]
    except ZeroscaleError as error:
        return [str(error)]
    return []
