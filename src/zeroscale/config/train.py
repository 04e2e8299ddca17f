"""The settings of a run: a strict, frozen dataclass (`zeroscale.config.validate.build_config` makes it).

A group of `conf/` is a dataclass of a module beside this one and a field of `TrainConfig`. Derived quantities (steps,
rows, learning rate) are properties beside the values they derive from, so that plan, worker and report cannot disagree.
"""

import dataclasses
from collections.abc import Mapping
from typing import TypedDict

from pydantic.dataclasses import dataclass

from zeroscale.config.data import DataConfig
from zeroscale.config.hashing import PATHS, as_dict, hashed, without_paths
from zeroscale.config.model import ModelConfig, TokenizerConfig
from zeroscale.config.optimizer import OptimizerConfig, ScheduleConfig
from zeroscale.config.trainer import InitFromConfig, TrackerConfig, TrainerConfig
from zeroscale.config.types import STRICT, CardNames, CardSource, Name, PathOrEmpty, Seed
from zeroscale.core.files import sha256_json
from zeroscale.model import flops
from zeroscale.model.config import GPTConfig

# Folders beside the studies in outputs/, which no study may be called.
RESERVED_STUDIES = ("corpora", "eval", "overlap", "reproduced")


class Parent(TypedDict):
    """The run that another goes on from: its settings hash (of a run named by its directory: the name, which ends in
    it) and the step at which it is left."""

    parent: str
    step: int


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainConfig:
    """One run: everything that training and scoring it needs."""

    study: Name
    seed: Seed
    model: ModelConfig
    tokenizer: TokenizerConfig
    data: DataConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    trainer: TrainerConfig
    tracker: TrackerConfig
    cards: CardNames
    cards_from: CardSource
    data_dir: PathOrEmpty | None
    output_dir: PathOrEmpty
    init_from: InitFromConfig = InitFromConfig()
    places: dict[str, str] = dataclasses.field(default_factory=dict)
    """Where the files of a path lie now, by the path's key: the setting keeps the spelling that the run began with."""
    code: str | None = None
    """The code that trained the run, by the beginning of its hash, where it stands beside a run of other code."""

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

    def hash_without_paths(self) -> str:
        """As `hash`, the same for every spelling of its paths."""
        value = without_paths(hashed(as_dict(self)))
        if self.init_from.run is not None:
            parent = self.trunk().hash_without_paths() if self.init_from.run == "trunk" else self.parent()["parent"]
            value["init_from"] = {"parent": parent, "step": self.first_step}
        return sha256_json(value)

    @property
    def paths(self) -> dict[str, str]:
        """The paths that are hashed as they were typed, by key, as far as they are set."""
        found: dict[str, str] = {}
        for key in PATHS:
            group, leaf = key.split(".")
            value = getattr(getattr(self, group), leaf, None)
            if value is not None:
                found[key] = value
        return found

    def with_paths(self, paths: Mapping[str, str]) -> "TrainConfig":
        """The same settings with other paths, by key."""
        data = {key.partition(".")[2]: path for key, path in paths.items() if key.startswith("data.")}
        tokenizer = {key.partition(".")[2]: path for key, path in paths.items() if key.startswith("tokenizer.")}
        return dataclasses.replace(
            self,
            data=dataclasses.replace(self.data, **data),  # type: ignore[arg-type]  # (of the kinds that have paths)
            tokenizer=dataclasses.replace(self.tokenizer, **tokenizer),  # type: ignore[arg-type]
        )

    @property
    def here(self) -> "TrainConfig":
        """The settings with the paths where the files lie now."""
        return dataclasses.replace(self.with_paths(self.places), places={}) if self.places else self

    def trunk(self) -> "TrainConfig":
        """The run at a constant rate that this cooldown leaves: a run of the study `<study>-trunk`, not scored."""
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

    def parent(self) -> Parent:
        """What of `init_from` belongs to the settings hash."""
        run = self.init_from.run or ""
        name = self.trunk().hash() if run == "trunk" else run.rstrip("/").rpartition("/")[2]
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
        """The run's directory name, derived from its settings, so that the same command finds its own work again."""
        beside = f"-code{self.code}" if self.code else ""
        return f"{self.model.name}-seed{self.seed}-{self.hash()[:8]}{beside}"


def model_config(train: TrainConfig, vocab_size: int) -> GPTConfig:
    """The decoder's configuration. Rows of the embedding beyond the tokenizer's `vocab_size` are never predicted."""
    model = train.model
    return GPTConfig(
        vocab_size=vocab_size,
        padded_vocab_size=train.vocab_size,
        n_positions=model.n_positions,
        n_layer=model.n_layer,
        d_model=model.d_model,
        n_head=model.n_head,
        dropout=model.dropout,
    )
