"""What a corpus is made from: the groups of conf/data as strict, frozen dataclasses."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", strict=True)
Positive = Annotated[int, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return value


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
Site = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class StdlibData:
    """The text of the running Python's own library: no network needed."""

    kind: Literal["stdlib"]
    name: Name
    val_fraction: Annotated[float, Field(gt=0, lt=1)]
    max_bytes: Positive | None = None
    workers: Positive | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FilesData:
    """A directory or glob of text, JSON lines (.gz and .zst too) and Parquet files."""

    kind: Literal["files"]
    name: Name
    path: Annotated[str, Field(min_length=1)]
    val_fraction: Annotated[float, Field(gt=0, lt=1)]
    text_field: str = "text"
    url_field: str | None = None
    document_start: Pattern | None = None
    leave_out_sites: tuple[Site, ...] = ()
    leave_out_ngrams: Annotated[str, Field(min_length=1)] | None = None
    leave_out_from: Positive = 1
    drop_exact_duplicates: bool = False
    near_duplicate_threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    near_duplicate_permutations: Annotated[int, Field(ge=16, le=1024)] = 128
    max_bytes: Positive | None = None
    workers: Positive | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class HubData:
    """A dataset of the Hugging Face hub, by name."""

    kind: Literal["hub"]
    name: Name
    dataset: Annotated[str, Field(min_length=1)]
    split: str
    val_fraction: Annotated[float, Field(gt=0, lt=1)]
    config: str | None = None
    revision: str | None = None
    text_field: str = "text"
    url_field: str | None = None
    document_start: Pattern | None = None
    streaming: bool = True
    leave_out_sites: tuple[Site, ...] = ()
    leave_out_ngrams: Annotated[str, Field(min_length=1)] | None = None
    leave_out_from: Positive = 1
    drop_exact_duplicates: bool = False
    near_duplicate_threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    near_duplicate_permutations: Annotated[int, Field(ge=16, le=1024)] = 128
    max_documents: Positive | None = None
    max_bytes: Positive | None = None
    workers: Positive | None = None


DataConfig = Annotated[StdlibData | FilesData | HubData, Field(discriminator="kind")]
