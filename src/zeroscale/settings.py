"""What the YAML becomes: strict, frozen dataclasses (`zeroscale.strict.build` makes them).

A group of `conf/` is a dataclass here and a field of `TrainSettings`. Derived quantities (steps, rows, learning rate)
are properties beside the values they derive from, so that plan, worker and report cannot disagree.
"""

import copy
import dataclasses
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from zeroscale.data_settings import DataSettings
from zeroscale.files import sha256_json
from zeroscale.scaling import flops

_STRICT = ConfigDict(extra="forbid", strict=True)
Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
# A card or a suite by name, or the path of a card of one's own.
CardNames = tuple[Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*|.+\.ya?ml)$")], ...]

# Folders beside the studies in outputs/, which no study may be called.
RESERVED_STUDIES = ("corpora", "eval", "overlap", "reproduced")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ModelSettings:
    """A GPT-2-style decoder's shape. `vocab_size: null` takes the tokenizer's."""

    name: Name
    n_layer: Positive
    d_model: Positive
    n_head: Positive
    n_positions: Positive
    vocab_size: Positive | None = None
    dropout: Fraction = 0.0


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class BpeTokenizer:
    """Byte-level BPE trained on the corpus' own training documents."""

    kind: Literal["bpe"]
    vocab_size: Annotated[int, Field(ge=257)]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class BytesTokenizer:
    """One token per byte, and the end of text: 257 in all."""

    kind: Literal["bytes"]

    @property
    def vocab_size(self) -> int:
        return 257


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Gpt2Tokenizer:
    """GPT-2's own vocabulary, from a directory with its files or from the hub."""

    kind: Literal["gpt2"]
    path: str
    revision: str | None = None

    @property
    def vocab_size(self) -> int:
        return 50257


TokenizerSettings = Annotated[BpeTokenizer | BytesTokenizer | Gpt2Tokenizer, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class OptimizerSettings:
    """AdamW, or Muon for the matrices of the blocks and AdamW for the rest; weight decay on matrices only.

    With `lr_reference_params` the learning rate depends on the size N (embeddings left out) as
    lr · (N / reference)^(-1/3): the form of Porian et al. 2024, whose own constants are 0.0047 at N = 108 M.
    """

    name: Literal["adamw", "muon"]
    lr: Annotated[float, Field(gt=0)]
    lr_reference_params: Annotated[float, Field(gt=0)] | None
    betas: tuple[Fraction, Fraction]
    eps: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    grad_clip: Annotated[float, Field(gt=0)] | None
    momentum: Fraction = 0.95
    """Muon's."""

    def lr_for(self, params_non_embedding: int) -> float:
        """The peak learning rate of a model of this size."""
        if self.lr_reference_params is None:
            return self.lr
        return self.lr * (params_non_embedding / self.lr_reference_params) ** (-1 / 3)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ScheduleSettings:
    """Linear warm-up over `warmup_tokens`, then the named form down to `final_lr_fraction` of the peak.

    `wsd` stays at the peak and falls over the last `decay_fraction` of the run.
    """

    name: Literal["cosine", "linear", "constant", "wsd"]
    warmup_tokens: Annotated[int, Field(ge=0)]
    final_lr_fraction: Annotated[float, Field(ge=0, le=1)]
    decay_fraction: Annotated[float, Field(gt=0, le=1)] = 0.2
    decay: Literal["linear", "sqrt"] = "sqrt"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TrainerSettings:
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


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class InitSettings:
    """Which run's checkpoint this one goes on from, optimizer and data position included; `run: null` starts anew.

    `run` is a run's directory, or `trunk`: the run at a constant rate, `trunk_tokens` long, that a WSD schedule's
    settings imply and that all its cooldowns share. `tokens` says where the parent is left; null with a trunk: where
    the decay begins.
    """

    run: Annotated[str, Field(min_length=1)] | None = None
    tokens: Positive | None = None
    trunk_tokens: Positive | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TrackerSettings:
    """Where a run is shown besides its own files. `mode` is W&B's; `auto`: online where the user is logged in, else
    offline."""

    name: Literal["wandb", "tensorboard", "files", "none"]
    mode: Literal["auto", "online", "offline", "disabled"] = "disabled"
    project: str = "zeroscale"
    entity: str | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TrainSettings:
    """One cell of a study: everything that training and scoring it needs."""

    study: Name
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    model: ModelSettings
    tokenizer: TokenizerSettings
    data: DataSettings
    optimizer: OptimizerSettings
    schedule: ScheduleSettings
    trainer: TrainerSettings
    tracker: TrackerSettings
    cards: CardNames
    cards_from: Literal["files", "hub", "sample"]
    data_dir: str | None
    output_dir: str
    init_from: InitSettings = InitSettings()

    @property
    def context(self) -> int:
        """Tokens a training window predicts."""
        return self.trainer.context_length or self.model.n_positions

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding."""
        return self.model.vocab_size or self.tokenizer.vocab_size

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.trainer.tokens // self.trainer.batch_tokens

    @property
    def params(self) -> flops.Params:
        """Parameter counts in the three conventions."""
        shape = self.model
        return flops.params(
            n_layer=shape.n_layer, d_model=shape.d_model, vocab_size=self.vocab_size, n_positions=shape.n_positions
        )

    @property
    def flops_per_token(self) -> float:
        """Forward and backward, full attention counted."""
        shape = self.model
        return flops.flops_per_token(
            n_layer=shape.n_layer,
            d_model=shape.d_model,
            vocab_size=self.vocab_size,
            n_positions=shape.n_positions,
            context=self.context,
        )

    @property
    def lr(self) -> float:
        """Peak learning rate."""
        return self.optimizer.lr_for(self.params.non_embedding)

    def hash(self) -> str:
        """Hex sha256 over every setting that can change a result."""
        value = hashed(as_dict(self))
        if self.init_from.run is not None:
            value["init_from"] = self.parent()
        return sha256_json(value)

    def trunk(self) -> "TrainSettings":
        """The run at a constant rate that this cooldown leaves: a cell of the study `<study>-trunk`, not scored."""
        schedule = dataclasses.replace(
            self.schedule, name="constant", final_lr_fraction=1.0, decay_fraction=0.2, decay="sqrt"
        )
        tokens = self.init_from.trunk_tokens or self.trainer.tokens
        return dataclasses.replace(
            self,
            study=f"{self.study}-trunk",
            schedule=schedule,
            trainer=dataclasses.replace(self.trainer, tokens=tokens, score_every=None),
            cards=(),
            init_from=InitSettings(),
        )

    def parent(self) -> dict[str, Any]:
        """The parent's settings hash (of a run that is named by its directory: the name, which ends in it) and step."""
        wanted = self.init_from
        name = self.trunk().hash() if wanted.run == "trunk" else (wanted.run or "").rstrip("/").rpartition("/")[2]
        return {"parent": name, "step": self.first_step}

    @property
    def first_step(self) -> int:
        """The step of the parent that this run goes on from; 0 without one."""
        if self.init_from.run is None:
            return 0
        if self.init_from.tokens is not None:
            return self.init_from.tokens // self.trainer.batch_tokens
        return self.decay_start

    @property
    def decay_start(self) -> int:
        """Steps before a WSD schedule's decay."""
        return self.steps - max(1, round(self.steps * self.schedule.decay_fraction))

    @property
    def cell(self) -> str:
        """The cell's directory name, derived from its settings: the same command finds its own work again."""
        return f"{self.model.name}-seed{self.seed}-{self.hash()[:8]}"


# What cannot change what a run computes: places, logging, and what is measured on the way or afterwards.
# Everything else is part of the settings hash.
NOT_HASHED = (
    "study",
    "output_dir",
    "tracker",
    "cards",
    "cards_from",
    "data_dir",
    "data.workers",
    "model.name",
    "trainer.log_every",
    "trainer.val_every",
    "trainer.checkpoint_every",
    "trainer.keep_checkpoints",
    "trainer.score_every",
    "trainer.keep_every_tokens",
    "trainer.keep_best",
    "init_from",  # its parent's hash and step stand for it
)

# Settings that came later, with the value at which a run is what it was before them: left out of the hash while they
# hold it, so that a finished cell keeps its name.
NEUTRAL: dict[str, Any] = {
    "data.url_field": None,
    "data.document_start": None,
    "data.leave_out_sites": [],
    "data.leave_out_ngrams": None,
    "data.leave_out_from": 1,
    "data.drop_exact_duplicates": False,
    "data.near_duplicate_threshold": None,
    "data.near_duplicate_permutations": 128,
    "optimizer.momentum": 0.95,
    "schedule.decay_fraction": 0.2,
    "schedule.decay": "sqrt",
    "trainer.compile_mode": "default",
    "trainer.activation_checkpointing": False,
    "trainer.deterministic": False,
}


def hashed(value: dict[str, Any]) -> dict[str, Any]:
    """The part of `as_dict`'s value that can change a result."""
    kept = copy.deepcopy(value)
    for key in (*NOT_HASHED, *NEUTRAL):
        *parents, last = key.split(".")
        node = kept
        for parent in parents:
            node = node.get(parent, {})
        if key in NOT_HASHED or node.get(last) == NEUTRAL[key]:
            node.pop(last, None)
    return kept


def as_dict(settings: Any) -> dict[str, Any]:
    """Plain dicts, lists and scalars: what config.yaml and the hash hold."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    return plain(dataclasses.asdict(settings))
