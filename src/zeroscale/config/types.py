"""Types of the settings' fields."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from zeroscale.core.paths import expand_home

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
FilePath = Annotated[Text, AfterValidator(expand_home)]
"""A file or folder, or a name on the hub: `~` at its beginning is the home folder."""
PathOrEmpty = Annotated[str, AfterValidator(expand_home)]
"""The same; empty means nothing."""
RecordedPath = str
"""A path that is part of the settings hash: kept as it was typed, and expanded where it is used (`expand_home`)."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
CardNames = tuple[
    Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*|.+\.ya?ml)$"), AfterValidator(expand_home)], ...
]
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
