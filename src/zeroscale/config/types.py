"""Types of the settings' fields."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from zeroscale.core.machine import MAX_THREADS
from zeroscale.core.own.code import is_own
from zeroscale.core.paths import check_length

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""No unknown key, no conversion, and no number that JSON cannot hold."""

Positive = Annotated[int, Field(gt=0, le=2**53)]
"""Exact as a double too, and as JSON."""
Threads = Annotated[int, Field(gt=0, le=MAX_THREADS)]
"""Threads or processes of this machine: some ten thousand end the process that starts them."""
Devices = Annotated[int, Field(gt=0, le=100_000)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Resamples = Annotated[int, Field(ge=100, le=1_000_000)]
"""Of a bootstrap: fewer say nothing of the ends of a 95 % interval."""

Text = Annotated[str, Field(min_length=1)]
FilePath = Annotated[Text, AfterValidator(check_length)]
"""A file or folder, or a name on the hub: `~` at its beginning is the home folder."""
PathOrEmpty = Annotated[str, AfterValidator(check_length)]
"""The same; empty means nothing."""
RecordedPath = str
"""A path that is part of the settings hash: kept as it was typed, and expanded where it is used (`expand_home`)."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]
"""Of a study, a model, a corpus: folders are called after it, with a hash behind it, and names of files end at 255."""
CardNames = tuple[
    Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*|.+\.ya?ml)$"), AfterValidator(check_length)], ...
]
"""Cards or suites by name, or the paths of cards of one's own."""

Options = dict[str, str | int | float | bool | list[int | float | str | bool] | None]
"""Arguments of Python of the user's own."""


def one_of_or_own(*names: str) -> AfterValidator:
    """One of these names, or `module:name`: Python of the user's own (`core.own.code`)."""

    def check(value: str) -> str:
        if value not in names and not is_own(value):
            raise ValueError(f"should be {', '.join(names)}, or module:name of your own folder's Python")
        return value

    return AfterValidator(check)


Setting = str | int | float | bool | None
Filters = dict[str, Setting | Annotated[tuple[Setting, ...], Field(strict=False, min_length=1)]]
"""Of runs: a setting by dotted key (or what tables call it) and the value, or the values, that it must have."""

Accelerator = Literal["auto", "cpu", "cuda"]
CardSource = Literal["files", "hub", "sample"]
Protocol = Literal["paper", "lm-eval"]
ParameterConvention = Literal["non_embedding", "total", "matmul"]
FlopsConvention = Literal["auto", "exact", "6nd"]


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


OneOrMany = BeforeValidator(_one_or_many)
"""Lets a single string stand for a list of one."""
