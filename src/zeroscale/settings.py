"""What the YAML becomes: strict, frozen dataclasses (`zeroscale.strict.build` makes them).

A group of `conf/` is a dataclass here and a field of `TrainSettings`. Derived quantities (steps, rows, learning rate)
are properties beside the values they derive from, so that plan, worker and report cannot disagree.
"""

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from zeroscale.files import sha256_json
from zeroscale.scaling import flops

_STRICT = ConfigDict(extra="forbid", strict=True)
Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Names = tuple[Name, ...]

# Folders beside the studies in outputs/, which no study may be called.
RESERVED_STUDIES = ("corpora", "eval")


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
class StdlibData:
    """The text of the running Python's own library: no network needed."""

    kind: Literal["stdlib"]
    name: Name
    val_fraction: Annotated[float, Field(gt=0, lt=1)]
    max_bytes: Positive | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FilesData:
    """A directory or glob of text and JSONL files."""

    kind: Literal["files"]
    name: Name
    path: Annotated[str, Field(min_length=1)]
    val_fraction: Annotated[float, Field(gt=0, lt=1)]
    text_field: str = "text"
    max_bytes: Positive | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class HubData:
    """A dataset of the Hugging Face hub, by name."""

    kind: Literal["hub"]
    name: Name
    dataset: Annotated[str, Field(min_length=1)]
    split: str
    val_fraction: Annotated[float, Field(gt=0, lt=1)]
    config: str | None = None
    revision: str | None = None
    text_field: str = "text"
    streaming: bool = True
    max_documents: Positive | None = None
    max_bytes: Positive | None = None


DataSettings = Annotated[StdlibData | FilesData | HubData, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class OptimizerSettings:
    """AdamW; weight decay on matrices only.

    With `lr_reference_params` the learning rate depends on the size N (embeddings left out) as
    lr · (N / reference)^(-1/3): the form of Porian et al. 2024, whose own constants are 0.0047 at N = 108 M.
    """

    name: Literal["adamw"]
    lr: Annotated[float, Field(gt=0)]
    lr_reference_params: Annotated[float, Field(gt=0)] | None
    betas: tuple[Fraction, Fraction]
    eps: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    grad_clip: Annotated[float, Field(gt=0)] | None

    def lr_for(self, params_non_embedding: int) -> float:
        """The peak learning rate of a model of this size."""
        if self.lr_reference_params is None:
            return self.lr
        return self.lr * (params_non_embedding / self.lr_reference_params) ** (-1 / 3)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ScheduleSettings:
    """Linear warm-up over `warmup_tokens`, then the named form down to `final_lr_fraction` of the peak."""

    name: Literal["cosine", "linear", "constant"]
    warmup_tokens: Annotated[int, Field(ge=0)]
    final_lr_fraction: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TrainerSettings:
    """How long, in what batches, on what. Sizes are global and in tokens; intervals are in optimizer steps."""

    tokens: Positive
    batch_tokens: Positive
    context_length: Positive | None
    micro_batch_tokens: Positive | None
    accelerator: Literal["auto", "cpu", "cuda"]
    devices: Positive
    strategy: Literal["auto", "ddp"]
    precision: Literal["fp32", "bf16-mixed"]
    threads: Positive | None
    compile: bool
    log_every: Positive
    val_every: Positive
    val_tokens: Positive
    checkpoint_every: Positive
    keep_checkpoints: Positive
    score_every: Positive | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TrackerSettings:
    """Where a run is shown besides its own files. `auto`: online where the user is logged in, else offline."""

    name: Literal["wandb", "none"]
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
    cards: Names
    cards_from: Literal["files", "hub", "sample"]
    data_dir: str | None
    output_dir: str

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
        value = as_dict(self)
        for key in NOT_HASHED:
            *parents, last = key.split(".")
            node = value
            for parent in parents:
                node = node[parent]
            del node[last]
        return sha256_json(value)

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
    "model.name",
    "trainer.log_every",
    "trainer.val_every",
    "trainer.checkpoint_every",
    "trainer.keep_checkpoints",
    "trainer.score_every",
)


def as_dict(settings: Any) -> dict[str, Any]:
    """Plain dicts, lists and scalars: what config.yaml and the hash hold."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    return plain(dataclasses.asdict(settings))
