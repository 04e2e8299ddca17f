"""Settings of `train` and `plan` that belong to a study and not to a run: taken out before a run's are built."""

from dataclasses import fields
from typing import Literal, cast

from pydantic.dataclasses import dataclass

from zeroscale.config import size_rules
from zeroscale.config.model import AnyTokenizer, ModelConfig, TokenizerConfig
from zeroscale.config.raw import RawConfig
from zeroscale.config.types import STRICT, PositiveFloat, Threads
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.flops import flops_per_token

OnCodeChange = Literal["ask-by-error", "keep", "rerun", "adopt"]
# A whole number of batches misses a budget by half a batch at most; further off it is not that budget any more.
NEAR = 0.01


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LaunchConfig:
    """What `train` and `plan` need beside a run's own settings."""

    flops_budget: PositiveFloat | None = None
    """FLOPs that each run may cost: they decide `trainer.tokens`."""
    cells_at_once: Threads = 1
    """Runs of a sweep trained at a time on this machine."""
    retry_failed: bool = False
    """Whether a sweep's failed runs are tried again."""
    on_code_change: OnCodeChange = "ask-by-error"
    """What becomes of finished runs that were trained by other code: refuse, trust them this time, train them anew
    beside the old, or record in them that their results are accepted."""


def pop_study_settings(config: RawConfig) -> LaunchConfig:
    """Takes the study's keys out of a run's plain settings; with a budget, `trainer.tokens` become what it buys.

    Raises:
        ZeroscaleError: invalid values, or a budget that no whole number of batches comes near.
    """
    keys = [field.name for field in fields(LaunchConfig)]
    launch = build_config(LaunchConfig, {key: config.pop(key) for key in keys if key in config})
    if launch.flops_budget is not None:
        config["trainer"]["tokens"] = tokens_for(launch.flops_budget, config)
    return launch


def tokens_for(budget: float, config: RawConfig) -> int:
    """The whole number of batches whose exact FLOPs (`flops_per_token`, full attention) are nearest to the budget.

    Raises:
        ZeroscaleError: it is more than 1 % off.
    """
    model = build_config(ModelConfig, config["model"])
    tokenizer = build_config(cast(type[AnyTokenizer], TokenizerConfig), config["tokenizer"])
    batch: int = size_rules.resolve(config)[0]["trainer"]["batch_tokens"]
    per_token = flops_per_token(
        n_layer=model.n_layer,
        d_model=model.d_model,
        vocab_size=model.vocab_size or tokenizer.vocab_size,
        n_positions=model.n_positions,
        context=config["trainer"]["context_length"] or model.n_positions,
    )
    tokens: int = max(1, round(budget / per_token / batch)) * batch
    if abs(tokens * per_token / budget - 1) > NEAR:
        raise ZeroscaleError(
            f"flops_budget={budget:g} buys {budget / per_token:,.0f} tokens of {model.name}; the nearest whole number "
            f"of batches of trainer.batch_tokens={batch} costs {tokens * per_token:.3g} FLOPs, more than 1 % off: "
            "take a larger budget, a smaller model or smaller batches"
        )
    return tokens
