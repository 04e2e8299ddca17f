"""Keys of `train` and `plan` that belong to a study and not to a cell: taken out before a cell's settings are built."""

from typing import Any

from zeroscale.config import size_rules
from zeroscale.config.commands import LaunchConfig
from zeroscale.config.model import ModelConfig, TokenizerConfig
from zeroscale.config.validate import build_config
from zeroscale.core.errors import ZeroscaleError
from zeroscale.model.flops import flops_per_token

KEYS = ("flops_budget", "cells_at_once", "retry_failed")
# A whole number of batches misses a budget by half a batch at most; further off it is not that budget any more.
NEAR = 0.01


def pop_study_settings(config: dict[str, Any]) -> LaunchConfig:
    """Takes the study's keys out of a cell's plain settings; with a budget, `trainer.tokens` become what it buys.

    Raises:
        ZeroscaleError: values that cannot be, or a budget that no whole number of batches comes near.
    """
    wanted = build_config(LaunchConfig, {key: config.pop(key) for key in KEYS if key in config})
    if wanted.flops_budget is not None:
        trainer = config["trainer"]
        trainer["tokens"] = tokens_for(wanted.flops_budget, config)
    return wanted


def tokens_for(budget: float, config: dict[str, Any]) -> int:
    """The whole number of batches whose exact FLOPs (`flops_per_token`, full attention) are nearest to the budget.

    Raises:
        ZeroscaleError: it is more than 1 % off.
    """
    model, tokenizer = build_config(ModelConfig, config["model"]), build_config(TokenizerConfig, config["tokenizer"])
    batch = size_rules.resolve(config)[0]["trainer"]["batch_tokens"]
    per_token = flops_per_token(
        n_layer=model.n_layer,
        d_model=model.d_model,
        vocab_size=model.vocab_size or tokenizer.vocab_size,
        n_positions=model.n_positions,
        context=config["trainer"]["context_length"] or model.n_positions,
    )
    tokens = max(1, round(budget / per_token / batch)) * batch
    if abs(tokens * per_token / budget - 1) > NEAR:
        raise ZeroscaleError(
            f"flops_budget={budget:g} buys {budget / per_token:,.0f} tokens of {model.name}; the nearest whole number "
            f"of batches of trainer.batch_tokens={batch} costs {tokens * per_token:.3g} FLOPs, more than 1 % off: "
            "take a larger budget, a smaller model or smaller batches"
        )
    return tokens
