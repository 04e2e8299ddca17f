"""Types of the settings' fields."""

from typing import Annotated

from pydantic import ConfigDict, Field

STRICT = ConfigDict(extra="forbid", strict=True)
Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
# A card or a suite by name, or the path of a card of one's own.
CardNames = tuple[Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*|.+\.ya?ml)$")], ...]
