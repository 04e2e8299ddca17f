"""Types of the settings' fields."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

STRICT = ConfigDict(extra="forbid", strict=True)

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Resamples = Annotated[int, Field(ge=100)]
"""Of a bootstrap: fewer say nothing of the ends of a 95 % interval."""

Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
CardNames = tuple[Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*|.+\.ya?ml)$")], ...]
"""Cards or suites by name, or the paths of cards of one's own."""

Accelerator = Literal["auto", "cpu", "cuda"]
CardSource = Literal["files", "hub", "sample"]
Protocol = Literal["paper", "lm-eval"]
ParameterConvention = Literal["non_embedding", "total", "matmul"]
FlopsConvention = Literal["auto", "exact", "6nd"]


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


OneOrMany = BeforeValidator(_one_or_many)
"""Lets a single string stand for a list of one."""
