"""conf/trainer, conf/tracker, and the run that another begins from."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from zeroscale.config.types import STRICT, Accelerator, Devices, FilePath, Positive, Threads


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainerConfig:
    """How long, in what batches, on what. Sizes are global and in tokens; intervals are in optimizer steps."""

    tokens: Positive
    """Trained on in all."""
    batch_tokens: Annotated[int, Field(gt=0, le=2**36)]
    """Of one optimizer step, over all devices."""
    context_length: Positive | None
    """Of a window; None: the model's n_positions."""
    micro_batch_tokens: Positive | None
    """Of one forward pass on one device; None: derived."""
    accelerator: Accelerator
    devices: Devices
    """Of all machines together."""
    strategy: Literal["auto", "ddp", "fsdp"]
    precision: Literal["fp32", "bf16-mixed", "bf16-true"]
    threads: Threads | None
    """CPU threads; None: every core, shared among the ranks."""
    compile: bool
    log_every: Positive
    val_every: Positive
    val_tokens: Positive
    """Held-out tokens that a validation reads, from the start."""
    checkpoint_every: Positive
    keep_checkpoints: Positive
    """The last ones."""
    score_every: Positive | None
    """Score the cards during training, too."""
    compile_mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = "default"
    activation_checkpointing: bool = False
    """Keep each block's input alone and compute the block again in the backward pass."""
    deterministic: bool = False
    """Only algorithms that give the same bits from run to run."""
    keep_every_tokens: Positive | None = None
    """Keep checkpoints at every so many tokens, too."""
    keep_best: bool = False
    """Keep the checkpoint with the lowest validation loss, too."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class InitFromConfig:
    """Which run's checkpoint this one goes on from, optimizer and data position included; `run: null` starts anew.

    `run` is a run's directory, or `trunk`: the run at a constant rate, `trunk_tokens` long, that a WSD schedule's
    settings imply and that all its cooldowns share. `tokens` says where the parent is left; null with a trunk: where
    the decay begins.
    """

    run: FilePath | None = None
    tokens: Positive | None = None
    trunk_tokens: Positive | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrackerConfig:
    """Where a run is shown besides its own files."""

    name: Literal["wandb", "tensorboard", "files", "none"]
    mode: Literal["auto", "online", "offline", "disabled"] = "disabled"
    """W&B's; `auto`: online where the user is logged in, else offline."""
    project: str = "zeroscale"
    entity: str | None = None
    """The user or team of W&B; None: the user's default."""
