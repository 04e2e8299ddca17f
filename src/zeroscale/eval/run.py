"""Scores a checkpoint: the one way in, for training at chosen steps, for the end of a run, and for `zeroscale eval`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import yaml

from zeroscale.config.commands.eval import EvalConfig
from zeroscale.config.train import TrainConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.core.files import write_json
from zeroscale.eval.load import DTYPES, load, load_as
from zeroscale.runs import checkpoint, layout
from zeroscale.runs.resolve import CheckpointRef, resolve_checkpoint

if TYPE_CHECKING:
    from zeroscale.eval.cards.card import Card
    from zeroscale.eval.cards.rows import Source
    from zeroscale.eval.engine.backend import RequestRunner
    from zeroscale.eval.results import Result
    from zeroscale.model.gpt import GPT
    from zeroscale.model.protocol import LanguageModel, TextTokenizer

Say = Callable[[str], None]
OnFault = Callable[[str, ZeroscaleError], None]

# What is scored where nobody names a card.
DEFAULT_CARDS = ("core",)


def score(
    target: CheckpointRef, config: EvalConfig, say: Say | None = None, on_fault: OnFault | None = None
) -> "list[Result]":
    """Scores a checkpoint on the cards that the config names, and a run's checkpoint on its held-out text too; returns
    the results, held-out text first. A model that is in memory already goes to `evaluate.score_cards`.

    Args:
        say: takes lines of progress.
        on_fault: takes what is wrong with a card, and the others go on; without it the first fault is raised.
    """
    from zeroscale.core import machine
    from zeroscale.eval import corpus_cards, evaluate

    model, tokenizer = load(target)
    on_gpu = machine.resolve_accelerator(config.accelerator) == "cuda"
    if on_gpu:
        model = model.to("cuda")
    results: list[Result] = []
    if target.run is not None:
        results += _score_held_out(target, cast("GPT", model), config)
    else:
        _record_origin(target, config.revision)
    cards = list(DEFAULT_CARDS if config.cards is None else config.cards)
    with _engine(target, model, tokenizer, config, on_gpu) as engine:
        # A run of ours has its corpus; of another's model the hand-written sample may be asked for.
        draw = partial(_passages, target, config) if target.run or config.cards_from != "sample" else None
        for names, source, data_dir in corpus_cards.group_by_source(cards, *_source(target, config), draw, on_fault):
            results += evaluate.score_cards(
                model,
                tokenizer,
                names,
                source=source,
                data_dir=data_dir,
                out=target.out,
                weights_hash=target.weights_hash,
                seed=config.seed,
                bootstrap=config.bootstrap,
                protocol=config.protocol,
                limit=config.limit,
                allow_other_data=config.allow_other_data,
                token_logprobs=config.token_logprobs,
                engine=engine,
                dtype=config.dtype,
                progress=say,
                on_fault=on_fault,
            )
    return results


def _passages(target: CheckpointRef, config: EvalConfig, card: "Card") -> Path:
    """The passages of a card that is drawn from the training corpus: the run's own, or the one that is named."""
    from zeroscale.eval import corpus_cards
    from zeroscale.runs import corpus as run_corpus
    from zeroscale.runs.run import Run

    if config.corpus is None and target.run is None:
        raise ZeroscaleError(
            f"card {card.name}: it is drawn from the text that {target.name} was trained on: name that corpus, "
            "prepared by `zeroscale data`, with corpus=DIR"
        )
    own = config.corpus is None
    corpus = run_corpus.corpus_of(Run(target.run_directory)) if own else Path(config.corpus or "")
    outputs = Path(config.output_dir)
    return corpus_cards.draw_passages(card, config.protocol, corpus, config.seed, outputs, target.run if own else None)


@contextmanager
def _engine(
    target: CheckpointRef, model: "LanguageModel", tokenizer: "TextTokenizer", config: EvalConfig, on_gpu: bool
) -> "Iterator[RequestRunner]":
    """What answers requests: the model in this process, or a process for each device."""
    import torch

    from zeroscale.eval.engine.device_pool import Pool
    from zeroscale.eval.engine.engine import Engine

    if config.devices == 1:
        yield Engine(
            model.to(getattr(torch, DTYPES[config.dtype])),
            tokenizer,
            batch_tokens=config.batch_tokens,
            deterministic=config.deterministic,
            threads=config.threads,
        )
        return
    if on_gpu and torch.cuda.device_count() < config.devices:
        raise ZeroscaleError(f"devices={config.devices}, but this machine has {torch.cuda.device_count()} GPUs")
    devices = [f"cuda:{number}" if on_gpu else "cpu" for number in range(config.devices)]
    with Pool(
        partial(load_as, target, config.dtype),
        devices,
        _threads_of_each(config, on_gpu),
        batch_tokens=config.batch_tokens,
        deterministic=config.deterministic,
    ) as pool:
        yield pool


def _threads_of_each(config: EvalConfig, on_gpu: bool) -> int:
    """CPU threads of each of several devices: the fixed number of deterministic answers, else a share of those here.

    Raises:
        ZeroscaleError: the fixed number is too many for the cores; a share of it would give other bits.
    """
    import torch

    from zeroscale.core import machine
    from zeroscale.eval.engine import fixed_threads

    if on_gpu or not config.deterministic:
        return max(1, torch.get_num_threads() // (1 if on_gpu else config.devices))
    threads = config.threads or fixed_threads.DEFAULT
    if threads > 1 and threads * config.devices > machine.cpu_cores():
        raise ZeroscaleError(
            f"deterministic=true threads={threads} devices={config.devices} takes {threads * config.devices} cores, "
            f"and this machine has {machine.cpu_cores()}: each device keeps its {threads} threads, for fewer "
            "give other bits. Give fewer devices, or threads=1 in every evaluation that is to agree"
        )
    return threads


def _source(target: CheckpointRef, config: EvalConfig) -> "tuple[Source, Path | None]":
    """Where the cards' data come from: as the config says; else from its files; else as the run itself was scored."""
    data_dir = Path(config.data_dir) if config.data_dir else None
    if config.cards_from or data_dir or target.run is None:
        return config.cards_from or "files", data_dir
    return target.run.cards_from, Path(target.run.data_dir) if target.run.data_dir else None


def _record_origin(target: CheckpointRef, revision: str | None) -> None:
    """source.json beside the scores: what the hash in their folder's name stands for, file by file, with the hub's
    commit."""
    content: dict[str, object] = {"checkpoint": target.origin, "weights_hash": target.weights_hash}
    if target.revision is not None:
        content |= {"revision": revision or "main", "commit": target.revision}
    write_json(target.out.parent / layout.ORIGIN, {**content, "files": dict(target.files)})


def _score_held_out(target: CheckpointRef, model: "GPT", config: EvalConfig) -> "list[Result]":
    """The run's own held-out slice, where its corpus is still at hand."""
    from zeroscale.data.corpus import Corpus
    from zeroscale.data.prepare import existing
    from zeroscale.eval import held_out as composition

    run = target.run
    assert run is not None
    corpora = layout.corpora(layout.outputs_of(target.run_directory))
    directory = existing.find_recorded(corpora, run.data, run.tokenizer, checkpoint.meta(target.path).get("corpus"))
    if not directory.is_dir():
        return []
    tokens = Corpus.open(directory)
    if tokens.fingerprint != checkpoint.meta(target.path).get("corpus"):
        raise ZeroscaleError(
            f"{directory} is not the corpus that {target.path} was trained on: restore it or remove it"
        )
    return [
        composition.score_held_out(
            composition.held_out_text(run, tokens),
            model,
            out=target.out,
            weights_hash=target.weights_hash,
            corpus=tokens.fingerprint,
            seed=config.seed,
            bootstrap=config.bootstrap,
        )
    ]


def score_run(path: Path, run: TrainConfig, say: Say | None = None) -> "list[Result]":
    """Scores one of a run's own checkpoints as its config says: during training and at its end."""
    with open(_defaults(), encoding="utf-8") as file:
        defaults = yaml.safe_load(file)
    chosen = {
        "cards": list(run.cards),
        "cards_from": run.cards_from,
        "data_dir": run.data_dir,
        "allow_other_data": True,  # marked in the result; a refusal at the end of a training would help nobody
        "output_dir": run.output_dir,
        "accelerator": run.trainer.accelerator,
        "checkpoint": str(path),
    }
    config = build_config(EvalConfig, {**defaults, **chosen})
    return score(resolve_checkpoint(path, Path(run.output_dir)), config, say)


def _defaults() -> Path:
    # One place for the defaults of scoring: what `zeroscale eval` says.
    from zeroscale.core import paths

    return paths.conf() / "eval.yaml"
