"""The composition root: settings → corpus, model, trainer, evaluator. Each function reads like a recipe."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zeroscale.config.train import TrainConfig, model_config
from zeroscale.core import machine
from zeroscale.core.errors import ZeroscaleError
from zeroscale.data import loader
from zeroscale.data.batch_layout import layout_of
from zeroscale.data.corpus import Corpus
from zeroscale.data.prepare import prepare
from zeroscale.data.stream import TokenStream
from zeroscale.model.gpt import GPT
from zeroscale.runs import layout
from zeroscale.training.lr_schedule import lr_at

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from zeroscale.training.module import LanguageModel, Loop


def corpus(data: Any, tokenizer: Any, output_dir: str, progress: Callable[..., None] | None = None) -> Corpus:
    """The tokenised corpus: built once in outputs/corpora, found there afterwards."""
    directory = prepare.corpus_directory(layout.corpora(Path(output_dir)), data, tokenizer)
    return prepare.prepare(data, tokenizer, directory, progress)


def model(settings: TrainConfig, tokens: Corpus) -> GPT:
    """The decoder with its initial weights: a function of the shape and the seed."""
    if tokens.tokenizer.vocab_size > settings.vocab_size:
        raise ZeroscaleError(
            f"the tokenizer has {tokens.tokenizer.vocab_size} tokens, more than the {settings.vocab_size} that "
            "model.vocab_size and tokenizer.vocab_size say; set model.vocab_size=null"
        )
    return GPT(model_config(settings, tokens.tokenizer.vocab_size), settings.seed)


def module(settings: TrainConfig, gpt: GPT, loop: "Loop", start: Path | None = None) -> "LanguageModel":
    """The model with its optimizers and learning rate, in Lightning's form; `loop` does its steps, from the checkpoint
    `start` on or from the initial weights."""
    from zeroscale.runs.checkpoint import step_of
    from zeroscale.training import distributed
    from zeroscale.training.module import LanguageModel

    run = settings.trainer
    sharded = run.strategy == "fsdp" and run.devices > 1
    if run.precision == "bf16-true":
        gpt.to(torch.bfloat16)
    if run.activation_checkpointing:
        distributed.checkpoint_activations(gpt)
    if run.compile:
        distributed.compile_model(gpt, run.compile_mode, by_block=sharded)
    return LanguageModel(
        gpt,
        settings.optimizer,
        lambda step: rate(settings, step),
        loop,
        seed=settings.seed,
        first_step=step_of(start) if start else 0,
        mixed=run.precision == "bf16-mixed",
        shard=distributed.shard if sharded else None,
    )


def rate(settings: TrainConfig, step: int) -> float:
    """The learning rate of optimizer step `step` (from 0)."""
    return lr_at(
        step,
        peak=settings.lr,
        steps=settings.steps,
        batch_tokens=settings.trainer.batch_tokens,
        schedule=settings.schedule,
        decay_start=settings.decay_start,
    )


def batches(settings: TrainConfig, tokens: Corpus, rank: int, first_step: int) -> Any:
    """A rank's micro-batches, those of a step together, from a step on."""
    from zeroscale.data.loader import Steps

    stream = TokenStream(tokens, settings.seed, settings.context, settings.trainer.batch_tokens)
    plan = layout_of(settings)
    micro = loader.MicroBatches(stream, plan, rank, settings.steps, lambda: first_step)
    return loader.loader(Steps(micro, plan.accumulation, settings.steps - first_step), pin=False)


def trainer(settings: TrainConfig, directory: Path) -> "pl.Trainer":
    """Lightning's trainer with everything of its own switched off that we do ourselves (precision is `module`'s)."""
    import pytorch_lightning as pl

    from zeroscale.training import distributed

    run = settings.trainer
    kind = machine.resolve_accelerator(run.accelerator)
    machines, devices = distributed.machines(run)
    if kind == "cuda" and torch.cuda.device_count() < devices:
        raise ZeroscaleError(f"{devices} devices are to be used here, but torch sees {torch.cuda.device_count()} GPUs")
    return pl.Trainer(
        accelerator="cpu" if kind == "cpu" else "gpu",
        devices=devices,
        num_nodes=machines,
        strategy=distributed.strategy(run),
        # The batches end with the last step: that is one epoch to Lightning, however often the corpus is read.
        max_epochs=1,
        plugins=[distributed.environment(run)],
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
    """To be called before Lightning is imported: keeps its advice out of the terminal (it concerns loaders and loggers
    that we do not use), and loads it faster."""
    import logging

    from zeroscale.training.fast_import import load_torchmetrics

    load_torchmetrics()

    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric|torchmetrics")
