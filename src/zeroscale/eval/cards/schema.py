"""The parts of a card: what each field of its YAML must hold."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Text = Annotated[str, Field(min_length=1)]
# Results are files called by a card's name, with more behind it.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=150)]
Size = Literal["small", "medium", "large", "xl"]


class Part(BaseModel):
    """Strict and frozen: an unknown field, a wrong type, a number that is not finite is a fault of the card."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Fingerprint(Part):
    """What a source holds when it is the benchmark, whole and unchanged."""

    rows: Annotated[int, Field(gt=0)]
    called: Text
    """What the rows are, in the plural: stories, lines."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """`pins.digest` of the rows; null where the released content was not at hand: then only the number is compared."""


class Excerpt(Part):
    """Files in the released form that are not the whole benchmark. They are scored only where that is asked for."""

    names: Annotated[list[Text], Field(min_length=1)]
    what: Text


class Files(Part):
    """The benchmark's own released files."""

    directory: Text
    """The folder inside data_dir; data_dir may also be that folder itself."""
    names: Annotated[list[list[Text]], Field(min_length=1)]
    """Alternatives, the first that is there is read; each a list of files that belong together."""
    excerpts: list[Excerpt] = []
    """Looked for after `names`."""
    pool: list[list[Text]] = []
    """Alternatives again: what examples in the prompt are drawn from, where it is there."""
    pin: Fingerprint | None = None


class Hub(Part):
    """A data set of the Hugging Face hub."""

    id: Text
    config: Text
    split: Text
    revision: Text | None = None
    pool_split: Text | None = None
    """What examples in the prompt are drawn from."""
    pin: Fingerprint | None = None


class Sources(Part):
    files: Files | None = None
    hub: Hub | None = None
    sample: Text | None = None
    """A JSONL file beside the card: a few hand-written examples in the benchmark's form."""


ChoiceValue = bool | int | float | str | None


class Choice(Part):
    """One choice of a protocol: its value, and the paper's words for it or why it was assumed."""

    value: ChoiceValue
    says: Annotated[str, Field(min_length=4)]

    @property
    def assumed(self) -> bool:
        return self.says.startswith("assumed")


class Metric(Part):
    direction: Literal["higher", "lower"]
    chance: float | None
    """What guessing gives; null where that means nothing."""
    meaning: Text


class Reported(Part):
    """Numbers of the paper, by size; `no_model` where none takes part (a baseline made of the text itself)."""

    metric: Name
    source: Text
    small: float | None = None
    medium: float | None = None
    large: float | None = None
    xl: float | None = None
    no_model: float | None = None


class Reproduction(Part):
    """What somebody else measured with the released weights; `no_model`: of a baseline made of the text itself."""

    size: Size | Literal["no_model"]
    metric: Name
    value: float
    how: Text
    source: Text


class Subset(Part):
    """A drawn part of a card's examples: what a suite asks for that is a quick look and not the benchmark."""

    suite: Name
    examples: Annotated[int, Field(gt=0)]
    seed: int


def fault(detail: "ErrorDetails") -> str:
    """A fault that pydantic found, in a line that names the field."""
    where = ".".join(str(part) for part in detail["loc"]) or "the whole"
    if detail["type"] == "extra_forbidden":
        return f"  {where}: no such field"
    given = detail.get("input")
    shown = f" (given: {given!r})" if detail["type"] != "missing" and isinstance(given, str | int | float) else ""
    return f"  {where}: {detail['msg'][0].lower()}{detail['msg'][1:]}{shown}"
