"""conf/optimizer and conf/schedule."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from zeroscale.config.types import STRICT, Fraction, Options, one_of_or_own


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OptimizerConfig:
    """AdamW, or Muon for the matrices of the blocks and AdamW for the rest; weight decay on matrices only.

    With `lr_reference_params` the learning rate depends on the size N (embeddings left out) as
    lr · (N / reference)^(-1/3): the form of Porian et al. 2024, whose own constants are 0.0047 at N = 108 M.
    """

    name: Annotated[str, one_of_or_own("adamw", "muon")]
    """Or `module:Class`, an optimizer of the user's own."""
    lr: Annotated[float, Field(gt=0)]
    lr_reference_params: Annotated[float, Field(gt=0)] | None
    betas: tuple[Fraction, Fraction]
    eps: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    grad_clip: Annotated[float, Field(gt=0)] | None
    momentum: Fraction = 0.95
    """Muon's."""
    options: Options = field(default_factory=dict)
    """Further arguments of an optimizer of the user's own."""

    def lr_for(self, params_non_embedding: int) -> float:
        """The peak learning rate of a model of this size."""
        if self.lr_reference_params is None:
            return self.lr
        scale: float = (params_non_embedding / self.lr_reference_params) ** (-1 / 3)
        return self.lr * scale


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ScheduleConfig:
    """Linear warm-up over `warmup_tokens`, then the named form down to `final_lr_fraction` of the peak.

    `wsd` stays at the peak and falls over the last `decay_fraction` of the run.
    """

    name: Annotated[str, one_of_or_own("cosine", "linear", "constant", "wsd")]
    """Or `module:function`, a schedule of the user's own."""
    warmup_tokens: Annotated[int, Field(ge=0)]
    final_lr_fraction: Annotated[float, Field(ge=0, le=1)]
    decay_fraction: Annotated[float, Field(gt=0, le=1)] = 0.2
    decay: Literal["linear", "sqrt"] = "sqrt"
    options: Options = field(default_factory=dict)
    """What a schedule of the user's own reads."""
