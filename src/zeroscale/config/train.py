"""What the YAML becomes: strict, frozen dataclasses (`zeroscale.config.validate.build_config` makes them).

A group of `conf/` is a dataclass here and a field of `TrainSettings`. Derived quantities (steps, rows, learning rate)
are properties beside the values they derive from, so that plan, worker and report cannot disagree.
"""

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from zeroscale.config.data import DataConfig
from zeroscale.config.hashing import as_dict, hashed
from zeroscale.config.model import ModelConfig, TokenizerConfig
from zeroscale.config.optimizer import OptimizerConfig, ScheduleConfig
from zeroscale.config.trainer import InitFromConfig, TrackerConfig, TrainerConfig
from zeroscale.config.types import STRICT, CardNames, Name
from zeroscale.core.files import sha256_json
from zeroscale.model import flops
from zeroscale.model.config import GPTConfig

# Folders beside the studies in outputs/, which no study may be called.
RESERVED_STUDIES = ("corpora", "eval", "overlap", "reproduced")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainConfig:
    """One cell of a study: everything that training and scoring it needs."""

    study: Name
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    model: ModelConfig
    tokenizer: TokenizerConfig
    data: DataConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    trainer: TrainerConfig
    tracker: TrackerConfig
    cards: CardNames
    cards_from: Literal["files", "hub", "sample"]
    data_dir: str | None
    output_dir: str
    init_from: InitFromConfig = InitFromConfig()

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

    def trunk(self) -> "TrainConfig":
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
            init_from=InitFromConfig(),
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


def model_config(settings: TrainConfig, vocab_size: int) -> GPTConfig:
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
