"""The composition root: settings → corpus, model, trainer, evaluator. Each function reads like a recipe."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment, TorchElasticEnvironment

from zeroscale.data import module, prepare
from zeroscale.data.layout import layout_of
from zeroscale.data.tokens import Corpus, TokenStream
from zeroscale.errors import ZeroscaleError
from zeroscale.harness.evaluate import HeldOutText
from zeroscale.model import GPT, GPTConfig
from zeroscale.provenance import machine
from zeroscale.settings import TrainSettings
from zeroscale.training.checkpoint import DirectoryIO
from zeroscale.training.lit import LanguageModel
from zeroscale.training.optim import lr_at


def corpus(data: Any, tokenizer: Any, output_dir: str, progress: Callable[..., None] | None = None) -> Corpus:
    """The tokenised corpus: built once in outputs/corpora, found there afterwards."""
    directory = prepare.corpus_directory(Path(output_dir) / "corpora", data, tokenizer)
    return prepare.prepare(data, tokenizer, directory, progress)


def model(settings: TrainSettings, tokens: Corpus) -> GPT:
    """The decoder with its initial weights: a function of the shape and the seed."""
    if tokens.tokenizer.vocab_size > settings.vocab_size:
        raise ZeroscaleError(
            f"the tokenizer has {tokens.tokenizer.vocab_size} tokens, more than the {settings.vocab_size} that "
            "model.vocab_size and tokenizer.vocab_size say; set model.vocab_size=null"
        )
    return GPT(shape(settings, tokens.tokenizer.vocab_size), settings.seed)


def shape(settings: TrainSettings, vocab_size: int) -> GPTConfig:
    """The decoder's configuration; rows of the embedding beyond the tokenizer's `vocab_size` ids never win."""
    chosen = settings.model
    return GPTConfig(
        vocab_size=vocab_size,
        padded_vocab_size=settings.vocab_size,
        n_positions=chosen.n_positions,
        n_layer=chosen.n_layer,
        d_model=chosen.d_model,
        n_head=chosen.n_head,
        dropout=chosen.dropout,
    )


def lit(settings: TrainSettings, gpt: GPT) -> LanguageModel:
    """The model with its loss, optimizer and learning rate."""

    def rate(step: int) -> float:
        return lr_at(
            step,
            peak=settings.lr,
            steps=settings.steps,
            batch_tokens=settings.trainer.batch_tokens,
            schedule=settings.schedule,
        )

    if settings.trainer.compile:
        gpt.hidden = torch.compile(gpt.hidden)
    return LanguageModel(gpt, settings.optimizer, rate, layout_of(settings).accumulation, settings.seed)


def batches(settings: TrainSettings, tokens: Corpus, trainer: pl.Trainer) -> Any:
    """This rank's micro-batches, from the trainer's step on."""
    stream = TokenStream(tokens, settings.seed, settings.context, settings.trainer.batch_tokens)
    micro = module.MicroBatches(
        stream, layout_of(settings), trainer.global_rank, settings.steps, lambda: trainer.global_step
    )
    return module.loader(micro, pin=trainer.strategy.root_device.type == "cuda")


def held_out(settings: TrainSettings, tokens: Corpus) -> HeldOutText:
    """The fixed slice of text that is never trained on and that every validation reads."""
    text = tokens.val_tokens()[: settings.trainer.val_tokens + 1]
    return HeldOutText(text, tokens.tokenizer, settings.context)


def trainer(
    settings: TrainSettings, checkpoints: DirectoryIO, around_steps: list[pl.Callback], directory: Path
) -> pl.Trainer:
    """Lightning's trainer with everything of its own switched off that we do ourselves."""
    run = settings.trainer
    kind = machine.accelerator(run.accelerator)
    if kind == "cuda" and torch.cuda.device_count() < run.devices:
        raise ZeroscaleError(f"trainer.devices={run.devices}, but torch sees {torch.cuda.device_count()} GPUs")
    # A single-rank cell inside a SLURM job must not be taken for one rank of many.
    environment = TorchElasticEnvironment() if run.devices > 1 else LightningEnvironment()
    return pl.Trainer(
        accelerator="cpu" if kind == "cpu" else "gpu",
        devices=run.devices,
        strategy="ddp" if run.devices > 1 else "auto",
        precision="32-true" if run.precision == "fp32" else run.precision,
        max_steps=settings.steps,
        max_epochs=-1,
        accumulate_grad_batches=layout_of(settings).accumulation,
        plugins=[checkpoints, environment],
        callbacks=around_steps,
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
    """Keeps Lightning's advice out of the terminal: it concerns loaders and loggers that we do not use."""
    import logging

    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric|torchmetrics")
