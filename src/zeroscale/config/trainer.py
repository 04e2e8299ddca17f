"""conf/trainer, conf/tracker, and the run that another begins from."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from zeroscale.config.types import STRICT, Positive


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainerConfig:
    """How long, in what batches, on what. Sizes are global and in tokens; intervals are in optimizer steps."""

    tokens: Positive
    batch_tokens: Positive
    context_length: Positive | None
    micro_batch_tokens: Positive | None
    accelerator: Literal["auto", "cpu", "cuda"]
    devices: Positive
    strategy: Literal["auto", "ddp", "fsdp"]
    precision: Literal["fp32", "bf16-mixed", "bf16-true"]
    threads: Positive | None
    compile: bool
    log_every: Positive
    val_every: Positive
    val_tokens: Positive
    checkpoint_every: Positive
    keep_checkpoints: Positive
    score_every: Positive | None
    compile_mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = "default"
    activation_checkpointing: bool = False
    deterministic: bool = False
    keep_every_tokens: Positive | None = None
    keep_best: bool = False


@dataclass(frozen=True, kw_only=True, config=STRICT)
class InitFromConfig:
    """Which run's checkpoint this one goes on from, optimizer and data position included; `run: null` starts anew.

    `run` is a run's directory, or `trunk`: the run at a constant rate, `trunk_tokens` long, that a WSD schedule's
    settings imply and that all its cooldowns share. `tokens` says where the parent is left; null with a trunk: where
    the decay begins.
    """

    run: Annotated[str, Field(min_length=1)] | None = None
    tokens: Positive | None = None
    trunk_tokens: Positive | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrackerConfig:
    """Where a run is shown besides its own files. `mode` is W&B's; `auto`: online where the user is logged in, else
    offline."""

    name: Literal["wandb", "tensorboard", "files", "none"]
    mode: Literal["auto", "online", "offline", "disabled"] = "disabled"
    project: str = "zeroscale"
    entity: str | None = None
