"""The composition root: settings → corpus, model, module, batches, trainer. Each function reads like a recipe."""

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zeroscale.config.data import DataConfig
from zeroscale.config.model import TokenizerConfig
from zeroscale.config.train import TrainConfig, model_config
from zeroscale.core import machine
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data import loader
from zeroscale.data.batch_layout import layout_of
from zeroscale.data.corpus import Corpus
from zeroscale.data.prepare import existing, prepare
from zeroscale.data.stream import TokenStream
from zeroscale.model.gpt import GPT
from zeroscale.runs import layout
from zeroscale.training.lr_schedule import lr_at

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch.utils.data import DataLoader

    from zeroscale.data.loader import MicroBatch
    from zeroscale.training.module import LanguageModel, Loop


def corpus(
    data: DataConfig, tokenizer: TokenizerConfig, output_dir: str, progress: Callable[..., None] | None = None
) -> Corpus:
    """The tokenised corpus: prepared once in outputs/corpora, opened there afterwards, however its path is spelt."""
    directory = existing.find(layout.corpora(Path(output_dir)), data, tokenizer)
    return prepare.prepare(data, tokenizer, directory, progress)


def model(settings: TrainConfig, corpus: Corpus) -> GPT:
    """The decoder with its initial weights: a function of the shape and the seed."""
    if corpus.tokenizer.vocab_size > settings.vocab_size:
        raise ZeroscaleError(
            f"the tokenizer has {corpus.tokenizer.vocab_size} tokens, more than the {settings.vocab_size} that "
            "model.vocab_size and tokenizer.vocab_size say; set model.vocab_size=null"
        )
    return GPT(model_config(settings, corpus.tokenizer.vocab_size), settings.seed)


def module(settings: TrainConfig, gpt: GPT, loop: "Loop", start: Path | None = None) -> "LanguageModel":
    """The model with its optimizers and learning rate, in Lightning's form; `loop` does its steps, from the checkpoint
    `start` on or from the initial weights."""
    from zeroscale.runs.checkpoint import step_of
    from zeroscale.training import distributed
    from zeroscale.training.module import LanguageModel

    options = settings.trainer
    sharded = options.strategy == "fsdp" and options.devices > 1
    if options.precision == "bf16-true":
        gpt.to(torch.bfloat16)
    if options.activation_checkpointing:
        distributed.checkpoint_activations(gpt)
    if options.compile:
        distributed.compile_model(gpt, options.compile_mode, by_block=sharded)
    return LanguageModel(
        gpt,
        settings.optimizer,
        lambda step: learning_rate(settings, step),
        loop,
        seed=settings.seed,
        first_step=step_of(start) if start else 0,
        mixed=options.precision == "bf16-mixed",
        shard=distributed.shard if sharded else None,
    )


def learning_rate(settings: TrainConfig, step: int) -> float:
    """The learning rate of optimizer step `step` (from 0)."""
    return lr_at(
        step,
        peak=settings.lr,
        steps=settings.steps,
        batch_tokens=settings.trainer.batch_tokens,
        schedule=settings.schedule,
        decay_start=settings.decay_start,
    )


def batches(
    settings: TrainConfig, corpus: Corpus, rank: int, first_step: int
) -> "DataLoader[Iterator[list[MicroBatch]]]":
    """A rank's micro-batches, those of a step together, from a step on."""
    stream = TokenStream(corpus, settings.seed, settings.context, settings.trainer.batch_tokens)
    batch_layout = layout_of(settings)
    micro_batches = loader.MicroBatches(stream, batch_layout, rank, settings.steps, lambda: first_step)
    return loader.loader(loader.Steps(micro_batches, batch_layout.accumulation, settings.steps - first_step), pin=False)


def trainer(settings: TrainConfig, directory: Path) -> "pl.Trainer":
    """Lightning's Trainer: devices, strategy and process group are its part; what `TrainingLoop` does is switched off,
    and precision is `module`'s."""
    import logging

    import pytorch_lightning as pl

    from zeroscale.training import distributed

    # Now, for Lightning sets its own level as it is imported: its tips and its lists of absent devices are for nobody.
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    options = settings.trainer
    kind = machine.resolve_accelerator(options.accelerator)
    machines, devices = distributed.machines(options)
    if kind == "cuda" and torch.cuda.device_count() < devices:
        raise ZeroscaleError(f"{devices} devices are to be used here, but torch sees {torch.cuda.device_count()} GPUs")
    return pl.Trainer(
        accelerator="cpu" if kind == "cpu" else "gpu",
        devices=devices,
        num_nodes=machines,
        strategy=distributed.strategy(options),
        # The batches end with the last step: that is one epoch to Lightning, however often the corpus is read.
        max_epochs=1,
        plugins=[distributed.environment(options)],
        default_root_dir=directory,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        use_distributed_sampler=False,
        benchmark=False,
    )


def quiet_libraries() -> None:
    """Keeps the warnings of Lightning and torchmetrics on loggers and loaders out of the log, and imports Lightning
    faster; to be called before it is imported."""
    from zeroscale.training.fast_import import load_torchmetrics

    load_torchmetrics()
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric|torchmetrics")
